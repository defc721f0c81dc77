//! Verbs that show the network of a lab, made or not: `map`, `explain`.

use crate::{
    args::{Format, Global, SpecArgs, Transport, View},
    exit::{Ended, Exit},
    screen, wanted,
};
use netplan::{Addresses, Decision, Family, Plan, Policy, Probe, Protocol, Verdict};
use serde::Serialize;
use std::net::IpAddr;

/// `lab map`.
pub(crate) async fn map(global: &Global, view: View) -> anyhow::Result<Exit> {
    let lab = wanted::asked_for(global, &SpecArgs::default())?;
    let blueprint = lab.draft().await?;
    let (plan, policy) = (&blueprint.network, &blueprint.policy);
    let flows = || netplan::reachability(plan, policy);
    match (global.output, view) {
        (Format::Json, View::Matrix | View::Dot) => screen::print_json(&flows())?,
        (Format::Json, _) => screen::print_json(plan)?,
        (Format::Text, view) => screen::print(&match view {
            View::Text => netplan::map_text(plan),
            View::Svg => netplan::picture_svg(plan, &flows()),
            View::Mermaid => netplan::picture_mermaid(plan, &flows()),
            View::Dot => netplan::dot(plan, &flows()),
            View::Matrix => netplan::matrix_table(plan, &flows()),
        })?,
    }
    Ok(Exit::DONE)
}

/// What `lab explain` is asked.
pub(crate) struct Flow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) port: u16,
    pub(crate) protocol: Transport,
}

/// A flow of one family, judged.
#[derive(Serialize)]
struct Judged {
    family: Family,
    source: IpAddr,
    destination: IpAddr,
    port: u16,
    allowed: bool,
    decisions: Vec<Decision>,
}

/// `lab explain`.
pub(crate) async fn explain(global: &Global, flow: &Flow) -> anyhow::Result<Exit> {
    let lab = wanted::asked_for(global, &SpecArgs::default())?;
    let blueprint = lab.draft().await?;
    let judged = judge(&blueprint.network, &blueprint.policy, flow)?;
    match global.output {
        Format::Json => screen::print_json(&judged)?,
        Format::Text => screen::print(&judged.iter().map(text).collect::<String>())?,
    }
    Ok(Exit::DONE)
}

/// Over each family and each way that both ends have: a machine may be reached on several networks.
fn judge(plan: &Plan, policy: &Policy, flow: &Flow) -> anyhow::Result<Vec<Judged>> {
    let (sources, destinations) = (ends(plan, &flow.from)?, ends(plan, &flow.to)?);
    let protocol = match flow.protocol {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    };
    let mut judged = Vec::new();
    for destination in &destinations {
        for family in Family::BOTH {
            let from = source(&sources, destination, family);
            let Some((source, destination)) = from.zip(destination.address.of(family)) else {
                continue;
            };
            let probe = Probe::between(plan, source, destination, protocol, flow.port)?;
            let decisions = policy.explain(plan, &probe);
            judged.push(Judged {
                family,
                source,
                destination,
                port: flow.port,
                allowed: Decision::all_allow(&decisions),
                decisions,
            });
        }
    }
    if judged.is_empty() {
        return Err(Ended::bad_input(format!(
            "{} and {} have no address of the same family",
            flow.from, flow.to
        )));
    }
    Ok(judged)
}

/// Addresses of one end on one network, where it is on one.
struct End {
    network: Option<String>,
    address: Addresses,
    /// Whether packets leave from here for everywhere else.
    is_main: bool,
}

/// The address that packets to this destination leave from: on its own network, else the main one.
fn source(sources: &[End], destination: &End, family: Family) -> Option<IpAddr> {
    let near = sources
        .iter()
        .find(|end| end.network.is_some() && end.network == destination.network);
    let main = sources.iter().find(|end| end.is_main);
    near.or(main)?.address.of(family)
}

fn ends(plan: &Plan, word: &str) -> anyhow::Result<Vec<End>> {
    let single = |address: Addresses| {
        vec![End {
            network: None,
            address,
            is_main: true,
        }]
    };
    if let Some(machine) = plan.machine(word) {
        let nics = machine.nics.iter().map(|nic| End {
            network: Some(nic.network.to_string()),
            address: nic.address,
            is_main: nic.default_route,
        });
        return Ok(nics.collect());
    }
    if let Some(pods) = word
        .strip_prefix("pod:")
        .and_then(|node| plan.machine(node)?.pods)
    {
        // The first addresses of a node's range are its bridge's.
        return Ok(single(pods.nth(2)));
    }
    match word {
        "host" => Ok(single(plan.link.map(|link| link.host).unwrap_or_default())),
        "internet" => Ok(single(
            plan.internet.map(|net| net.server).unwrap_or_default(),
        )),
        "router" => {
            let gateways = plan.networks.iter().map(|network| End {
                network: Some(network.name.to_string()),
                address: network.gateway,
                is_main: false,
            });
            Ok(gateways.collect())
        }
        _ => address(plan, word).map(single),
    }
}

fn address(plan: &Plan, word: &str) -> anyhow::Result<Addresses> {
    let mut both = Addresses::default();
    match word.parse() {
        Ok(IpAddr::V4(v4)) => both.v4 = Some(v4),
        Ok(IpAddr::V6(v6)) => both.v6 = Some(v6),
        Err(_) => {
            let names: Vec<&str> = plan
                .machines
                .iter()
                .map(|machine| machine.name.as_str())
                .collect();
            return Err(Ended::bad_input(format!(
                "there is no {word} in lab {}: write one of {}, pod:NODE, host, internet, router, or an address",
                plan.lab,
                names.join(", ")
            )));
        }
    }
    Ok(both)
}

fn text(judged: &Judged) -> String {
    let Judged {
        source,
        destination,
        port,
        ..
    } = judged;
    let answer = if judged.allowed { "yes" } else { "no " };
    let mut text = format!("{answer}  {source} -> {destination} port {port}\n");
    if judged.decisions.is_empty() {
        text.push_str("       nothing is filtered on this way\n");
    }
    for decision in &judged.decisions {
        let verdict = match decision.verdict {
            Verdict::Allow => "allows",
            Verdict::Drop => "drops",
            Verdict::Refuse => "refuses",
        };
        text.push_str(&format!(
            "       {} {verdict} it: rule {}\n",
            decision.point, decision.rule
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use netplan::{HostFacts, KubernetesVersion, LabName, MachineCounts, Requirement};

    fn reference() -> (Plan, Policy) {
        let lab = LabName::new("lab").unwrap();
        let version = KubernetesVersion::new(37);
        let requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
        let plan = netplan::plan(&requirement, &HostFacts::default(), None).unwrap();
        let policy = Policy::standard(&plan);
        (plan, policy)
    }

    fn flow(from: &str, to: &str, port: u16) -> Flow {
        Flow {
            from: from.to_owned(),
            to: to.to_owned(),
            port,
            protocol: Transport::Tcp,
        }
    }

    #[test]
    fn the_deciding_rules_are_named_over_both_families() {
        let (plan, policy) = reference();
        for (from, to, port, allowed, rule) in [
            ("worker-0", "etcd-0", 2379, false, "kube-to-etcd"),
            ("cp-0", "etcd-0", 2379, true, "etcd-client"),
            ("pod:worker-0", "internet", 443, true, "egress"),
            ("internet", "worker-0", 22, false, "unsolicited"),
        ] {
            let judged = judge(&plan, &policy, &flow(from, to, port)).unwrap();
            assert_eq!(judged.len(), 2, "{from} {to}");
            for one in judged {
                assert_eq!(one.allowed, allowed, "{from} {to}");
                assert_eq!(one.decisions.last().unwrap().rule, rule, "{from} {to}");
            }
        }
    }

    #[test]
    fn who_is_unknown_is_told_who_there_is() {
        let (plan, policy) = reference();
        let error = judge(&plan, &policy, &flow("worker-9", "etcd-0", 1)).err();
        let error = error.unwrap().to_string();
        assert!(error.contains("there is no worker-9") && error.contains("etcd-0, etcd-1"));
    }
}
