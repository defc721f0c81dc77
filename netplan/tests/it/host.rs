//! What a host does that routes, as data.

use std::collections::BTreeSet;

use netplan::{Effect, HostRouter, HostStep, Plan, Route};

use crate::golden::check;
use crate::guest::plans;

pub(crate) fn on_hosts() -> Vec<(&'static str, Plan)> {
    let plans = plans().into_iter();
    let on_hosts: Vec<_> = plans
        .filter(|(_, plan)| HostRouter::of(plan).is_some())
        .collect();
    assert_eq!(on_hosts.len(), 2);
    on_hosts
}

pub(crate) fn lines<T: ToString>(all: &[T]) -> String {
    all.iter().map(|one| one.to_string() + "\n").collect()
}

fn listed(steps: &[HostStep]) -> String {
    let mut text = String::new();
    for HostStep { argv, why, .. } in steps {
        text += &format!("{}  # {why}\n", argv.join(" "));
    }
    text += "\n# undo\n";
    for argv in HostStep::undo_all(steps) {
        text += &format!("{}\n", argv.join(" "));
    }
    text
}

#[test]
fn files_and_steps() {
    for (case, plan) in on_hosts() {
        let router = HostRouter::of(&plan).expect("the host routes");
        check(case, "host/rc.conf", &lines(&router.rc_conf(110)));
        check(case, "host/sysctl.conf", &lines(&router.sysctl_conf()));
        check(case, "host/freebsd", &listed(&router.freebsd_steps()));
        check(case, "host/linux", &listed(&router.linux_steps()));
    }
}

#[test]
fn a_router_of_its_own_leaves_the_host_alone() {
    assert!(HostRouter::of(&plans()["reference"]).is_none());
}

/// The names of `/etc/defaults/rc.conf` that are used here, with `*` for the names of things.
const KNOBS: [&str; 13] = [
    "cloned_interfaces",
    "gateway_enable",
    "ifconfig_*",
    "ifconfig_*_alias0",
    "ifconfig_*_ipv6",
    "ifconfig_*_name",
    "ipv6_cpe_wanif",
    "ipv6_gateway_enable",
    "ipv6_route_*",
    "ipv6_static_routes",
    "pf_enable",
    "pflog_enable",
    "route_*",
];
const LISTS: [&str; 3] = ["cloned_interfaces", "ipv6_static_routes", "static_routes"];

#[test]
fn knobs_have_names_that_the_system_knows() {
    for (_, plan) in on_hosts() {
        let router = HostRouter::of(&plan).expect("the host routes");
        let mut names = BTreeSet::new();
        for knob in router.rc_conf(0) {
            let known = KNOBS.iter().chain(&LISTS).any(|known| {
                let (start, end) = known.split_once('*').unwrap_or((known, ""));
                knob.name.starts_with(start) && knob.name.ends_with(end)
            });
            assert!(known, "{knob}");
            assert_eq!(knob.appends, LISTS.contains(&knob.name.as_str()), "{knob}");
            assert!(knob.appends || names.insert(knob.name.clone()), "{knob}");
            let plain = |c: char| c.is_ascii_alphanumeric() || " .:/%_-".contains(c);
            assert!(knob.value.chars().all(plain), "{knob}");
        }
    }
}

/// What holds until the next boot is what comes back after it.
#[test]
fn steps_and_lines_of_freebsd_say_the_same() {
    for (_, plan) in on_hosts() {
        let router = HostRouter::of(&plan).expect("the host routes");
        let text = lines(&router.rc_conf(110)) + &lines(&router.sysctl_conf());
        for HostStep { effect, .. } in router.freebsd_steps() {
            let line = match effect {
                Effect::Interface(name) => format!("_name=\"{name}\""),
                // rc.subr(8) reads a variable whose name has '_' where the interface has '-'.
                Effect::Up(name) => format!("ifconfig_{}=", name.as_str().replace('-', "_")),
                Effect::Address {
                    address,
                    prefix_len,
                    interface,
                } if address.to_string().starts_with("fe80") => {
                    format!("\"inet6 {address}%{interface}/{prefix_len}\"")
                }
                Effect::Address {
                    address,
                    prefix_len,
                    ..
                } => format!(" {address}/{prefix_len} "),
                Effect::Route(Route { to, via }) if via.is_ipv4() => {
                    format!("=\"-net {to} {via}\"")
                }
                Effect::Route(Route { to, via }) => {
                    let (address, length) = (to.address(), to.prefix_len());
                    format!("=\"{address} -prefixlen {length} {via}\"")
                }
                Effect::Setting(setting) if setting.name.contains("bridge") => setting.to_string(),
                // The rest is what gateway_enable and ipv6_cpe_wanif stand for.
                _ => continue,
            };
            assert!(text.contains(&line), "{line} in\n{text}");
        }
    }
}

#[test]
fn undo_is_the_reverse_and_takes_away_all_that_was_made() {
    for (_, plan) in on_hosts() {
        let router = HostRouter::of(&plan).expect("the host routes");
        for steps in [router.linux_steps(), router.freebsd_steps()] {
            let made = |step: &&HostStep| {
                matches!(
                    step.effect,
                    Effect::Interface(_) | Effect::Address { .. } | Effect::Route(_)
                )
            };
            let expected: Vec<_> = steps.iter().rev().filter(made).collect();
            let undo: Vec<_> = HostStep::undo_all(&steps).collect();
            assert_eq!(undo.len(), expected.len());
            for (undo, step) in undo.iter().zip(expected) {
                assert_eq!(Some(*undo), step.undo.as_deref());
            }
            let words = steps.iter().flat_map(|step| &step.argv);
            assert!(words.clone().all(|word| !word.is_empty()));
            assert!(
                words
                    .clone()
                    .all(|word| !word.contains([' ', '"', '$', ';']))
            );
        }
    }
}
