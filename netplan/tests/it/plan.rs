//! What plans look like, and what they avoid.

use std::collections::BTreeSet;

use netplan::{
    Families, Family, HostFacts, InterfaceName, LabName, NetworkName, Occupied, Requirement,
    RouterSpec, V6Mode, plan,
};

use crate::sound::{assert_repeats, assert_sound};
use crate::{net, planned, requirement};

fn occupied(texts: &[&str]) -> HostFacts {
    let occupied = texts.iter().map(|text| Occupied {
        net: net(text),
        by: "route via eth0".to_owned(),
    });
    HostFacts {
        occupied: occupied.collect(),
        ..HostFacts::default()
    }
}

#[test]
fn the_reference_lab_reads_well() {
    let asked = requirement(3, 1, 1);
    let plan = planned(&asked);
    assert_sound(&plan);
    assert_repeats(&asked, &HostFacts::default(), &plan);
    let cp = plan.machine("cp-0").expect("planned");
    let text = |network: &str, family| {
        let address = cp.address(network).and_then(|both| both.of(family));
        address.expect("dual-stack").to_string()
    };
    assert!(text("etcd", Family::V4).ends_with(".0.30"));
    assert!(text("kube", Family::V4).ends_with(".1.30"));
    assert!(text("kube", Family::V6).ends_with(":1::30"));
    let pods = cp.pods.and_then(|pods| pods.v6).expect("a node");
    assert!(pods.to_string().ends_with(":130::/64"), "{pods}");
    let kubernetes = plan.kubernetes.as_ref().expect("a cluster");
    let dns = kubernetes.services.dns.v6.expect("dual-stack");
    assert!(dns.to_string().ends_with(":16::a"), "{dns}");
    let nic = cp.nic("etcd").expect("dual-homed");
    let names = (nic.name.as_str(), nic.port.as_str());
    assert_eq!(names, ("etcd0", "cp-0-etcd"));
    assert!(!nic.default_route);
    assert_eq!(cp.main_address(), cp.address("kube"));
}

#[test]
fn routes_lead_to_the_pods_of_the_others() {
    let plan = planned(&requirement(3, 1, 2));
    let worker = plan.machine("worker-0").expect("planned");
    let own: Vec<_> = worker.pods.expect("a node").iter().collect();
    let routes = plan.routes_of(worker);
    assert_eq!(routes.len(), 4, "two other nodes, two families");
    assert!(routes.iter().all(|route| !own.contains(&route.to)));
    let cp = plan.machine("cp-0").expect("planned");
    let via = cp.address("kube").and_then(|both| both.of(Family::V4));
    assert_eq!(Some(routes[0].via), via);
    let etcd = plan.machine("etcd-0").expect("planned");
    assert!(plan.routes_of(etcd).is_empty());
    assert_eq!(
        plan.router_routes.len(),
        8,
        "three nodes and the default, two families"
    );
    assert_eq!(plan.router_routes[7].to, net("::/0"));
    let back: Vec<_> = plan.internet_routes.iter().map(|route| route.to).collect();
    assert_eq!(Some(back[0]), plan.supernet.v6);
}

#[test]
fn the_internet_knows_the_name_that_the_lab_has_outside() {
    let to = |v6_mode| {
        let asked = Requirement {
            v6_mode,
            ..requirement(1, 1, 1)
        };
        let routes = planned(&asked).internet_routes;
        routes.first().map(|route| route.to)
    };
    let outside = net("2001:db8:7::/48");
    assert_eq!(to(V6Mode::Npt { outside }), Some(outside));
    let address = "2001:db8::7".parse().expect("an address");
    assert_eq!(to(V6Mode::Nat66 { address }), Some(net("2001:db8::7/128")));
    assert_eq!(to(V6Mode::UlaOnly), None);
}

#[test]
fn occupied_networks_are_avoided() {
    let asked = requirement(3, 1, 1);
    let first = planned(&asked).supernet.v4.expect("IPv4").to_string();
    let busy = ["0.0.0.0/0", &first, "10.128.0.0/9", "10.130.1.0/24"];
    let second = plan(&asked, &occupied(&busy), None).expect("a plan");
    let chosen = second.supernet.v4.expect("IPv4");
    assert!(net("10.0.0.0/9").covers(chosen) && chosen != net(&first));
    let moved = plan(&asked, &occupied(&["10.0.0.0/8"]), None).expect("a plan");
    let chosen = moved.supernet.v4.expect("IPv4");
    assert!(net("172.16.0.0/12").covers(chosen));
    let ula = planned(&asked).supernet.v6.expect("IPv6").to_string();
    let third = plan(&asked, &occupied(&[&ula, "::/0"]), None).expect("a plan");
    assert!(third.supernet.v6.is_some_and(|chosen| chosen != net(&ula)));
}

#[test]
fn an_occupied_network_can_be_meant() {
    let (hidden, whole) = (["10.50.4.0/24"], ["10.50.0.0/16"]);
    let asked = |lint: Option<&str>| Requirement {
        v4: Some(net("10.50.0.0/16")),
        allow: lint
            .into_iter()
            .map(|lint| netplan::Allow {
                lint: lint.to_owned(),
                reason: "never at the same time".to_owned(),
            })
            .collect(),
        ..requirement(1, 1, 0)
    };
    for (busy, lint) in [(hidden, "host-route-hidden"), (whole, "host-route-equal")] {
        let facts = occupied(&busy);
        let error = plan(&asked(None), &facts, None).expect_err("occupied");
        assert!(
            error
                .to_string()
                .contains(&format!("allow {lint} and say why"))
        );
        let meant = asked(Some(lint));
        let planned = plan(&meant, &facts, None).expect("allowed");
        let findings = netplan::lint(&meant, &planned, &facts);
        assert!(
            findings
                .iter()
                .any(|one| one.lint.name == lint && !one.is_fatal())
        );
    }
    assert!(plan(&asked(Some("host-route-equal")), &occupied(&hidden), None).is_err());
}

/// What other tools take without asking is taken last only.
#[test]
fn habits_of_others_are_avoided_while_there_is_anything_else() {
    let habits = [
        "10.96.0.0/12",
        "10.244.0.0/16",
        "10.42.0.0/15",
        "10.88.0.0/16",
        "10.0.0.0/15",
    ];
    for name in [
        "a", "b", "demo", "lab", "k8s", "test", "x1", "x2", "x3", "x4",
    ] {
        let asked = Requirement {
            lab: LabName::new(name).expect("a name"),
            ..requirement(1, 1, 0)
        };
        let chosen = planned(&asked).supernet.v4.expect("IPv4");
        assert!(!habits.iter().any(|habit| net(habit).overlaps(chosen)));
    }
    // Only 10.244.0.0/16 is free.
    let mut busy = vec!["172.16.0.0/12".to_owned()];
    busy.extend(
        (0..256)
            .filter(|at| *at != 244)
            .map(|at| format!("10.{at}.0.0/16")),
    );
    let busy: Vec<&str> = busy.iter().map(String::as_str).collect();
    let last = plan(&requirement(1, 1, 0), &occupied(&busy), None).expect("a plan");
    assert_eq!(last.supernet.v4, Some(net("10.244.0.0/16")));
}

#[test]
fn labs_of_two_names_have_bridges_and_ports_of_two_names() {
    let labs = [
        "a",
        "aa",
        "a-a",
        "ab",
        "abcdefghijkl",
        "abcdefghijklm",
        "abcdefghijk",
    ];
    let networks = ["kube", "akube", "bkube", "aakube"];
    let mut bridges = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for lab in labs {
        for network in networks {
            let name = NetworkName::new(network).expect("a name");
            let mut asked = Requirement {
                lab: LabName::new(lab).expect("a name"),
                router: RouterSpec::Host {
                    uplink: InterfaceName::new("eth0").expect("a name"),
                },
                kubernetes: None,
                ..requirement(1, 0, 0)
            };
            asked.networks.truncate(1);
            asked.networks[0].name = name.clone();
            asked.classes.truncate(1);
            asked.classes[0].networks = vec![name];
            let plan = planned(&asked);
            assert_sound(&plan);
            assert!(plan.link.is_none() && plan.internet.is_none());
            let bridge = plan.networks[0].bridge.to_string();
            let port = plan.machines[0].nics[0].port.to_string();
            assert!(
                bridges.insert(bridge.clone()),
                "{bridge} of {lab} and {network}"
            );
            assert!(ports.insert(port.clone()), "{port} of {lab} and {network}");
        }
    }
    assert!(bridges.is_disjoint(&ports));
}

#[test]
fn long_names_have_ports_that_fit() {
    let mut asked = requirement(1, 1, 1);
    asked.classes[2].name = "a-class-of-long-name".parse().expect("a name");
    asked.classes[2].count = 205;
    asked.kubernetes.as_mut().expect("a cluster").nodes = 256;
    let plan = planned(&asked);
    assert_sound(&plan);
    let nic = &plan.machines.last().expect("a worker").nics[0];
    assert!(nic.port.as_str().starts_with("a-class") && nic.port.as_str().len() == 15);
}

#[test]
fn a_network_of_one_family_has_nothing_of_the_other() {
    for (families, family) in [(Families::V4, Family::V6), (Families::V6, Family::V4)] {
        let mut asked = requirement(3, 1, 1);
        for network in &mut asked.networks {
            network.families = families;
        }
        let kubernetes = asked.kubernetes.as_mut().expect("a cluster");
        kubernetes.families = families;
        kubernetes.primary = families.iter().next().expect("a family");
        let plan = planned(&asked);
        assert_sound(&plan);
        assert_eq!(plan.supernet.of(family), None);
        assert!(plan.lock().nets().all(|(_, net)| net.family() != family));
        let routes = plan.router_routes.iter().chain(&plan.host_routes);
        assert!(
            routes
                .chain(&plan.internet_routes)
                .all(|route| route.to.family() != family)
        );
    }
}

/// The hashes of 32 bits of number 14,089 and of one before it meet.
#[test]
fn ports_whose_hashes_meet_are_told_apart() {
    let mut asked = requirement(0, 0, 0);
    asked.kubernetes = None;
    asked.networks.truncate(1);
    asked.networks[0].families = Families::V4;
    asked.classes.truncate(1);
    asked.classes[0].name = "a-class-of-long-name".parse().expect("a name");
    asked.classes[0].count = 20_000;
    asked.classes[0].room = None;
    let plan = planned(&asked);
    let ports = plan.machines.iter().map(|own| own.nics[0].port.as_str());
    let different: BTreeSet<&str> = ports.collect();
    assert_eq!(different.len(), 20_000);
}

/// Pods take a whole digit of the prefix where that leaves room for the networks, else less.
#[test]
fn a_short_prefix_of_a_provider_holds_a_cluster() {
    for (v6, nodes, len) in [
        ("fd00:1:2::/48", 128, 56),
        ("fd00:1:2:100::/56", 128, 57),
        ("fd00:1:2:100::/56", 16, 60),
        ("fd00:1:2::/48", 5000, 51),
    ] {
        let mut asked = requirement(3, 1, 1);
        asked.v6 = Some(net(v6));
        let kubernetes = asked.kubernetes.as_mut().expect("a cluster");
        kubernetes.nodes = nodes;
        kubernetes.families = Families::V6;
        kubernetes.primary = Family::V6;
        let plan = planned(&asked);
        assert_sound(&plan);
        let pods = plan.kubernetes.as_ref().and_then(|own| own.pods.v6);
        assert_eq!(pods.map(netplan::Net::prefix_len), Some(len), "{v6}");
        let lock = plan.lock();
        assert_eq!(
            netplan::plan(&asked, &HostFacts::default(), Some(&lock)),
            Ok(plan)
        );
    }
}
