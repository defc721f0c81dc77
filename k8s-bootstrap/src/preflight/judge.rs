//! What the facts of hosts mean for a spec.

use super::{Finding, HostFacts, Severity, facts::wanted_programs};
use crate::{CgroupVersion, ClusterSpec, NodeSpec, Role, component::Place};
use host_exec::HostName;
use std::{collections::BTreeMap, path::Path};

/// How far clocks may be apart, seconds: certificates begin to be valid at the time of whoever signs them.
const CLOCKS_APART_S: i64 = 30;

/// Judges a host on which nothing of ours runs yet. Pure.
pub fn judge(spec: &ClusterSpec, role: Role, node: &NodeSpec, facts: &HostFacts) -> Vec<Finding> {
    let place = Place {
        cluster: spec,
        node,
        role,
    };
    let mut found = Vec::new();
    found.extend(swap(node, facts));
    found.extend(cgroup(place, facts));
    found.extend(sockets(place, facts));
    found.extend(ports(place, facts));
    found.extend(programs(place, facts));
    found
}

fn finding(
    severity: Severity,
    check: impl Into<String>,
    node: &HostName,
    evidence: String,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        severity,
        check: check.into(),
        place: node.to_string(),
        evidence,
        remedy: remedy.into(),
    }
}

/// A warning, as kubeadm's: this crate's kubelets run all the same (`failSwapOn: false`), but a pod's limit of memory
/// then is none.
fn swap(node: &NodeSpec, facts: &HostFacts) -> Option<Finding> {
    let evidence = format!("memory is swapped to {}", facts.swaps.join(", "));
    let remedy = "turn it off with `swapoff -a`, and in /etc/fstab";
    (!facts.swaps.is_empty())
        .then(|| finding(Severity::Warning, "Swap", &node.name, evidence, remedy))
}

/// Consent is `cgroup = CgroupVersion::V1` in the spec, which gives the kubelet `failCgroupV1: false`.
fn cgroup(place: Place<'_>, facts: &HostFacts) -> Option<Finding> {
    let (seen, wanted) = (facts.cgroup, place.cluster.cgroup);
    if seen == CgroupVersion::V2 || wanted == CgroupVersion::V1 {
        return None;
    }
    let version = place.version();
    let severity = match version.release().fail_cgroup_v1 {
        Some(true) => Severity::Error,
        _ => Severity::Warning,
    };
    let evidence = format!("/sys/fs/cgroup is version 1, and the kubelet is {version}");
    let remedy = "boot with systemd.unified_cgroup_hierarchy=1, or consent with cgroup = V1";
    Some(finding(
        severity,
        "SystemVerification",
        &place.node.name,
        evidence,
        remedy,
    ))
}

/// Ours may be missing: its unit is ours to start. Another one may not be there beside it.
fn sockets(place: Place<'_>, facts: &HostFacts) -> Option<Finding> {
    let own = Path::new(place.cluster.runtime.socket());
    let others = facts.sockets.iter().filter(|socket| *socket != own);
    let others: Vec<String> = others.map(|socket| socket.display().to_string()).collect();
    let evidence = format!(
        "another runtime listens at {}, beside {}",
        others.join(", "),
        own.display()
    );
    let remedy = "stop and disable it, or make it the runtime of the spec";
    (!others.is_empty())
        .then(|| finding(Severity::Error, "CRI", &place.node.name, evidence, remedy))
}

fn ports(place: Place<'_>, facts: &HostFacts) -> Vec<Finding> {
    let taken = |(port, wanted_by): (u16, &str)| {
        let listener = facts.listeners.iter().find(|other| other.port == port)?;
        let who = match listener.process.as_str() {
            "" => "somebody",
            process => process,
        };
        let evidence = format!("{who} listens at the port of {wanted_by}");
        let remedy = format!("stop it; `ss -ltnp sport = :{port}` shows it");
        let check = format!("Port-{port}");
        let node = &place.node.name;
        Some(finding(Severity::Error, check, node, evidence, remedy))
    };
    place.ports().into_iter().filter_map(taken).collect()
}

fn programs(place: Place<'_>, facts: &HostFacts) -> Vec<Finding> {
    let judge = |(name, part)| {
        let wanted = place.version_of(part).to_string();
        let path = place.program(name);
        let (evidence, remedy) = match facts.programs.get(name).cloned().flatten() {
            Some(seen) if seen == wanted => return None,
            Some(seen) => (
                format!("{path} is {seen}, but the spec says {wanted}"),
                format!("put {name} {wanted} there"),
            ),
            None => (
                format!("{path} is not there or does not run"),
                format!("put {name} {wanted} there, for this architecture"),
            ),
        };
        let (check, node) = (format!("FileExisting-{name}"), &place.node.name);
        Some(finding(Severity::Error, check, node, evidence, remedy))
    };
    let wanted = wanted_programs(place.cluster, place.role).into_iter();
    wanted.filter_map(judge).collect()
}

/// Compares the clocks of nodes that were asked within a few seconds of each other, in seconds since 1970. Pure.
pub fn judge_clocks(clocks_s: &BTreeMap<HostName, i64>) -> Option<Finding> {
    let (early, first) = clocks_s.iter().min_by_key(|(_, clock)| **clock)?;
    let (late, last) = clocks_s.iter().max_by_key(|(_, clock)| **clock)?;
    let apart = last.saturating_sub(*first);
    let evidence = format!("its clock is {apart} s behind that of {late}");
    let remedy = "have both keep time with NTP, for example chrony";
    (apart > CLOCKS_APART_S).then(|| finding(Severity::Error, "Clock", early, evidence, remedy))
}
