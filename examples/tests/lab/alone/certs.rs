//! The life of certificates while somebody writes: renewed, and authorities rotated, killed in the middle, taken back.

use crate::{
    lab::{Lab, Scene},
    run::{Next, Running},
    waiting::LONG,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// A ConfigMap is made, and another, and what came of each is told; `$1` tells the writers apart.
///
/// A write that etcd drops while its leader hands over is made again, once: after a second, when the hand-over is over or
/// given up (an election's time-out). It is the same one, so that "already exists" says that only its answer was lost.
///
/// It pauses before each: writers without a pause have both processors for themselves, and what they look at waits.
const WRITE: &str = r#"
write() {
    /opt/lab/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --server https://127.0.0.1:7443 \
        --request-timeout 20s create configmap "$1" >/tmp/writer 2>&1
}
n=0
while :; do
    n=$((n + 1))
    sleep 0.2
    if write "$1-$n"; then echo ok; continue; fi
    said=$(tr '\n' ' ' </tmp/writer)
    case $said in
        *"raft proposal dropped"* | *"etcdserver: request timed out"* | *"error reading from server: EOF"*)
            sleep 1
            if write "$1-$n" || grep -q 'already exists' /tmp/writer
            then echo "again $said"
            else echo "no $said; again: $(tr '\n' ' ' </tmp/writer)"
            fi ;;
        *) echo "no $said" ;;
    esac
done"#;

/// How many writes may have to be made again while both authorities of etcd are rotated: members are restarted in four
/// rounds, the lead is handed over once in each, and each of three writers has one write under way.
const MOST_AGAIN: usize = 12;

#[test]
#[ignore = "needs root"]
fn certificates_are_renewed_and_rotated_under_load() {
    let scene = Scene::new();
    let lab = scene.lab("t-certs");
    lab.up(&["--control-planes", "3"]);
    renew(&lab);
    etcd_killed_and_resumed(&lab);
    front_proxy_and_back(&lab);
    kubernetes(&lab);
    lab.up(&[]).changed_nothing();
    lab.check();
    lab.down();
    scene.nothing_is_left();
}

/// All leaves, and nobody notices.
fn renew(lab: &Lab<'_>) {
    let before = leaf_of_api(lab);
    let plan = lab.json(&["certs", "renew", "--dry-run"]);
    let steps = plan["steps"].to_string();
    assert!(
        steps.contains("restart kube-controller-manager.service"),
        "{steps}"
    );
    assert!(!steps.contains("restart kube-apiserver.service"), "{steps}");
    assert!(!steps.contains("restart etcd"), "{steps}");
    let writers = Writers::start(lab, "renew");
    timed("renewal", || lab.ok(&["certs", "renew"]));
    writers.end(0);
    assert_ne!(leaf_of_api(lab), before);
    fine(lab);
}

/// Killed while the members are started anew, the next goes on; what is refused while a leader hands over is taken when it
/// is asked for again.
fn etcd_killed_and_resumed(lab: &Lab<'_>) {
    let before = lab.authority("etcd").unwrap();
    let writers = Writers::start(lab, "etcd");
    let mut run = lab.start(&["certs", "rotate", "etcd", "--output", "json"]);
    let restarted = run.event(|event| event.is("etcd: restart", "done"));
    assert!(restarted.is_some(), "{:?}", run.kill());
    run.kill();
    // Members that have not been told yet are not as they have to be.
    let shown = lab.run(&["certs", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(
        shown["rotations"][0]["phase"], "trust",
        "{}",
        shown["rotations"]
    );
    timed("rotation of etcd's authority", || {
        lab.ok(&["certs", "rotate", "etcd"])
    });
    timed("rotation of the authority of etcd's peers", || {
        lab.ok(&["certs", "rotate", "etcd-peer"])
    });
    writers.end(MOST_AGAIN);
    assert_ne!(lab.authority("etcd").unwrap(), before);
    fine(lab);
}

/// Nobody reads its file at his start: three phases without a restart, and the way back of two of them.
fn front_proxy_and_back(lab: &Lab<'_>) {
    let before = lab.authority("front-proxy").unwrap();
    lab.ok(&["certs", "rotate", "front-proxy", "--to", "swap"]);
    let other = lab.run(&["certs", "rotate", "etcd"]);
    assert!(
        other
            .err
            .contains("the rotation of front-proxy is at `swap`"),
        "{other:?}"
    );
    let upgrade = lab.run(&["upgrade", "--to", "1.37.2"]);
    assert!(
        upgrade.err.contains("certs rotate front-proxy --back"),
        "{upgrade:?}"
    );
    for at in ["trust", "add"] {
        let said = lab.ok(&["certs", "rotate", "front-proxy", "--back"]);
        assert!(
            said.contains(&format!("`{at}` has arrived everywhere")),
            "{said}"
        );
    }
    lab.ok(&["certs", "rotate", "front-proxy", "--back"]);
    assert_eq!(lab.authority("front-proxy").unwrap(), before);
    fine(lab);
}

/// The authority that everything trusts: kubelets, controllers, kubeconfigs, pods.
fn kubernetes(lab: &Lab<'_>) {
    let before = lab.authority("kubernetes").unwrap();
    let writers = Writers::start(lab, "kubernetes");
    timed("rotation of the Kubernetes authority", || {
        lab.ok(&["certs", "rotate", "kubernetes"])
    });
    writers.end(0);
    assert_ne!(lab.authority("kubernetes").unwrap(), before);
    let config = lab.get(&["--namespace", "default", "configmap", "kube-root-ca.crt"]);
    assert_eq!(
        config["data"]["ca.crt"],
        lab.authority("kubernetes").unwrap()
    );
    fine(lab);
}

/// Demands that nothing is being rotated, and that machines have what the store has.
#[track_caller]
fn fine(lab: &Lab<'_>) {
    let report = lab.json(&["certs"]);
    assert_eq!(report["rotations"], Value::Array(Vec::new()));
    for found in report["machines"].as_array().unwrap() {
        let state = &found["state"];
        assert!(*state == "same" || *state == "own", "{found}");
    }
}

/// What the API server of a control plane has.
#[track_caller]
fn leaf_of_api(lab: &Lab<'_>) -> String {
    lab.ok(&[
        "exec",
        "cp-1",
        "--",
        "cat",
        "/etc/kubernetes/pki/apiserver.crt",
    ])
}

fn timed(what: &str, work: impl FnOnce() -> String) {
    let began = Instant::now();
    let said = work();
    eprintln!(
        "{what} took {:.1} s: {}",
        began.elapsed().as_secs_f64(),
        said.trim_end()
    );
}

/// One writer on each control plane, through its balancer.
struct Writers<'l> {
    lab: &'l Lab<'l>,
    all: Vec<Running>,
}

impl<'l> Writers<'l> {
    #[track_caller]
    fn start(lab: &'l Lab<'l>, name: &str) -> Self {
        let writer = |node: &str| {
            let name = format!("{name}-{node}");
            lab.start(&["exec", node, "--", "sh", "-c", WRITE, "writer", &name])
        };
        let mut all: Vec<Running> = ["cp-0", "cp-1", "cp-2"].map(writer).into();
        for writer in &mut all {
            assert!(
                writer.line(|line| line == "ok").is_some(),
                "a writer gets no answer"
            );
        }
        Self { lab, all }
    }

    /// Ends the writers, and demands that each wrote meanwhile, that no write failed, and that at most `most_again` had to
    /// be made again.
    #[track_caller]
    fn end(self, most_again: usize) {
        let (mut written, mut again, mut failed) = (0, Vec::new(), Vec::new());
        for mut writer in self.all {
            let (mut own, asked) = (0, Instant::now());
            loop {
                assert!(asked.elapsed() < LONG, "a writer hangs");
                match writer.next(Duration::from_millis(200)) {
                    Next::Line(line) if line == "ok" => own += 1,
                    Next::Line(line) if line.starts_with("again ") => again.push(line),
                    Next::Line(line) => failed.push(line),
                    Next::Silence => continue,
                    Next::End => panic!("a writer has ended"),
                }
                // What it had said before takes no time to read, so this line is of a write that ended after the asking.
                if asked.elapsed() > Duration::from_secs(1) {
                    break;
                }
            }
            writer.signal_all(Signal::SIGTERM);
            writer.end();
            written += own;
        }
        eprintln!(
            "{}: {written} writes, {} made again, {} failed",
            self.lab.name,
            again.len(),
            failed.len()
        );
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(again.len() <= most_again, "{again:#?}");
    }
}
