//! The promises of the standard policy, stated here a second time and independently of its rules.

use netplan::{Class, Endpoint, Plan, Policy, Probe, Protocol, reachability};
use proptest::prelude::*;

use crate::{planned, requirement};

fn class_of(plan: &Plan, endpoint: &Endpoint) -> Option<Class> {
    match endpoint {
        Endpoint::Machine(name) => plan.machine(name.as_str()).map(|machine| machine.class),
        _ => None,
    }
}

/// The table of promises: who may begin a flow to whom.
fn promised(plan: &Plan, probe: &Probe) -> bool {
    let from = class_of(plan, &probe.from);
    let is_pod = matches!(probe.from, Endpoint::PodOn(_));
    match (&probe.to, class_of(plan, &probe.to)) {
        (_, Some(Class::Etcd)) => match from {
            _ if probe.via.is_some() => false,
            Some(Class::ControlPlane) => probe.port == 2379,
            Some(Class::Etcd) => probe.port == 2379 || probe.port == 2380,
            _ => false,
        },
        (_, Some(Class::ControlPlane)) => {
            is_pod
                || probe.from == Endpoint::Host
                || matches!(from, Some(Class::ControlPlane | Class::Worker))
        }
        (Endpoint::Internet, _) => true,
        (Endpoint::Router, _) => probe.from == Endpoint::Host,
        _ => panic!("no promise about {probe:?}"),
    }
}

fn check_promises(plan: &Plan) {
    let policy = Policy::standard(plan);
    let matrix = reachability(plan, &policy);
    assert!(matrix.iter().any(|row| row.allowed) && matrix.iter().any(|row| !row.allowed));
    for row in &matrix {
        assert_eq!(row.allowed, promised(plan, &row.probe), "{row:?}");
    }
    for port in [2379, 2380, 6443, 80, 22] {
        assert!(
            matrix.iter().any(|row| row.probe.port == port),
            "nothing about {port}"
        );
    }
    assert!(
        matrix.iter().any(|row| row.probe.via.is_some()) || plan.class(Class::Worker).count() == 0
    );
}

#[test]
fn the_matrix_holds_the_promises() {
    for (etcd, planes, workers) in [(3, 1, 1), (3, 3, 2), (1, 1, 0)] {
        check_promises(&planned(&requirement(etcd, planes, workers)));
    }
}

#[test]
fn explanations_name_the_deciding_rule() {
    let plan = planned(&requirement(3, 1, 1));
    let policy = Policy::standard(&plan);
    let rules = |from: &str, port, via: bool| {
        let matrix = reachability(&plan, &policy).into_iter();
        let mut rows = matrix.filter(|row| {
            let probe = &row.probe;
            probe.from.to_string() == from
                && probe.to.to_string() == "etcd-0"
                && probe.port == port
                && probe.via.is_some() == via
        });
        let probe = rows.next().expect("in the matrix").probe;
        assert_eq!(probe.protocol, Protocol::Tcp);
        let decisions = policy.explain(&plan, &probe);
        decisions
            .iter()
            .map(|decision| decision.rule)
            .collect::<Vec<_>>()
    };
    assert_eq!(rules("cp-0", 2379, false), ["etcd-client"]);
    assert_eq!(rules("cp-0", 2380, false), ["default"]);
    assert_eq!(rules("etcd-1", 2380, false), ["etcd-peer"]);
    assert_eq!(rules("worker-0", 2379, false), ["kube-to-etcd"]);
    assert_eq!(rules("worker-0", 2379, true), ["guard-into-etcd"]);
    assert_eq!(rules("pod on cp-0", 2379, false), ["guard-into-etcd"]);
    assert_eq!(rules("host", 2379, false), ["host-to-guests", "default"]);
    assert_eq!(rules("internet", 2379, false), ["unsolicited"]);
}

#[test]
fn a_source_address_that_is_not_ones_own_is_dropped() {
    let plan = planned(&requirement(3, 1, 1));
    let policy = Policy::standard(&plan);
    let egress = reachability(&plan, &policy)
        .into_iter()
        .find(|row| row.probe.from.to_string() == "worker-0" && row.probe.to == Endpoint::Internet);
    let mut probe = egress.expect("in the matrix").probe;
    assert_eq!(policy.explain(&plan, &probe)[0].rule, "egress");
    probe.source = "10.200.0.1".parse().expect("an address");
    assert_eq!(policy.explain(&plan, &probe)[0].rule, "spoof-kube");
}

/// What pf's grammar refuses, as far as it concerns what is printed here.
#[test]
fn the_anchor_keeps_to_the_grammar_of_pf() {
    let plan = planned(&requirement(3, 3, 2));
    let uplink = netplan::InterfaceName::new("em0").expect("a name");
    let anchor = Policy::standard(&plan).pf_anchor(&plan, &uplink);
    assert!(anchor.load.ends_with('\n') && !anchor.load.contains('\r'));
    assert_eq!(
        anchor.undo_arguments(),
        ["-a", "labcluster/lab", "-F", "all"]
    );
    let line = |text: &str| {
        let at = anchor.load.lines().position(|line| line.contains(text));
        at.unwrap_or_else(|| panic!("no {text:?} in the anchor"))
    };
    // Tables, translation, filtering; discovery before any block of a bridge; segments before
    // egress; the host's services before the host is closed.
    let order = [
        "table <kube>",
        "nat on em0",
        "pass quick on lo0",
        "spoof-etcd",
        "icmp6-type { 130",
        "kube-to-etcd",
        "(self) port 53",
        "guests-to-router",
        "tag LAB_lab",
        "bad-source",
        "unsolicited",
        "pass out quick on em0 tagged",
        "block drop out log quick on",
    ];
    let lines: Vec<usize> = order.iter().map(|text| line(text)).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    for line in anchor
        .load
        .lines()
        .filter(|line| !line.starts_with("table"))
    {
        assert!(
            ["nat ", "pass ", "block "]
                .iter()
                .any(|word| line.starts_with(word)),
            "{line}"
        );
        assert!(!line.contains(','), "pf wants blanks in lists: {line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn promises_hold_at_any_size(etcd in 1..=9_u16, planes in 1..=5_u16, workers in 0..=9_u16) {
        check_promises(&planned(&requirement(etcd, planes, workers)));
    }
}
