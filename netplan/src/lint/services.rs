//! The version of Kubernetes, its families, and its service ranges.

use std::ops::RangeInclusive;

use crate::lint::Findings;
use crate::lint::table::{
    K8S_DNS_BAND, K8S_DUAL_STACK, K8S_PRIMARY_FAMILY, K8S_SERVICES_CLAMPED, K8S_SERVICES_TOO_FEW,
    K8S_SERVICES_TOO_LARGE, K8S_SERVICES_TOO_SMALL, K8S_VERSION, KUBEADM_SERVICES_TOO_LARGE,
};
use crate::net::{Family, Net};
use crate::plan::{Kubernetes, Plan};
use crate::requirement::{KubernetesSpec, KubernetesVersion, Requirement, Role};

/// The minor versions that the rules were checked for.
const CHECKED: RangeInclusive<u16> = 28..=37;
/// The first minor version whose gate `IPv6DualStack` is on: beta. It is stable from 23.
const DUAL_STACK: u16 = 21;
/// The first minor version without the bitmap of service addresses: `MultiCIDRServiceAllocator`
/// and `DisableAllocatorDualWrite` are both on, the latter since here (alpha in 31, beta but off
/// in 33, locked in 35).
const NO_BITMAP: u16 = 34;
/// The most host bits of a bitmap of service addresses, and of kubeadm in all versions.
const BITMAP_BITS: u8 = 20;
/// The host bits of the part of an IPv6 range that a bitmap covers.
const BITMAP_BITS_V6: u8 = 16;
/// The most host bits of an IPv6 range without a bitmap.
const OFFSET_BITS: u8 = 64;
/// The addresses that a service range has at least: DNS is the tenth.
const LEAST_SERVICES: u128 = 10;

pub(super) fn check(requirement: &Requirement, plan: &Plan, findings: &mut Findings) {
    let (Some(spec), Some(kubernetes)) = (&requirement.kubernetes, &plan.kubernetes) else {
        return;
    };
    check_version(kubernetes, findings);
    check_primary(plan, kubernetes, findings);
    for net in kubernetes.services.nets.iter() {
        let subject = format!("kubernetes.services_{}", net.family().key());
        check_size(kubernetes.version, net, &subject, findings);
        check_count(spec, net, &subject, findings);
        check_dns(net, &subject, findings);
    }
}

fn check_version(kubernetes: &Kubernetes, findings: &mut Findings) {
    let version = kubernetes.version;
    let subject = "kubernetes.version";
    if !CHECKED.contains(&version.minor()) {
        let message = format!("{subject} = {version} is none of those that are checked for");
        findings.report(&K8S_VERSION, subject, message);
    }
    if version.minor() < DUAL_STACK && kubernetes.services.nets.iter().count() == 2 {
        let message =
            format!("{subject} = {version} has two families only with a gate that is off");
        findings.report(&K8S_DUAL_STACK, subject, message);
    }
}

/// The family of the API's advertise address, which is that of the first service range.
fn check_primary(plan: &Plan, kubernetes: &Kubernetes, findings: &mut Findings) {
    let (primary, network) = (kubernetes.primary, kubernetes.network.as_str());
    let subject = "kubernetes.primary";
    let mut report = |lacks: String| {
        let message = format!("{subject} = {primary}, and {lacks}");
        findings.report(&K8S_PRIMARY_FAMILY, subject, message);
    };
    if kubernetes.services.nets.of(primary).is_none() {
        report("there is no service range of it".to_owned());
    }
    let without = plan.role(Role::ControlPlane).find(|machine| {
        let address = machine.address(network);
        address.and_then(|address| address.of(primary)).is_none()
    });
    if let Some(machine) = without {
        report(format!("{} has no such address on {network}", machine.name));
    }
}

fn check_size(version: KubernetesVersion, net: Net, subject: &str, findings: &mut Findings) {
    let bits = net.host_bits();
    let is_v6 = net.family() == Family::V6;
    if version.minor() < NO_BITMAP && bits > BITMAP_BITS {
        let message = format!(
            "{subject} = {net} has {bits} host bits, and API servers of {version} keep a bitmap of at most {BITMAP_BITS}{}",
            gates(version)
        );
        let remedy = format!("write a /{}", net.family().bits() - BITMAP_BITS_V6);
        findings.report_with(&K8S_SERVICES_TOO_LARGE, subject, message, remedy);
    } else if is_v6 && bits > OFFSET_BITS {
        let message = format!(
            "{subject} = {net} has {bits} host bits, and API servers count with {OFFSET_BITS}"
        );
        findings.report(&K8S_SERVICES_TOO_LARGE, subject, message);
    } else if bits > BITMAP_BITS {
        let message = format!(
            "{subject} = {net} has {bits} host bits, and kubeadm takes at most {BITMAP_BITS}, of {version} too"
        );
        findings.report(&KUBEADM_SERVICES_TOO_LARGE, subject, message);
    } else if version.minor() < NO_BITMAP && is_v6 && bits > BITMAP_BITS_V6 {
        let message = format!(
            "{subject} = {net} is used up to the end of its first /{} by API servers of {version}",
            Family::V6.bits() - BITMAP_BITS_V6
        );
        findings.report(&K8S_SERVICES_CLAMPED, subject, message);
    }
}

/// What else would lift the limit, where a version has it.
fn gates(version: KubernetesVersion) -> &'static str {
    if version.minor() < 31 {
        ""
    } else {
        " (unless the gates MultiCIDRServiceAllocator and DisableAllocatorDualWrite are turned on)"
    }
}

fn check_count(spec: &KubernetesSpec, net: Net, subject: &str, findings: &mut Findings) {
    let size = addresses(net);
    if size < LEAST_SERVICES {
        let message = format!("{subject} = {net} has {size} addresses");
        findings.report(&K8S_SERVICES_TOO_SMALL, subject, message);
        return;
    }
    // The first and the last address are nobody's; the length that follows from
    // `kubernetes.services` does not count them, so neither does this.
    let is_clamped = net.family() == Family::V6 && spec.version.minor() < NO_BITMAP;
    let held = if is_clamped {
        size.min(1 << BITMAP_BITS_V6)
    } else {
        size
    };
    if held < spec.services.into() {
        let message = format!(
            "{subject} = {net} has addresses for {held} services, and kubernetes.services is {}",
            spec.services
        );
        findings.report(&K8S_SERVICES_TOO_FEW, subject, message);
    }
}

fn check_dns(net: Net, subject: &str, findings: &mut Findings) {
    let size = addresses(net);
    if size >= LEAST_SERVICES && static_band(size) < LEAST_SERVICES {
        let message = format!(
            "{subject} = {net} has no band of fixed addresses: another service may get that of DNS before it starts"
        );
        findings.report(&K8S_DNS_BAND, subject, message);
    }
}

/// How many addresses from the first behind the network's own are left to fixed addresses
/// (`calculateRangeOffset`).
fn static_band(size: u128) -> u128 {
    if size <= 16 {
        return 0;
    }
    (size / 16).clamp(16, 256)
}

/// The number of addresses; that of `::/0`, which no 128 bits hold, is the largest number.
pub(super) fn addresses(net: Net) -> u128 {
    net.address_count().unwrap_or(u128::MAX)
}
