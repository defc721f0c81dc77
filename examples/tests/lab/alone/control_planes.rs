//! Several control planes: added to a lab that runs, killed one by one under load, and nobody notices for long.

use crate::{
    lab::{Lab, Scene},
    run::{Next, Running},
    waiting::{LONG, so, wait_for},
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long requests may fail when a machine is lost.
const LONGEST_FAILURE: Duration = Duration::from_secs(3);
/// How long a load runs after a loss: past every time-out on the way.
const AFTERWARDS: Duration = Duration::from_secs(12);
/// A ConfigMap is made, and another, and what came of each is told; `$1` tells the loads apart. The pause leaves processors to
/// what is looked at: kubectl has more work than its server.
const WRITE: &str = r#"
n=0
while :; do
    n=$((n + 1))
    sleep 0.1
    if /opt/lab/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --server https://127.0.0.1:7443 \
        --request-timeout 2s create configmap "load-$1-$n" >/dev/null 2>&1
    then echo "ok load-$1-$n"
    else echo "no load-$1-$n"
    fi
done"#;
/// The same for nodes that may only read: their own Node.
const READ: &str = r#"
while :; do
    sleep 0.1
    if /opt/lab/bin/kubectl --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout 2s get node "$1" >/dev/null 2>&1
    then echo ok
    else echo no
    fi
done"#;

#[test]
#[ignore = "needs root"]
fn any_machine_may_be_lost() {
    let scene = Scene::new();
    let lab = scene.lab("t-ha");
    lab.up(&[]);
    let before = certificate(&lab);
    let grown = lab.up(&["--control-planes", "3"]);
    assert_eq!(grown.result["changed"], true);
    assert_eq!(certificate(&lab), before, "growth changes no certificate");
    lab.check();
    lab.up(&[]).changed_nothing();

    // The one that has the virtual address, and the one that led etcd.
    let holder = holder(&lab);
    let loads = Loads::start(&lab, &["cp-0", "cp-1", "cp-2"], &["worker-0"]);
    loads.lose(&lab, &holder);
    assert_eq!(lab.up(&[]).result["changed"], true);
    lab.check();

    let leader = etcd_leader(&lab);
    let loads = Loads::start(&lab, &["cp-0", "cp-1", "cp-2"], &["worker-0"]);
    loads.lose(&lab, &leader);
    lab.up(&[]);
    lab.check();

    lab.down();
    scene.nothing_is_left();
}

/// What this machine's kubectl shows of the API server of the first control plane.
#[track_caller]
fn certificate(lab: &Lab<'_>) -> String {
    lab.ok(&[
        "exec",
        "cp-0",
        "--",
        "cat",
        "/etc/kubernetes/pki/apiserver.crt",
    ])
}

#[track_caller]
fn holder(lab: &Lab<'_>) -> String {
    let address = &lab.network()["kubernetes"]["endpoint"]["v4"];
    let address = format!(" {}/32 ", address.as_str().unwrap());
    wait_for("holder of the virtual address", || {
        let has = |plane: &&str| {
            let shown = lab.ok(&["exec", plane, "--", "ip", "-o", "-4", "address"]);
            shown.contains(&address)
        };
        let holders: Vec<&str> = ["cp-0", "cp-1", "cp-2"].into_iter().filter(has).collect();
        match holders[..] {
            [one] => Ok(one.to_owned()),
            _ => Err(format!("{holders:?}")),
        }
    })
}

#[track_caller]
fn etcd_leader(lab: &Lab<'_>) -> String {
    let report = lab.check();
    let conditions = report["conditions"].as_array().unwrap();
    let evidence = |name: &str| {
        let found = conditions.iter().find(|one| one["name"] == name);
        found.unwrap()["evidence"].as_str().unwrap().to_owned()
    };
    // "etcd-0 follows 62bc9e24fbd68a9d in term 2, ...", and "etcd-0 511af316c3ce1507 in 12b562c1c68ceaf8, ..."
    let leader = evidence("etcd has one leader");
    let leader = leader.split(' ').nth(2).unwrap();
    let members = conditions.iter().filter(|one| {
        let name = one["name"].as_str().unwrap();
        name.starts_with("all etcd members are in cluster")
    });
    let members: Vec<&Value> = members.collect();
    let text = members[0]["evidence"].as_str().unwrap();
    let member = text.split(", ").find(|member| member.contains(leader));
    member.unwrap().split(' ').next().unwrap().to_owned()
}

/// A load on one node, through its balancer.
struct Load {
    node: &'static str,
    running: Running,
    /// When each answer came, and what it was.
    answers: Vec<(Instant, bool)>,
    /// The objects whose making was acknowledged.
    made: BTreeSet<String>,
}

struct Loads(Vec<Load>);

impl Loads {
    #[track_caller]
    fn start(lab: &Lab<'_>, writers: &[&'static str], readers: &[&'static str]) -> Self {
        let begun = lab.get(&["configmaps"])["items"].as_array().unwrap().len();
        let load = |node: &'static str, script, name: String| Load {
            node,
            running: lab.start(&["exec", node, "--", "sh", "-c", script, "load", &name]),
            answers: Vec::new(),
            made: BTreeSet::new(),
        };
        let writers = writers
            .iter()
            .map(|node| load(node, WRITE, format!("{node}-{begun}")));
        let readers = readers
            .iter()
            .map(|node| load(node, READ, (*node).to_owned()));
        let mut loads = Self(writers.chain(readers).collect());
        // Until each has been answered twice.
        let deadline = Instant::now() + LONG;
        while loads.0.iter().any(|load| load.answers.len() < 2) {
            assert!(Instant::now() < deadline, "a load gets no answer");
            loads.listen(Duration::from_millis(50));
        }
        loads
    }

    /// Takes in what they say for a while.
    #[track_caller]
    fn listen(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            for load in &mut self.0 {
                if let Next::Line(line) = load.running.next(Duration::from_millis(5)) {
                    let ok = line.starts_with("ok");
                    load.answers.push((Instant::now(), ok));
                    let name = line.strip_prefix("ok ").map(str::to_owned);
                    load.made.extend(name);
                }
            }
        }
    }

    /// Kills a machine, and demands that the loads of the others hardly notice and that nothing is lost.
    #[track_caller]
    fn lose(mut self, lab: &Lab<'_>, machine: &str) {
        self.listen(Duration::from_secs(2));
        let killed = Instant::now();
        lab.kill_machine(machine);
        self.listen(AFTERWARDS);
        let (mut made, mut total) = (BTreeSet::new(), 0);
        for load in self.0 {
            load.running.signal_all(Signal::SIGTERM);
            load.running.end();
            made.extend(load.made);
            if load.node == machine {
                continue;
            }
            total += load.answers.len();
            let failed = failed_for(&load.answers);
            let seen = load.answers.iter().filter(|(_, ok)| !ok).count();
            eprintln!(
                "{machine} lost: {} was without the API for {:.2} s, {seen} of {} requests failed",
                load.node,
                failed.as_secs_f64(),
                load.answers.len()
            );
            assert!(failed <= LONGEST_FAILURE, "{}: {failed:?}", load.node);
            let last = load.answers.last().unwrap();
            assert!(last.1 && last.0 > killed, "{} does not recover", load.node);
        }
        assert!(total > 20, "too little load to prove anything: {total}");
        // The kubeconfig of this machine leads to one that lives.
        wait_for("answer to this machine", || {
            let done = lab.run(&["kubectl", "--request-timeout=2s", "get", "namespaces"]);
            so(done.code == Some(0), done.err)
        });
        let items = lab.get(&["configmaps"]);
        let there: BTreeSet<String> = items["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(crate::work::name)
            .collect();
        let lost: Vec<_> = made.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        eprintln!(
            "{machine} lost: {} acknowledged writes, all there",
            made.len()
        );
    }
}

/// The longest time in which requests failed: from a good answer, after which the first of them was made, to the last bad
/// one before the next good one. How long that one took belongs to the machine: where it is busy, kubectl needs a second.
fn failed_for(answers: &[(Instant, bool)]) -> Duration {
    let mut longest = Duration::ZERO;
    let mut last_good = answers[0].0;
    for (at, ok) in answers {
        if *ok {
            last_good = *at;
        } else {
            longest = longest.max(at.duration_since(last_good));
        }
    }
    longest
}
