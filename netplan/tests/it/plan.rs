//! What every plan must keep, and what cannot be planned.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netplan::{
    Class, Family, HostFacts, LabName, Lock, Net, NetworkName, Occupied, Plan, PlanError,
    Requirement, plan, reserved,
};
use proptest::prelude::*;

use crate::{net, planned, requirement};

/// Networks that must not share an address.
fn ranges(plan: &Plan) -> Vec<Net> {
    let networks = plan.networks.iter().flat_map(|network| network.nets.both());
    let rest = [plan.link.nets, plan.services.nets, plan.pods].map(netplan::NetPair::both);
    networks.chain(rest.into_iter().flatten()).collect()
}

fn assert_sound(plan: &Plan) {
    let ranges = ranges(plan);
    for (at, net) in ranges.iter().enumerate() {
        assert!(plan.supernet.of(net.family()).covers(*net), "{net} outside");
        assert!(
            !ranges[..at].iter().any(|other| other.overlaps(*net)),
            "{net} overlaps"
        );
    }
    let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
    let mut macs = BTreeSet::new();
    for network in &plan.networks {
        addresses.extend(network.gateway.both());
    }
    for machine in &plan.machines {
        assert_eq!(
            machine.nics.iter().filter(|nic| nic.default_route).count(),
            1
        );
        for nic in &machine.nics {
            assert!(macs.insert(nic.mac));
            assert_eq!(nic.mac.octets()[0], 2);
            for address in nic.address.both() {
                let net = plan.network(nic.network).nets.of(Family::of(address));
                assert!(net.contains(address));
                assert!(
                    !reserved(net)
                        .iter()
                        .any(|reserved| reserved.net.contains(address))
                );
                assert!(addresses.insert(address), "{address} twice");
            }
        }
    }
    let pods: Vec<Net> = plan
        .machines
        .iter()
        .filter_map(|m| m.pods)
        .flat_map(netplan::NetPair::both)
        .collect();
    for (at, net) in pods.iter().enumerate() {
        assert!(plan.pods.of(net.family()).covers(*net));
        assert!(
            !pods[..at].iter().any(|other| other.overlaps(*net)),
            "{net} overlaps"
        );
    }
}

/// Everything of `old` that `new` has too stands where it stood.
fn assert_nobody_moved(old: &Plan, new: &Plan) {
    assert_eq!(old.supernet, new.supernet);
    assert_eq!(old.networks, new.networks);
    assert_eq!(
        (old.link, old.services, old.pods),
        (new.link, new.services, new.pods)
    );
    for before in &old.machines {
        if let Some(after) = new.machine(before.name.as_str()) {
            assert_eq!(before.nics, after.nics);
            assert_eq!(before.pods, after.pods);
        }
    }
}

#[test]
fn the_reference_lab_reads_well() {
    let plan = planned(&requirement(3, 1, 1));
    assert_sound(&plan);
    let cp = plan.machine("cp-0").expect("planned");
    let etcd0 = cp.address(NetworkName::Etcd).expect("dual-homed");
    let kube0 = cp.address(NetworkName::Kube).expect("dual-homed");
    assert!(etcd0.v4.to_string().ends_with(".0.30") && kube0.v4.to_string().ends_with(".1.30"));
    assert!(kube0.v6.to_string().ends_with(":1::30"));
    assert!(
        cp.pods
            .expect("a node")
            .v6
            .to_string()
            .ends_with(":130::/64")
    );
    assert!(plan.services.dns.v6.to_string().ends_with(":16::a"));
    let nic = cp.nic(NetworkName::Etcd).expect("dual-homed");
    assert_eq!(
        (nic.name.as_str(), nic.port.as_str()),
        ("etcd0", "cp-0-etcd")
    );
    assert!(!nic.default_route);
    assert_eq!(plan.class(Class::Etcd).count(), 3);
}

#[test]
fn routes_lead_to_the_pods_of_the_others() {
    let plan = planned(&requirement(3, 1, 2));
    let worker = plan.machine("worker-0").expect("planned");
    let own = worker.pods.expect("a node");
    assert_eq!(worker.routes.len(), 4, "two other nodes, two families");
    assert!(
        worker
            .routes
            .iter()
            .all(|route| !own.both().contains(&route.to))
    );
    assert!(plan.machine("etcd-0").expect("planned").routes.is_empty());
    assert_eq!(
        plan.router_routes.len(),
        8,
        "three nodes and the default, two families"
    );
    assert_eq!(plan.router_routes[7].to, net("::/0"));
}

#[test]
fn occupied_networks_and_habits_are_avoided() {
    let first = planned(&requirement(3, 1, 1));
    let by = "route via eth0".to_owned();
    let occupied = |text: &str| Occupied {
        net: net(text),
        by: by.clone(),
    };
    let facts = HostFacts {
        occupied: vec![
            occupied("0.0.0.0/0"),
            Occupied {
                net: first.supernet.v4,
                by: by.clone(),
            },
            occupied("10.128.0.0/9"),
            occupied("10.130.1.0/24"),
        ],
    };
    let second = plan(&requirement(3, 1, 1), &facts, None).expect("a plan");
    for busy in facts.occupied.iter().skip(1).map(|occupied| occupied.net) {
        assert!(
            !second.supernet.v4.overlaps(busy),
            "{} on {busy}",
            second.supernet.v4
        );
    }
    let facts = HostFacts {
        occupied: vec![occupied("10.0.0.0/8")],
    };
    let moved = plan(&requirement(3, 1, 1), &facts, None).expect("a plan");
    assert!(net("172.16.0.0/12").covers(moved.supernet.v4));
    // What the lock says holds, whatever the host shows: it may be the lab's own route.
    let facts = HostFacts {
        occupied: vec![Occupied {
            net: first.supernet.v4,
            by,
        }],
    };
    let kept = plan(&requirement(3, 1, 1), &facts, Some(&first.lock())).expect("a plan");
    assert_eq!(kept, first);
}

/// One bad requirement per case, with the whole message.
#[test]
fn bad_requirements_name_field_value_and_remedy() {
    type Edit = fn(&mut Requirement);
    let cases: &[(Edit, &str)] = &[
        (
            |r| r.machines.etcd = 0,
            "machines.etcd = 0 is impossible: a cluster needs at least one; write 1 to 20",
        ),
        (
            |r| r.machines.etcd = 21,
            "machines.etcd = 21 is impossible: the addresses of a class end there; write 1 to 20",
        ),
        (
            |r| r.machines.control_planes = 0,
            "machines.control_planes = 0 is impossible: a cluster needs at least one; write 1 to 20",
        ),
        (
            |r| r.machines.workers = 200,
            "machines.workers = 200 is impossible: the pod range has no room for more nodes (see sizes.pods_v4 and sizes.pods_v6); write 0 to 127",
        ),
        (
            |r| {
                r.sizes.node_pods_v4 = 26;
                r.machines.workers = 206
            },
            "machines.workers = 206 is impossible: the addresses of a class end there; write 0 to 205",
        ),
        (
            |r| r.sizes.services_v4 = 16,
            "sizes.services_v4 = 16 is impossible: the lab's /16 holds other networks too, and Kubernetes needs some addresses; write 17 to 27",
        ),
        (
            |r| r.sizes.services_v6 = 64,
            "sizes.services_v6 = 64 is impossible: API servers before 1.33 refuse more than 20 bits, and DNS needs the tenth address; write 108 to 123",
        ),
        (
            |r| r.sizes.node_pods_v6 = 80,
            "sizes.node_pods_v6 = 80 is impossible: one node gets a part of the pod range, at most 16 bits longer (kubeadm's limit); write 56 to 72",
        ),
        (
            |r| r.v4 = Some(net("10.77.0.0/17")),
            "v4 = 10.77.0.0/17 cannot be used: write a /16 out of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
        ),
        (
            |r| r.v4 = Some(net("8.8.0.0/16")),
            "v4 = 8.8.0.0/16 cannot be used: write a /16 out of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
        ),
        (
            |r| r.v6 = Some(net("fc00::/48")),
            "v6 = fc00::/48 cannot be used: write a /48 out of fd00::/8, with 40 random bits behind the fd",
        ),
        (
            |r| r.v4 = Some(net("192.168.0.0/16")),
            "v4 = 192.168.0.0/16 overlaps 192.168.1.0/24 of this host (address of eth0): choose another network, or leave the field out to have a free one chosen",
        ),
        (
            |r| {
                r.v4 = Some(net("10.77.0.0/16"));
                r.networks.kube_v4 = Some(net("10.78.0.0/24"))
            },
            "networks.kube_v4 = 10.78.0.0/24 cannot be used: write a network inside the lab's 10.77.0.0/16",
        ),
        (
            |r| {
                r.v4 = Some(net("10.77.0.0/16"));
                r.networks.kube_v4 = Some(net("10.77.0.0/23"))
            },
            "networks.kube_v4 = 10.77.0.0/23 cannot be used: write an IPv4 network of length /24",
        ),
        (
            |r| {
                r.v4 = Some(net("10.77.0.0/16"));
                r.networks.kube_v4 = Some(net("10.77.9.0/24"));
                r.networks.etcd_v4 = r.networks.kube_v4
            },
            "networks.kube_v4 = 10.77.9.0/24 overlaps 10.77.9.0/24 (networks.etcd_v4): move one of them, or leave networks.kube_v4 out to have it placed",
        ),
        (
            |r| {
                r.v4 = Some(net("10.77.0.0/16"));
                r.sizes.services_v4 = 17;
            },
            "no room for network/pods in 10.77.0.0/16: make the ranges in `sizes` smaller (longer prefixes), or move explicit networks",
        ),
    ];
    let occupied = Occupied {
        net: net("192.168.1.0/24"),
        by: "address of eth0".to_owned(),
    };
    let facts = HostFacts {
        occupied: vec![occupied],
    };
    for (edit, expected) in cases {
        let mut requirement = requirement(3, 1, 1);
        edit(&mut requirement);
        let error = plan(&requirement, &facts, None).expect_err(expected);
        assert_eq!(error.to_string(), *expected);
    }
}

#[test]
fn contradictions_of_the_lock_are_refused() {
    let first = planned(&requirement(3, 1, 1));
    let replan = |edit: &dyn Fn(&mut Requirement)| {
        let mut requirement = requirement(3, 1, 1);
        edit(&mut requirement);
        plan(&requirement, &HostFacts::default(), Some(&first.lock())).expect_err("refused")
    };
    let is_locked = |error: PlanError, field: &str| match error {
        PlanError::Locked { field: found, .. } => assert_eq!(found, field),
        other => panic!("{other}"),
    };
    is_locked(replan(&|r| r.v4 = Some(net("10.77.0.0/16"))), "v4");
    is_locked(replan(&|r| r.sizes.pods_v4 = 18), "networks.pods_v4");
    is_locked(replan(&|r| r.sizes.node_pods_v4 = 25), "sizes.node_pods_v4");
    let other = replan(&|r| r.lab = LabName::new("other").expect("a name"));
    assert!(
        other
            .to_string()
            .starts_with("the network lock belongs to lab lab, not other")
    );
}

#[test]
fn unknown_fields_are_refused() {
    let text = r#"{ "lab": "demo", "seed": 7, "workers": 2 }"#;
    let error = serde_json::from_str::<Requirement>(text)
        .expect_err("unknown")
        .to_string();
    assert!(error.contains("unknown field `workers`"), "{error}");
    let text = r#"{ "lab": "demo", "seed": 7, "v4": "10.77.0.1/16" }"#;
    let error = serde_json::from_str::<Requirement>(text)
        .expect_err("host bits")
        .to_string();
    assert!(error.contains("write 10.77.0.0/16"), "{error}");
}

#[test]
fn labs_of_two_names_have_bridges_of_two_names() {
    let names = [
        "a",
        "ab",
        "a-b",
        "abcdefghijkl",
        "abcdefghijklm",
        "abcdefghijk",
    ];
    let mut seen = BTreeSet::new();
    for name in names {
        let plan = planned(&Requirement::new(LabName::new(name).expect("a name"), 1));
        assert!(
            seen.insert(plan.networks[0].host_bridge.to_string()),
            "{name}"
        );
    }
}

prop_compose! {
    fn counts()(etcd in 1..=20_u16, planes in 1..=20_u16, workers in 0..=100_u16) -> (u16, u16, u16) {
        (etcd, planes, workers)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_plan_is_sound_and_repeats_itself(
        (etcd, planes, workers) in counts(),
        seed in any::<u64>(),
        name in "[a-z][a-z0-9]{0,18}",
    ) {
        let mut asked = requirement(etcd, planes, workers);
        asked.seed = seed;
        asked.lab = LabName::new(name).expect("a name");
        let first = planned(&asked);
        assert_sound(&first);
        let lock = Lock::from_text(&first.lock().to_text()).expect("its own text");
        let again = plan(&asked, &HostFacts::default(), Some(&lock)).expect("a plan");
        prop_assert_eq!(&again, &first);
        // The seed of the lock counts.
        asked.seed = !seed;
        prop_assert_eq!(&plan(&asked, &HostFacts::default(), Some(&lock)).expect("a plan"), &first);
    }

    #[test]
    fn edits_move_nobody(edits in prop::collection::vec(counts(), 1..6)) {
        let mut last: Option<Plan> = None;
        for (etcd, planes, workers) in edits {
            let lock = last.as_ref().map(Plan::lock);
            let next = plan(&requirement(etcd, planes, workers), &HostFacts::default(), lock.as_ref())
                .expect("a plan");
            assert_sound(&next);
            if let Some(last) = &last {
                assert_nobody_moved(last, &next);
            }
            last = Some(next);
        }
    }
}
