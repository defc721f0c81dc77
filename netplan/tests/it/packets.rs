//! The promises of the policy, kept by the kernel: flows of whole labs, tried in namespaces.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::collections::BTreeSet;
use std::process::Command;

use netplan::{
    Endpoint, Expectation, Family, Net, Plan, Policy, Probe, Protocol, ROUTER_LINK, ROUTER_UPLINK,
    Requirement, RouterSpec, Verdict, reachability,
};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::{labs, planned, program, requirement};

/// A lab with its policy, and what is left out of it.
struct Trial {
    plan: Plan,
    policy: Policy,
    /// The class whose rules are not loaded.
    without: Option<&'static str>,
    /// Rows beside those of the matrix.
    extra: Vec<Value>,
}

impl Trial {
    fn new(requirement: &Requirement) -> Self {
        let plan = planned(requirement);
        let extra = Family::BOTH.into_iter();
        let extra = extra.filter_map(|family| to_nobody(&plan, family));
        Self {
            policy: Policy::standard(&plan),
            extra: extra.collect(),
            plan,
            without: None,
        }
    }

    /// What packets show that is not as expected, and whether there is something.
    fn run(&self) -> (String, bool) {
        let routes = self.plan.machines.iter().map(|machine| {
            let routes = self.plan.routes_of(machine);
            (machine.name.to_string(), json!(routes))
        });
        let classes = self.plan.classes.iter().filter_map(|class| {
            let rules = self.policy.nft_guest(class)?.load;
            let left_out = self.without == Some(class.name.as_str());
            (!left_out).then(|| (class.name.to_string(), Value::from(rules)))
        });
        let router = self.policy.nft_router(&self.plan);
        let input = json!({
            "plan": self.plan,
            "routes": routes.collect::<serde_json::Map<_, _>>(),
            "rules": {
                "router": router.load,
                "table": router.table,
                "classes": classes.collect::<serde_json::Map<_, _>>(),
                "link": ROUTER_LINK,
                "uplink": ROUTER_UPLINK,
            },
            "rows": self.rows(),
        });
        let mut command = Command::new("timeout");
        command
            .args(["120", "unshare", "--map-root-user", "--net", "--mount"])
            .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"])
            .arg("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packets.py"));
        let output = program::run(&mut command, &input.to_string());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        (said + &error, output.status.success())
    }

    /// The matrix with TCP, and each of its ways with UDP and echo.
    fn rows(&self) -> Vec<Value> {
        let matrix = reachability(&self.plan, &self.policy);
        let mut rows: Vec<Value> = matrix.iter().map(|row| self.row(&row.probe)).collect();
        let mut ways = BTreeSet::new();
        for Expectation { probe, .. } in &matrix {
            let way = (&probe.from, &probe.to, probe.destination, &probe.via);
            if !ways.insert(way) {
                continue;
            }
            let with = |protocol, port| Probe {
                protocol,
                port,
                ..probe.clone()
            };
            if self.is_answered(probe) {
                rows.push(self.row(&with(Protocol::Echo, 0)));
            }
            if matches!(probe.to, Endpoint::Router | Endpoint::Host) {
                let ports = [53, 123, 20_000].into_iter();
                rows.extend(ports.map(|port| self.row(&with(Protocol::Udp, port))));
            }
        }
        rows.extend(self.extra.clone());
        rows
    }

    /// Whether an answer takes the way back: one to a pod does not from a machine that is no node
    /// and has its default routes on another network.
    fn is_answered(&self, probe: &Probe) -> bool {
        let (Endpoint::PodOn(_), Endpoint::Machine(name)) = (&probe.from, &probe.to) else {
            return true;
        };
        let machine = self.plan.machine(name.as_str()).expect("a machine");
        let main = machine.main_address().expect("a default route");
        machine.pods.is_some() || main.iter().any(|own| own == probe.destination)
    }

    fn row(&self, probe: &Probe) -> Value {
        let decisions = self.policy.explain(&self.plan, probe);
        let mut verdicts = decisions.iter().map(|decision| decision.verdict);
        let last = decisions.last().map(|decision| decision.verdict);
        let mut row = json!(probe);
        row["refused"] = (last == Some(Verdict::Refuse)).into();
        row["from"] = self.namespace(&probe.from).into();
        row["to"] = self.namespace(&probe.to).into();
        row["allowed"] = verdicts.all(|verdict| verdict == Verdict::Allow).into();
        row["why"] = format!("{decisions:?}").into();
        row
    }

    fn namespace(&self, endpoint: &Endpoint) -> String {
        let is_host = matches!(self.plan.router, RouterSpec::Host { .. });
        match endpoint {
            Endpoint::PodOn(node) => format!("pod-on-{node}"),
            Endpoint::Host if is_host => "router".to_owned(),
            other => other.to_string(),
        }
    }

    #[track_caller]
    fn passes(&self) {
        let (said, as_expected) = self.run();
        assert!(as_expected, "{said}");
    }
}

fn tcp(
    from: &str,
    to: &str,
    (source, destination, port): (&str, &str, u16),
    allowed: bool,
) -> Value {
    json!({
        "from": from, "to": to, "source": source, "destination": destination, "port": port,
        "protocol": "tcp", "via": null, "allowed": allowed, "why": "as the test says",
    })
}

/// From a machine to an address of the lab that no network has: refused, and not sent out.
fn to_nobody(plan: &Plan, family: Family) -> Option<Value> {
    let lab = plan.supernet.of(family)?;
    let step = (family.bits() - lab.prefix_len()).saturating_sub(8);
    let link = plan.link.and_then(|link| link.nets.of(family));
    let networks = plan.networks.iter();
    let networks = networks.filter_map(|network| network.nets.of(family));
    let routes = plan.router_routes.iter().map(|route| route.to);
    let routes = routes.filter(|to| to.prefix_len() > 0);
    let taken: Vec<Net> = networks.chain(routes).chain(link).collect();
    let mut addresses = (0..256).filter_map(|n: u128| lab.nth(n << step));
    let nobodys = addresses.find(|address| !taken.iter().any(|net| net.contains(*address)))?;
    let mut machines = plan.machines.iter();
    let (name, source) = machines.find_map(|machine| {
        let source = machine.main_address()?.of(family)?;
        Some((machine.name.as_str(), source.to_string()))
    })?;
    let mut row = tcp(name, "internet", (&source, &nobodys.to_string(), 80), false);
    row["refused"] = true.into();
    Some(row)
}

#[test]
#[ignore = "needs nft, ip and python3"]
fn packets_do_what_the_matrix_says() {
    for requirement in [requirement(3, 1, 1), requirement(3, 3, 2)] {
        Trial::new(&requirement).passes();
    }
}

/// The same trial sees the hole when the guard is left out, so it can fail.
#[test]
#[ignore = "needs nft, ip and python3"]
fn packets_show_the_hole_that_the_guard_closes() {
    let mut trial = Trial::new(&requirement(1, 1, 1));
    trial.without = Some("cp");
    let (said, as_expected) = trial.run();
    assert!(!as_expected, "{said}");
    let hole = |line: &str| {
        line.starts_with("worker-0 -> etcd-0 tcp ") && line.contains(":2379 via cp-0: yes")
    };
    assert!(said.lines().any(hole), "{said}");
}

#[test]
#[ignore = "needs nft, ip and python3"]
fn nodes_with_two_networks_and_one_address_for_ipv6() {
    Trial::new(&labs::nodes_nat66()).passes();
}

#[test]
#[ignore = "needs nft, ip and python3"]
fn ipv6_stays_inside() {
    Trial::new(&labs::ula_only()).passes();
}

/// Prefix translation counts in both directions: the API server is reached from outside under its
/// own translated address, and by the router's. Nothing else is.
#[test]
#[ignore = "needs nft, ip and python3"]
fn prefixes_are_translated_in_both_directions() {
    let mut trial = Trial::new(&labs::npt());
    trial.policy = trial.policy.with_api_on_uplink(&trial.plan);
    let plane = trial.plan.machine("cp-0").expect("one control plane");
    let inside = plane.address("kube").and_then(|address| address.v6);
    let inside = inside.expect("dual stack").to_string();
    for (port, allowed) in [(6443, true), (22, false)] {
        let addresses = ("2001:db8:feed::1", inside.as_str(), port);
        let mut row = tcp("internet", "cp-0", addresses, allowed);
        row["translate"] = true.into();
        trial.extra.push(row);
    }
    trial.passes();
}

/// Model and kernel agree on labs that nobody has thought of; the same ones each time, and
/// `NETPLAN_LABS` says how many.
#[test]
#[ignore = "needs nft, ip and python3"]
fn packets_do_what_the_matrix_says_in_any_lab() {
    let mut runner = TestRunner::deterministic();
    let count = std::env::var("NETPLAN_LABS").map_or(3, |count| count.parse().expect("a number"));
    for _ in 0..count {
        let lab = labs::any().new_tree(&mut runner).expect("a lab").current();
        let (said, as_expected) = Trial::new(&lab).run();
        assert!(
            as_expected,
            "{said}\n{}",
            serde_json::to_string(&lab).expect("data")
        );
    }
}

/// On a host that routes, what is not the lab's is neither filtered nor translated, and does not
/// reach the lab.
#[test]
#[ignore = "needs nft, ip and python3"]
fn a_host_keeps_its_other_networks() {
    for (requirement, guest) in [
        (labs::host_npt(), "web-0"),
        (labs::cluster_on_host(), "worker-0"),
    ] {
        let mut trial = Trial::new(&requirement);
        let machine = trial.plan.machine(guest).expect("a machine");
        let address = machine.main_address().expect("a default route");
        for (own, lab, gateway, server) in [
            (
                "172.29.0.2",
                address.v4.expect("dual stack").to_string(),
                "172.29.0.1",
                "198.51.100.1",
            ),
            (
                "fd29::2",
                address.v6.expect("dual stack").to_string(),
                "fd29::1",
                "2001:db8:feed::1",
            ),
        ] {
            let mut out = tcp("stranger", "internet", (own, server, 80), true);
            out["seen_as"] = own.into();
            trial.extra.extend([
                out,
                tcp("internet", "stranger", (server, own, 22), true),
                tcp("stranger", "router", (own, gateway, 22), true),
                tcp("router", "stranger", (gateway, own, 20_000), true),
                tcp("stranger", guest, (own, &lab, 22), false),
                tcp(guest, "stranger", (&lab, own, 22), false),
                tcp(guest, "router", (&lab, gateway, 22), false),
            ]);
        }
        trial.passes();
    }
}
