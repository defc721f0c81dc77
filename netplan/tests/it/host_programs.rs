//! A host's steps and files as the programs take them that they are for.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;

use netplan::{Effect, HostRouter, HostStep, Plan, RouterSpec};
use serde_json::Value;

use crate::host::{lines, on_hosts};
use crate::namespace::Namespace;

/// sh(1) gives each variable the value that was meant, and keeps what lists had before.
#[test]
#[ignore = "needs sh"]
fn sh_reads_rc_conf() {
    for (_, plan) in on_hosts() {
        let knobs = HostRouter::of(&plan).expect("a host").rc_conf(110);
        let mut script = String::from("set -eu\n");
        let mut expected: Vec<(String, String)> = Vec::new();
        for knob in &knobs {
            let known = expected.iter_mut().find(|(name, _)| *name == knob.name);
            match (known, knob.appends) {
                (Some((_, value)), true) => *value += &format!(" {}", knob.value),
                (Some(_), false) => panic!("{knob} takes away what was there"),
                (None, true) => {
                    script += &format!("{}=before\n", knob.name);
                    expected.push((knob.name.clone(), format!("before {}", knob.value)));
                }
                (None, false) => expected.push((knob.name.clone(), knob.value.clone())),
            }
        }
        script += &lines(&knobs);
        for (name, _) in &expected {
            script += &format!("echo \"{name}=${name}\"\n");
        }
        let output = Command::new("sh").args(["-c", &script]).output();
        let output = output.expect("sh is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{error}");
        let expected: String = expected
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

fn json(namespace: &Namespace, arguments: &[&str]) -> Vec<Value> {
    let text = namespace.stdout(&[&["ip", "-json"], arguments].concat());
    serde_json::from_str(&text).expect("ip prints JSON")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Every address of a bridge, with the prefix length.
fn addresses(namespace: &Namespace) -> BTreeSet<(String, IpAddr, u64)> {
    let mut all = BTreeSet::new();
    for link in json(namespace, &["address"]) {
        let name = text(&link["ifname"]);
        for info in link["addr_info"].as_array().expect("a list") {
            let address = text(&info["local"]).parse().expect("an address");
            assert!(info.get("tentative").is_none(), "{info}");
            let length = info["prefixlen"].as_u64().expect("a length");
            all.insert((name.clone(), address, length));
        }
    }
    all
}

fn routes(namespace: &Namespace) -> BTreeSet<(String, String)> {
    let routes = ["-4", "-6"].map(|family| json(namespace, &[family, "route"]));
    let routes = routes.iter().flatten();
    let via = |route: &Value| Some((text(&route["dst"]), text(route.get("gateway")?)));
    routes.filter_map(via).collect()
}

fn links(namespace: &Namespace) -> BTreeSet<String> {
    let links = json(namespace, &["link"]);
    links.iter().map(|link| text(&link["ifname"])).collect()
}

fn expected_addresses(plan: &Plan) -> BTreeSet<(String, IpAddr, u64)> {
    let mut all = BTreeSet::new();
    for network in &plan.networks {
        for (net, address) in network.nets.iter().zip(network.gateway.iter()) {
            all.insert((network.bridge.to_string(), address, net.prefix_len().into()));
            if address.is_ipv6() {
                let link_local = "fe80::1".parse().expect("an address");
                all.insert((network.bridge.to_string(), link_local, 64));
            }
        }
    }
    all
}

#[track_caller]
fn check_host(namespace: &Namespace, plan: &Plan, steps: &[HostStep]) {
    assert_eq!(addresses(namespace), expected_addresses(plan));
    let planned = plan.router_routes.iter();
    let planned = planned.map(|route| (route.to.to_string(), route.via.to_string()));
    assert_eq!(routes(namespace), planned.collect());
    for HostStep { effect, .. } in steps {
        if let Effect::Setting(setting) = effect {
            let value = namespace.stdout(&["sysctl", "-n", "-e", &setting.name]);
            // Nothing is there without the module br_netfilter.
            let absent = value.is_empty() && setting.name.starts_with("net/bridge/");
            assert!(
                absent || value.trim() == setting.value,
                "{setting}: {value}"
            );
        }
    }
    for network in &plan.networks {
        let link = &json(
            namespace,
            &["-details", "link", "show", network.bridge.as_str()],
        )[0];
        let bridge = &link["linkinfo"]["info_data"];
        for property in ["stp_state", "forward_delay", "mcast_snooping"] {
            assert_eq!(bridge[property], 0, "{property} of {}", network.bridge);
        }
        assert!(link["flags"].to_string().contains("\"UP\""), "{link}");
    }
}

#[test]
#[ignore = "needs ip"]
fn the_kernel_does_what_the_steps_say_and_forgets_it() {
    for (_, plan) in on_hosts() {
        let steps = HostRouter::of(&plan).expect("a host").linux_steps();
        let namespace = Namespace::new();
        let RouterSpec::Host { uplink } = &plan.router else {
            panic!("the host routes");
        };
        let pair = format!("ip link add name {uplink} type veth peer name outside");
        namespace.stdout(&pair.split(' ').collect::<Vec<_>>());
        let before = links(&namespace);
        for step in &steps {
            namespace.stdout(&step.argv);
        }
        check_host(&namespace, &plan, &steps);
        // Again, and nothing is different.
        for step in &steps {
            let again = namespace.run(&step.argv).status.success();
            assert_eq!(again, step.repeatable, "{:?}", step.argv);
        }
        check_host(&namespace, &plan, &steps);
        for argv in HostStep::undo_all(&steps) {
            namespace.stdout(argv);
        }
        assert_eq!(links(&namespace), before);
        assert_eq!(addresses(&namespace), BTreeSet::new());
        assert_eq!(routes(&namespace), BTreeSet::new());
    }
}
