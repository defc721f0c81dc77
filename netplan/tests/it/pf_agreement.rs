//! The printed anchor, read again and judged as pf does, says the same as the model.

use std::net::IpAddr;

use netplan::pf::{Content, Label, Outcome, Packet, Ruleset, Statement, Verdict as PfVerdict};
use netplan::{
    Decision, Endpoint, Family, InterfaceName, MachineName, Net, Point, Probe, Protocol,
    Requirement, V6Mode, Verdict, reachability,
};
use proptest::prelude::*;

use crate::interface;
use crate::pf_flows::{Expected, Flow, agrees, expected, flows, is_guest, outsiders, zone};
use crate::pf_labs::{self, Lab, OTHER, lab};

fn rules(lab: &Lab) -> Ruleset {
    let anchor = lab.policy.pf_anchor(&lab.plan).expect("an anchor");
    Ruleset::parse(&anchor.load).expect("what is printed can be read")
}

#[track_caller]
fn check(case: &str, lab: &Lab) {
    let (router, rules) = (pf_labs::router(&lab.plan), rules(lab));
    let mut judged = 0;
    for flow in flows(lab, &router) {
        let outcome = rules.judge(&router, flow.entering.as_ref(), flow.packet);
        let (agree, reason) = agrees(lab, &router, &flow, &outcome);
        assert!(
            agree,
            "{case}: {flow:?}: {outcome:#?}, expected by {reason}"
        );
        check_translation(lab, &flow, &outcome);
        judged += usize::from(reason == "the model");
    }
    assert!(judged > 100, "{case}: only {judged} flows are the model's");
}

#[test]
fn printed_rules_agree_with_the_model() {
    for (case, lab) in pf_labs::all() {
        check(case, &lab);
    }
}

/// What leaves by the uplink has an address that the other side can answer.
#[track_caller]
fn check_translation(lab: &Lab, flow: &Flow, outcome: &Outcome) {
    let Some(left) = &outcome.leaving else {
        return;
    };
    if left.interface != *pf_labs::uplink(&lab.plan)
        || flow
            .entering
            .as_ref()
            .is_none_or(|own| own.as_str() == OTHER)
    {
        return;
    }
    let (before, after) = (flow.packet.source, left.packet.source);
    let is_own = |address| lab.plan.supernet.iter().any(|net| net.contains(address));
    if !is_own(before) || is_own(flow.packet.destination) {
        assert!(after == before || !is_own(after), "{flow:?} became {after}");
        return;
    }
    match (Family::of(before), lab.plan.v6_mode) {
        (Family::V4, _) => assert_eq!(after.to_string(), "192.0.2.7"),
        (Family::V6, V6Mode::Routed | V6Mode::UlaOnly) => assert_eq!(after, before),
        (Family::V6, V6Mode::Nat66 { address }) => assert_eq!(after, IpAddr::V6(address)),
        (Family::V6, V6Mode::Npt { outside }) => {
            let inside = lab.plan.supernet.v6.expect("a lab with IPv6");
            assert!(outside.contains(after));
            assert_eq!(host_bits(after, outside), host_bits(before, inside));
        }
        (_, other) => panic!("no expectation for {other:?}"),
    }
}

/// The bits behind the prefix.
fn host_bits(address: IpAddr, net: Net) -> u128 {
    match (address, net.address()) {
        (IpAddr::V6(address), IpAddr::V6(first)) => address.to_bits() - first.to_bits(),
        (address, _) => panic!("{address} is not of IPv6"),
    }
}

/// What comes in for the other end of a translated prefix is as unsolicited as any.
#[test]
fn a_mapped_prefix_is_closed_from_outside() {
    let labs = pf_labs::all();
    let (_, lab) = labs
        .iter()
        .find(|(case, _)| *case == "pf-npt")
        .expect("a case");
    let V6Mode::Npt { outside } = lab.plan.v6_mode else {
        panic!("a lab of this mode");
    };
    let machine = lab.plan.machine("worker-0").expect("a machine");
    let address = machine.address("kube").and_then(|both| both.of(Family::V6));
    let address = address.expect("an address");
    let inside = lab.plan.supernet.v6.expect("a lab with IPv6");
    let packet = Packet {
        source: outsiders(Family::V6)[0],
        destination: outside
            .nth(host_bits(address, inside))
            .expect("an address outside"),
        content: Content::Tcp(22),
    };
    let outcome = rules(lab).judge(&pf_labs::router(&lab.plan), Some(&interface("em0")), packet);
    assert_eq!(outcome.verdict, PfVerdict::Drop);
    assert_eq!(outcome.packet().expect("a judgement").destination, address);
    let label = outcome.deciding().and_then(|own| own.label.as_ref());
    assert_eq!(label.map(Label::as_str), Some("lab:unsolicited"));
}

/// What of an outcome counts.
fn effect(outcome: &Outcome) -> (PfVerdict, Option<Packet>, Vec<bool>) {
    let passes = outcome.entering.iter().chain(&outcome.leaving);
    let states = passes.map(|judgement| judgement.keeps_state).collect();
    (outcome.verdict, outcome.packet(), states)
}

/// Without any one of its statements an anchor no longer does what it should: some flow that
/// agreed with the model gets another verdict or another address, or its replies do not pass.
#[test]
fn no_statement_can_be_left_out() {
    for (case, lab) in pf_labs::all() {
        let router = pf_labs::router(&lab.plan);
        let rules = rules(&lab);
        let judged: Vec<(Flow, Outcome)> = flows(&lab, &router)
            .into_iter()
            .map(|flow| {
                let outcome = rules.judge(&router, flow.entering.as_ref(), flow.packet);
                (flow, outcome)
            })
            .collect();
        for (left_out, statement) in rules.statements() {
            let rest = rules.statements().filter(|(line, _)| *line != left_out);
            let rest = Ruleset::new(rest.map(|(_, own)| own.clone()).collect());
            // All rules are quick: only flows that one decides or translates can change with it.
            let is_table = matches!(statement, Statement::Table(_));
            let concerned = |(_, outcome): &&(Flow, Outcome)| {
                let passes = outcome.entering.iter().chain(&outcome.leaving);
                let mut lines = passes.flat_map(|own| [own.line, own.translated_by]);
                is_table || lines.any(|line| line == Some(left_out))
            };
            let mut concerned = judged.iter().filter(concerned);
            let shows = concerned.any(|(flow, before)| {
                let after = rest.judge(&router, flow.entering.as_ref(), flow.packet);
                effect(&after) != effect(before)
            });
            assert!(shows, "{case}: nothing changes without {statement}");
        }
    }
}

/// The flows that the crate itself says are to be tried: same verdict, and where one is blocked
/// on the way between networks or to the router, by the rule of the same name.
#[test]
fn reachability_agrees() {
    let mut blocked = 0;
    for (case, lab) in pf_labs::all() {
        let (router, rules) = (pf_labs::router(&lab.plan), rules(&lab));
        for row in reachability(&lab.plan, &lab.policy) {
            let decisions = lab.policy.explain(&lab.plan, &row.probe);
            let at_router =
                |own: &&Decision| matches!(own.point, Point::RouterForward | Point::RouterInput);
            let decision = decisions.iter().find(at_router);
            // Without the router on the way, or around it through a machine, pf sees nothing.
            let (Some(decision), None) = (decision, &row.probe.via) else {
                continue;
            };
            let flow = flow(&lab, &row.probe);
            let outcome = rules.judge(&router, flow.entering.as_ref(), flow.packet);
            if let Expected::Outside(reason, verdict) = expected(&lab, &router, &flow) {
                assert_eq!(outcome.verdict, verdict, "{case}: {row:?}: {reason}");
                continue;
            }
            let expected = match decision.verdict {
                Verdict::Allow => PfVerdict::Pass,
                Verdict::Drop => PfVerdict::Drop,
                Verdict::Refuse => PfVerdict::Return,
            };
            assert_eq!(outcome.verdict, expected, "{case}: {row:?}: {outcome:#?}");
            if expected != PfVerdict::Pass {
                let label = outcome.deciding().and_then(|own| own.label.clone());
                let label = label.expect("a label").to_string();
                // Of a forged source pf says whose it is, the model where it came from.
                let rule = decision.rule.split_inclusive("spoof-").next();
                let name = format!("{}:{}", lab.plan.lab, rule.expect("a first part"));
                assert!(
                    label.starts_with(&name),
                    "{case}: {row:?}: {label}, not {name}"
                );
                blocked += 1;
            }
        }
    }
    assert!(blocked > 100, "only {blocked} flows are blocked");
}

fn flow(lab: &Lab, probe: &Probe) -> Flow {
    let packet = Packet {
        source: probe.source,
        destination: probe.destination,
        content: match probe.protocol {
            Protocol::Udp => Content::Udp(probe.port),
            Protocol::Echo => Content::Icmp(if probe.source.is_ipv4() { 8 } else { 128 }),
            _ => Content::Tcp(probe.port),
        },
    };
    let bridge = |name: &MachineName| {
        let machine = lab.plan.machine(name.as_str()).expect("a machine");
        let nic = machine.main_nic().expect("a default route");
        lab.plan.network_of(nic).bridge.clone()
    };
    let entering = match &probe.from {
        Endpoint::Machine(name) | Endpoint::PodOn(name) => Some(bridge(name)),
        Endpoint::Internet => Some(pf_labs::uplink(&lab.plan).clone()),
        _ => None,
    };
    Flow { entering, packet }
}

/// Replies pass by state, except where the router sees one direction only: between a machine and
/// a pod of one network, where state would end the connection.
#[test]
fn state_is_kept_where_both_directions_are_seen() {
    let lab = lab(&pf_labs::reference());
    let (router, rules) = (pf_labs::router(&lab.plan), rules(&lab));
    let mut stateless = 0;
    for flow in flows(&lab, &router) {
        let outcome = rules.judge(&router, flow.entering.as_ref(), flow.packet);
        let (Some(entered), Some(left)) = (&outcome.entering, &outcome.leaving) else {
            continue;
        };
        let is_guest = |name: &InterfaceName| is_guest(zone(&lab.plan, name).as_ref());
        if outcome.verdict != PfVerdict::Pass || !is_guest(&entered.interface) {
            continue;
        }
        let is_local = entered.interface == left.interface;
        assert_eq!(left.keeps_state, !is_local, "{flow:?}");
        assert!(!(is_local && entered.keeps_state), "{flow:?}");
        stateless += usize::from(is_local);
    }
    assert!(stateless > 0);
}

fn any_lab() -> impl Strategy<Value = Requirement> {
    let networks = prop::sample::subsequence(vec!["a", "b", "c", "log", "tag", "in"], 1..5);
    let families = prop::sample::select(vec![
        netplan::Families::Dual,
        netplan::Families::V4,
        netplan::Families::V6,
    ]);
    let families = prop::collection::vec(families, 5);
    let modes = prop::sample::select(vec![0, 1, 2, 3]);
    (networks, families, modes, any::<u64>()).prop_map(|(names, families, mode, seed)| {
        let mut wanted = pf_labs::with_networks(&names);
        for (network, families) in wanted.networks.iter_mut().zip(families) {
            network.families = families;
        }
        wanted.seed = seed;
        let has_v6 = wanted
            .networks
            .iter()
            .any(|own| own.families.has(Family::V6));
        wanted.v6_mode = match mode {
            1 if has_v6 => V6Mode::Npt {
                outside: crate::net("2001:db8:7::/48"),
            },
            2 => V6Mode::Nat66 {
                address: "2001:db8::10".parse().expect("an address"),
            },
            3 => V6Mode::UlaOnly,
            _ => V6Mode::Routed,
        };
        wanted
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_labs_agree(wanted in any_lab()) {
        let lab = lab(&wanted);
        let (router, rules) = (pf_labs::router(&lab.plan), rules(&lab));
        for flow in flows(&lab, &router) {
            let outcome = rules.judge(&router, flow.entering.as_ref(), flow.packet);
            let (agree, reason) = agrees(&lab, &router, &flow, &outcome);
            prop_assert!(agree, "{flow:?}: {outcome:#?}, expected by {reason}");
        }
    }
}
