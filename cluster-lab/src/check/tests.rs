//! The trial itself, tried: on paper for a lab whose router is a host, and with packets in a lab that runs.

use super::{
    flows,
    machines::Machines,
    matrix::{MatrixRow, Proof, prove},
    namespaces::{Namespaces, tell_senders},
    stage::{Ends, Stage},
};
use crate::{Blueprint, Hosts, Lab, LabSpec, Places};
use futures::FutureExt;
use host_exec::{Command, LocalHost, NetworkNamespace, event::Silent};
use netplan::{
    Addresses, HostFacts, KubernetesVersion, MachineCounts, Plan, Policy, Requirement, RouterSpec,
    V6Mode,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    panic::{AssertUnwindSafe, resume_unwind},
    path::PathBuf,
};

/// A lab whose router is the host itself, behind one address of each family.
pub(super) fn routed_by_a_host() -> (Plan, Policy) {
    let lab = "demo".parse().unwrap();
    let version = KubernetesVersion::new(37);
    let counts = MachineCounts::default();
    let mut requirement = Requirement::reference(lab, 7, version, counts);
    requirement.router = RouterSpec::Host {
        uplink: "em0".parse().unwrap(),
    };
    requirement.v6_mode = V6Mode::Nat66 {
        address: "2001:db8::10".parse().unwrap(),
    };
    let plan = netplan::plan(&requirement, &HostFacts::default(), None).unwrap();
    let policy = Policy::standard(&plan);
    (plan, policy)
}

#[test]
fn what_cannot_be_tried_has_an_end_out_of_reach() {
    let (plan, policy) = routed_by_a_host();
    let (hosts, here) = (Hosts::new(), LocalHost::new("here".parse().unwrap()));
    let known = Addresses {
        v4: Some("198.51.100.2".parse().unwrap()),
        v6: None,
    };
    let machines = Machines::new(&hosts, &here).with_internet(known);
    let mut refused: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut to_internet = BTreeSet::new();
    for flow in flows::expected(&plan, &policy) {
        let (from, to) = (flow.probe.from.to_string(), flow.probe.to.to_string());
        match machines.prepare(&flow) {
            Err(why) => {
                let ends = (from == "internet", to, flow.probe.port, flow.family);
                refused.entry(why).or_default().insert(ends);
            }
            Ok(flow) if to == "internet" => drop(to_internet.insert(flows::address(&flow))),
            Ok(ready) => assert_eq!(ready, flow),
        }
    }
    let ends = |why| refused.get(why).cloned().unwrap_or_default();
    let from_internet = ends("nobody of the lab is on the internet to try it");
    assert!(from_internet.iter().all(|(internet, ..)| *internet));
    let without_server = ends("no server on the internet is known that tells who it sees");
    let v6_out = (false, "internet".to_owned(), 80, netplan::Family::V6);
    assert_eq!(without_server, BTreeSet::from([v6_out]));
    let silent = ends("the host is not made to listen there");
    let dns = netplan::Family::BOTH.map(|family| (false, "host".to_owned(), 53, family));
    assert_eq!(silent, BTreeSet::from(dns));
    assert_eq!(refused.len(), 3, "{refused:#?}");
    assert_eq!(
        to_internet,
        BTreeSet::from([SocketAddr::from(([198, 51, 100, 2], 80))])
    );
}

/// A lab of its own, taken down whatever comes of the test.
struct Running {
    lab: Lab,
    dir: PathBuf,
}

impl Running {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment says where programs and images are kept"
    )]
    fn new(name: &str) -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap();
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::split_paths(&path).collect();
        // Not /tmp, which may be in memory or an overlay.
        let dir = PathBuf::from(format!("/var/tmp/lab-test-{name}-{}", std::process::id()));
        let places = Places {
            state: dir.join("labs"),
            cache: cache.unwrap_or(home.join(".cache")).join("lab"),
            run: "/run/lab".into(),
            bin_dir: std::env::var_os("LAB_BIN_DIR").map(PathBuf::from),
            path_dirs: path,
        };
        let spec = LabSpec::from_toml(&format!("name = '{name}'\npatience = 2.0\n")).unwrap();
        let lab = Lab::new(spec, places, time::OffsetDateTime::now_utc());
        Self { lab, dir }
    }

    async fn run(&self, test: impl AsyncFnOnce(&Lab)) {
        std::fs::create_dir_all(&self.dir).unwrap();
        let ran = AssertUnwindSafe(test(&self.lab)).catch_unwind().await;
        self.lab.down(false, &Silent).await.unwrap();
        std::fs::remove_dir_all(&self.dir).unwrap();
        if let Err(panic) = ran {
            resume_unwind(panic);
        }
    }
}

/// A lab that runs, its machines as hosts, and its internet with the server that tells senders.
struct Scene<'l> {
    lab: &'l Lab,
    blueprint: Blueprint,
    hosts: Hosts,
}

impl Scene<'_> {
    fn machines(&self) -> Machines<'_> {
        let internet = self.blueprint.network.internet.unwrap();
        Machines::new(&self.hosts, self.lab.here()).with_internet(internet.server)
    }

    fn namespaces(&self) -> Namespaces<'_> {
        Namespaces::new(self.blueprint.group_name().clone(), self.lab.here())
    }

    async fn prove(&self, ends: impl Ends) -> Proof {
        let Blueprint {
            network, policy, ..
        } = &self.blueprint;
        prove(network, policy, 1.0, ends).await.unwrap()
    }

    async fn said(&self, machine: &str, words: &[&str]) -> String {
        let host = &self.hosts[&machine.parse().unwrap()];
        let command = Command::new(words[0]).args(words[1..].iter().copied());
        let output = host.run(&command).await.unwrap();
        output.stdout_text().into_owned()
    }

    /// What a trial could leave on a machine.
    async fn traces(&self, machine: &str) -> String {
        let mut traces = self.said(machine, &["ip", "netns", "list"]).await;
        traces += &self.said(machine, &["ip", "link", "show"]).await;
        let units = ["systemctl", "list-units", "--all", "lab-probe*"];
        traces += &self.said(machine, &units).await;
        for family in ["-4", "-6"] {
            let routes = ["ip", family, "route", "show", "proto", "98"];
            traces += &self.said(machine, &routes).await;
        }
        traces
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn commands_on_machines_prove_what_sockets_in_their_namespaces_prove() {
    let test = async |lab: &Lab| {
        lab.up(&Silent).await.unwrap();
        let blueprint = lab.draft().await.unwrap();
        let hosts = lab.see(&blueprint).await.unwrap().hosts;
        let internet = NetworkNamespace::named(&blueprint.group_name().netns("internet"));
        let server = blueprint.network.internet.unwrap().server;
        for address in server.iter() {
            let listener = internet.listen(SocketAddr::new(address, 80)).await.unwrap();
            tokio::spawn(tell_senders(listener));
        }
        let scene = Scene {
            lab,
            blueprint,
            hosts,
        };
        both_see_the_same(&scene).await;
        a_killed_trial_is_cleared_by_the_next(&scene).await;
        a_hole_is_seen(&scene).await;
    };
    Running::new("t-prove").run(test).await;
}

type Key<'r> = (&'r str, &'r str, SocketAddr, Option<&'r str>);

fn by_flow(rows: &[MatrixRow]) -> BTreeMap<Key<'_>, (bool, bool, bool)> {
    let pair = |row: &'_ MatrixRow| (row.expected, row.seen, row.ok);
    rows.iter()
        .map(|row| {
            let key = (&*row.from, &*row.to, row.address, row.via.as_deref());
            (key, pair(row))
        })
        .collect()
}

async fn both_see_the_same(scene: &Scene<'_>) {
    let inside = scene.prove(scene.namespaces()).await;
    assert_eq!(inside.untried, []);
    let outside = scene.prove(scene.machines()).await;
    for row in &outside.rows {
        assert!(row.ok, "{row:?}");
    }
    let (all, tried) = (by_flow(&inside.rows), by_flow(&outside.rows));
    let left = all.keys().filter(|key| !tried.contains_key(*key));
    let left: Vec<_> = left.collect();
    for (key, seen) in &tried {
        assert_eq!(all.get(key), Some(seen), "{key:?}");
    }
    assert_eq!(left.len(), outside.untried.len());
    for (from, to, address, _) in left {
        let is_internet = *from == "internet";
        let is_dns = (*to, address.port()) == ("router", 53);
        assert!(is_internet || is_dns, "{from} to {to} at {address}");
    }
}

async fn a_killed_trial_is_cleared_by_the_next(scene: &Scene<'_>) {
    let Blueprint {
        network, policy, ..
    } = &scene.blueprint;
    let flows = flows::expected(network, policy);
    let mut killed = Stage::new(network, scene.machines());
    killed.set(&flows).await.unwrap();
    killed.add_detours(&flows).await.unwrap();
    let traces = scene.traces("worker-0").await;
    for trace in ["lab-probe@", "lab-probe.socket", "lab-probe-pod.socket"] {
        assert!(traces.contains(trace), "no {trace} in {traces}");
    }
    for network in ["10.", "fd"] {
        let detour = format!("\n{network}");
        assert!(traces.contains(&detour), "no {network} in {traces}");
    }
    let proof = scene.prove(scene.machines()).await;
    assert_eq!(proof.rows.iter().find(|row| !row.ok), None);
    for machine in scene.hosts.keys() {
        let traces = scene.traces(machine.as_str()).await;
        let is_left = traces.contains("lab-probe") || traces.contains(" via ");
        assert!(!is_left, "{machine}: {traces}");
    }
}

async fn a_hole_is_seen(scene: &Scene<'_>) {
    let hole = ["nft", "delete", "table", "inet", "lab"];
    scene.said("etcd-0", &hole).await;
    let proof = scene.prove(scene.machines()).await;
    let bad: Vec<_> = proof.rows.iter().filter(|row| !row.ok).collect();
    assert_ne!(bad.len(), 0);
    for row in bad {
        assert_eq!(row.to, "etcd-0", "{row:?}");
        assert_eq!((row.expected, row.seen), (false, true), "{row:?}");
    }
}
