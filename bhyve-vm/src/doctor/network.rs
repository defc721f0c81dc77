//! What of a host's network, firewall and clock stands in the way.

use super::{HostFacts, HostFinding, Needs, Severity, Subject, finding, number};
use ipnet::IpNet;

pub(super) fn network(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let mut findings = Vec::new();
    for (name, variable) in [
        ("net.inet.ip.forwarding", "gateway_enable"),
        ("net.inet6.ip6.forwarding", "ipv6_gateway_enable"),
    ] {
        if number(host, name) != Some(1) {
            let what = "packets are not forwarded, so guests reach nothing outside";
            let told = host.sysctls.get(name).map_or("missing", String::as_str);
            let remedy = format!("sysctl {name}=1; sysrc {variable}=YES");
            findings.push(finding(
                (Severity::Error, Subject::Forwarding),
                what,
                format!("{name}: {told}"),
                &remedy,
            ));
        }
    }
    if number(host, "net.link.bridge.pfil_member") == Some(1) {
        let what = "pf filters between guests of one bridge";
        let evidence = "net.link.bridge.pfil_member: 1".to_owned();
        findings.push(finding(
            (Severity::Warning, Subject::Bridge),
            what,
            evidence,
            "sysctl net.link.bridge.pfil_member=0",
        ));
    }
    for name in &needs.interfaces {
        let Some(interface) = host.interfaces.iter().find(|found| found.name == *name) else {
            continue;
        };
        let words = interface.description.as_deref().unwrap_or("no description");
        if !words.starts_with("lab") {
            let what = format!("interface {name} is somebody else's");
            let remedy = "choose another name for ours";
            findings.push(finding(
                (Severity::Error, Subject::Interface),
                &what,
                format!("{name}: {words}"),
                remedy,
            ));
        }
    }
    findings.extend(anchor(host, needs));
    findings
}

fn anchor(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    if needs.anchor_lines.is_empty() {
        return Vec::new();
    }
    let subject = (Severity::Error, Subject::Firewall);
    let Some(rules) = &host.pf else {
        let what = "pf is off, so guests are not translated";
        let remedy = "pfctl -e; sysrc pf_enable=YES";
        let evidence = "pfctl -s nat fails".to_owned();
        return vec![finding(subject, what, evidence, remedy)];
    };
    let calls = needs.anchor_lines.iter();
    calls
        .filter(|line| line.contains("anchor \""))
        .filter(|line| !rules.iter().any(|rule| rule.starts_with(line.as_str())))
        .map(|line| {
            let what = "rules of the lab would be loaded and never asked";
            let evidence = format!("no rule {line}");
            let remedy = format!("add to /etc/pf.conf, translation before filter: {line}");
            finding(subject, what, evidence, &remedy)
        })
        .collect()
}

/// Certificates are made with the caller's clock and judged by the guests', which begin with the host's.
pub(super) fn clock(host: &HostFacts, needs: &Needs) -> Option<HostFinding> {
    const TOLERANCE_S: u64 = 30;
    let (theirs, ours) = (host.clock_s?, needs.now_s?);
    let apart = theirs.abs_diff(ours);
    if apart <= TOLERANCE_S {
        return None;
    }
    let direction = if theirs > ours { "ahead" } else { "behind" };
    let evidence = format!("{apart} s {direction}: {theirs} there, {ours} here");
    Some(finding(
        (Severity::Warning, Subject::Clock),
        "the clocks of the host and of this machine are apart",
        evidence,
        "service ntpd onestart; sysrc ntpd_enable=YES ntpd_sync_on_start=YES",
    ))
}

/// What of the host's own lies within a network of the lab, or holds one. Interfaces of the lab are expected to.
pub(super) fn overlaps(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let theirs = |name: &str| needs.interfaces.iter().all(|ours| ours != name);
    let mut seen: Vec<(IpNet, String)> = Vec::new();
    for interface in host.interfaces.iter().filter(|i| theirs(&i.name)) {
        let nets = interface.nets.iter();
        seen.extend(nets.map(|net| (net.trunc(), format!("{net} of {}", interface.name))));
    }
    for route in host.routes.iter().filter(|route| theirs(&route.interface)) {
        // The default route holds everything, and a route on a link says again what its address said.
        if let Some(via) = route.via.filter(|_| route.to.prefix_len() > 0) {
            let words = format!("route to {} by {via} over {}", route.to, route.interface);
            seen.push((route.to, words));
        }
    }
    let overlap = |(net, evidence): (IpNet, String)| {
        let meets = |wanted: &&IpNet| wanted.contains(&net) || net.contains(*wanted);
        let wanted = needs.networks.iter().find(meets)?;
        let what = format!("network {wanted} of the lab overlaps one of the host's");
        let remedy = "give the lab another address range; netstat -rnW shows the host's";
        let subject = (Severity::Error, Subject::Overlap);
        Some(finding(subject, &what, evidence, remedy))
    };
    seen.into_iter().filter_map(overlap).collect()
}
