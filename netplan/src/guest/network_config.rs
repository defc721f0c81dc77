//! cloud-init's network configuration, version 2.

use std::net::IpAddr;

use crate::guest::{cidrs, routes_on};
use crate::plan::{Machine, Nic, Plan};

/// The network configuration of a machine for cloud-init, version 2: the file `network-config` of
/// a `NoCloud` seed. Below a key `network` and indented, it is a file for Canonical's Netplan too.
///
/// It keeps to what all of cloud-init's renderers take: interfaces matched by MAC address and
/// named, static addresses, and routes. So the default routes are written `0.0.0.0/0` and `::/0`:
/// `default` ends all renderers but the one for Netplan, `gateway4` and `gateway6` are deprecated,
/// and routing tables are dropped in silence. There is one default route of each family at most.
///
/// cloud-init before 23.1 makes `::/64` of `::/0` in all renderers but the one for Netplan
/// (canonical/cloud-init#4600, fixed by #1973). For images with such a version that have no
/// Netplan, use [`networkd_files`](crate::networkd_files) instead.
///
/// Duplicate address detection cannot be switched off here: an IPv6 address is not usable in its
/// first second or two.
///
/// ```
/// use netplan::{HostFacts, KubernetesVersion, LabName, MachineCounts, Requirement};
///
/// let (lab, version) = (LabName::new("demo")?, KubernetesVersion::new(37));
/// let requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
/// let plan = netplan::plan(&requirement, &HostFacts::default(), None)?;
/// let text = netplan::network_config_v2(&plan, plan.machine("cp-0").unwrap(), &[]);
/// assert!(text.starts_with("version: 2\nethernets:\n  etcd0:\n"));
/// assert_eq!(text.matches("to: \"0.0.0.0/0\"").count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// When the machine is not one of this plan.
#[must_use]
pub fn network_config_v2(plan: &Plan, machine: &Machine, nameservers: &[IpAddr]) -> String {
    let mut text = String::from("version: 2\nethernets:\n");
    for nic in &machine.nics {
        text.push_str(&ethernet(plan, machine, nic, nameservers));
    }
    text
}

/// Every scalar that is not a literal here is quoted: YAML 1.1 reads some MAC addresses as numbers
/// of base 60.
fn ethernet(plan: &Plan, machine: &Machine, nic: &Nic, nameservers: &[IpAddr]) -> String {
    let Nic { name, mac, .. } = nic;
    let mut text = format!(
        "  {name}:\n    match:\n      macaddress: \"{mac}\"\n    set-name: \"{name}\"\n    \
        dhcp4: false\n    dhcp6: false\n    accept-ra: false\n"
    );
    if !nic.default_route {
        // Else a machine would wait for it at boot.
        text.push_str("    optional: true\n");
    }
    text.push_str("    addresses:\n");
    for cidr in cidrs(plan, nic) {
        text.push_str(&format!("      - \"{cidr}\"\n"));
    }
    let routes = routes_on(plan, machine, nic);
    if !routes.is_empty() {
        text.push_str("    routes:\n");
    }
    for route in routes {
        let (to, via) = (route.to, route.via);
        text.push_str(&format!("      - to: \"{to}\"\n        via: \"{via}\"\n"));
    }
    if nic.default_route && !nameservers.is_empty() {
        text.push_str("    nameservers:\n      addresses:\n");
        for nameserver in nameservers {
            text.push_str(&format!("        - \"{nameserver}\"\n"));
        }
    }
    text
}
