//! What machines are told, as data: for plans that differ in families, homes and routes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netplan::{Family, Machine, NetworkdFile, Plan, hosts_file, network_config_v2, networkd_files};

use crate::golden::check;
use crate::{labs, planned, requirement};

/// Three networks of three kinds, and machines on every combination that can go wrong.
const MIXED: &str = r#"{
    "lab": "demo", "seed": 7,
    "networks": [
        { "name": "front" }, { "name": "store", "families": "v4" }, { "name": "six", "families": "v6" }
    ],
    "classes": [
        { "name": "web", "role": "worker", "count": 2, "networks": ["front"] },
        { "name": "db", "role": "worker", "count": 1, "networks": ["store", "six", "front"] },
        { "name": "cold", "count": 1, "networks": ["store"] },
        { "name": "lone", "count": 1, "networks": ["six"] },
        { "name": "odd", "count": 1, "networks": ["front", "store"] }
    ],
    "kubernetes": { "version": "1.37", "network": "front" },
    "router": { "host": { "uplink": "em0.7" } }
}"#;

/// Plans by the folder of their golden files.
pub(crate) fn plans() -> BTreeMap<&'static str, Plan> {
    let on_host = labs::on_host(requirement(3, 1, 1), "em0");
    let mixed = serde_json::from_str(MIXED).expect("a requirement");
    BTreeMap::from([
        ("reference", planned(&requirement(3, 1, 1))),
        ("reference-on-host", planned(&on_host)),
        ("three-networks", planned(&mixed)),
    ])
}

/// Those of them whose machines differ: where the router is makes no difference to a machine.
pub(crate) fn plans_for_guests() -> BTreeMap<&'static str, Plan> {
    let mut plans = plans();
    let on_host = plans.remove("reference-on-host").expect("a plan");
    let files = |plan: &Plan| {
        let machines = plan.machines.iter();
        machines
            .map(|own| network_config_v2(plan, own, &nameservers(plan, own)))
            .collect::<Vec<_>>()
    };
    assert_eq!(files(&on_host), files(&plans["reference"]));
    plans
}

/// The first machine of each class.
pub(crate) fn samples(plan: &Plan) -> impl Iterator<Item = &Machine> {
    let classes = plan.classes.iter();
    classes.filter_map(|class| plan.of_class(&class.name).next())
}

/// The router's own addresses, as resolvers, on the network of the default routes.
pub(crate) fn nameservers(plan: &Plan, machine: &Machine) -> Vec<IpAddr> {
    let nic = machine.main_nic();
    let network = plan.network_of(nic.expect("each machine has one"));
    network.gateway.iter().collect()
}

/// The families that a machine has a default route of, with the gateway.
pub(crate) fn default_gateway(plan: &Plan, machine: &Machine, family: Family) -> Option<IpAddr> {
    nameservers(plan, machine)
        .into_iter()
        .find(|gateway| Family::of(*gateway) == family)
}

#[test]
fn files() {
    for (case, plan) in plans_for_guests() {
        check(case, "guest/hosts", &hosts_file(&plan));
        for machine in samples(&plan) {
            let nameservers = nameservers(&plan, machine);
            let text = network_config_v2(&plan, machine, &nameservers);
            let folder = format!("guest/{}", machine.name);
            check(case, &format!("{folder}/network-config"), &text);
            for file in networkd_files(&plan, machine, &nameservers) {
                check(case, &format!("{folder}/{}", file.name), &file.text);
            }
        }
    }
}

/// Word for word what cluster-lab has written so far.
#[test]
fn names_of_the_reference_lab() {
    let plan = planned(&requirement(1, 1, 1));
    let text = |network: &str, name: &str| {
        let machine = plan.machine(name).expect("a machine");
        let own = machine.address(network).expect("on this network");
        let (v4, v6) = (own.v4.expect("dual"), own.v6.expect("dual"));
        format!("{v4} {name}\n{v6} {name}\n")
    };
    let expected = format!(
        "127.0.0.1 localhost\n::1 localhost\n{}{}{}",
        text("etcd", "etcd-0"),
        text("kube", "cp-0"),
        text("kube", "worker-0")
    );
    assert_eq!(hosts_file(&plan), expected);
}

fn files_of(plan: &Plan, machine: &Machine, kind: &str) -> Vec<NetworkdFile> {
    let mut files = networkd_files(plan, machine, &nameservers(plan, machine));
    files.retain(|file| file.name.ends_with(kind));
    files
}

fn lines_with<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix(start))
        .collect()
}

#[test]
fn one_default_route_of_each_family_and_only_where_it_belongs() {
    for plan in plans().values() {
        for machine in &plan.machines {
            let expected = nameservers(plan, machine);
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            let files = files_of(plan, machine, ".network");
            for (nic, file) in machine.nics.iter().zip(&files) {
                let general = file.text.split("[Route]").next().expect("a first part");
                let wanted: &[String] = if nic.default_route { &expected } else { &[] };
                assert_eq!(lines_with(general, "Gateway="), wanted, "{}", file.text);
                assert_eq!(lines_with(general, "DNS="), wanted, "{}", file.text);
            }
            let text = network_config_v2(plan, machine, &[]);
            for (family, to) in [(Family::V4, "0.0.0.0/0"), (Family::V6, "::/0")] {
                let gateway = default_gateway(plan, machine, family);
                let wanted = gateway.map(|via| format!("- to: \"{to}\"\n        via: \"{via}\"\n"));
                let count = usize::from(wanted.is_some());
                assert_eq!(text.matches(&format!("\"{to}\"")).count(), count, "{text}");
                assert!(text.contains(&wanted.unwrap_or_default()), "{text}");
            }
            for word in ["default", "gateway", "table", "policy", "nameservers"] {
                assert!(!text.contains(word), "{word} in\n{text}");
            }
        }
    }
}

/// On the one interface whose network the next hop is on.
#[test]
fn every_route_once() {
    for plan in plans().values() {
        let (mut routes, mut of_nodes) = (0, 0);
        for machine in &plan.machines {
            let config = network_config_v2(plan, machine, &[]);
            let files = files_of(plan, machine, ".network");
            of_nodes += usize::from(machine.pods.is_some());
            for route in plan.routes_of(machine) {
                routes += 1;
                let (to, via) = (route.to, route.via);
                let lines = format!("[Route]\nDestination={to}\nGateway={via}\n");
                let holders: Vec<_> = files.iter().filter(|f| f.text.contains(&lines)).collect();
                assert_eq!(holders.len(), 1, "{lines}");
                let lines = format!("- to: \"{to}\"\n        via: \"{via}\"\n");
                assert_eq!(config.matches(&lines).count(), 1, "{lines}");
            }
        }
        // Both families, from each node to each other.
        assert_eq!(routes, 2 * of_nodes * (of_nodes - 1));
        assert!(routes > 0);
    }
}

#[test]
fn a_family_that_a_network_lacks_is_not_mentioned() {
    let plans = plans();
    let plan = &plans["three-networks"];
    let text = |machine: &str| {
        let machine = plan.machine(machine).expect("a machine");
        let file = &files_of(plan, machine, ".network")[0].text;
        (file.clone(), network_config_v2(plan, machine, &[]))
    };
    let (networkd, config) = text("cold-0");
    assert!(networkd.contains("LinkLocalAddressing=no\n"));
    assert!(!networkd.contains("DuplicateAddress") && !networkd.contains("::"));
    assert!(!config.contains("::1") && !config.contains("::/0"));
    let (networkd, config) = text("lone-0");
    assert!(networkd.contains("LinkLocalAddressing=ipv6\nIPv6DuplicateAddressDetection=0\n"));
    assert!(!networkd.contains('.') && !config.contains("10."));
}
