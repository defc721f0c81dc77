//! `lab` or its connection is killed on the way to VMs and back: the next run goes on, and no VM is started twice.

use super::host::FreeBsd;
use crate::{
    lab::Lab,
    run::{Next, Running},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

/// Both are made by `./lab test` before it begins; the etcd of the first is 3.6.16.
const OLD: &str = "1.36.3";
const NEW: &str = "1.37.2";
const ETCD: &str = "3.7.3";

/// Where `up` is killed, in the order in which it comes there: how the step begins.
const MOMENTS: [&str; 9] = [
    "certificates",
    "make the place of this lab",
    "send a file",
    "write the image",
    "load the firewall rules",
    "grow it to",
    "connect tap",
    "start",
    "names and firewall",
];

/// The same of `down`.
const MOMENTS_DOWN: [&str; 3] = [
    "wait for the supervisor",
    "remove interface",
    "remove volume",
];

/// As long as the connection may be cut again and again before `up` gives up.
const CUTTING: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs root and the programs of Kubernetes 1.36"]
fn killed_or_cut_off_anywhere_it_goes_on() {
    let host = FreeBsd::new();
    host.configure("[machines]\netcd = 1\n");
    let toml = fs::read_to_string(host.file("lab.toml")).unwrap();
    let toml = format!("kubernetes = \"{OLD}\"\n{toml}");
    fs::write(host.file("lab.toml"), toml).unwrap();
    host.sh("kldload if_bridge");
    let before = host.look();
    let lab = host.lab("t-vkill");
    let mut authority = None;
    for moment in MOMENTS {
        let up = lab.start_up(&[]);
        killed_at(up, moment);
        let now = lab.authority("kubernetes");
        assert!(
            authority.is_none() || authority == now,
            "another authority after {moment}"
        );
        authority = now;
    }
    cut_off(&host, &lab);
    assert_eq!(lab.up(&[]).result["changed"], true);
    assert_eq!(lab.authority("kubernetes"), authority);
    lab.nothing_is_planned();
    lab.check();
    for (vm, count) in starts(&host) {
        assert_eq!(count, 1, "{vm} was started {count} times");
    }

    etcd_is_upgraded(&lab);
    kubernetes_is_upgraded(&host, &lab);
    what_was_sent_is_sent_again(&lab);

    for moment in MOMENTS_DOWN {
        killed_at(lab.start(&["down", "--output", "json"]), moment);
    }
    lab.down();
    host.is_as_before(&before);
    host.nothing_is_left();
}

/// Its programs are on no disk of the guest: they are sent.
#[track_caller]
fn etcd_is_upgraded(lab: &Lab<'_>) {
    let upgrade = ["etcd", "upgrade", "--to", ETCD];
    let plan = lab.ok(&[&upgrade[..], &["--dry-run"]].concat());
    assert!(plan.contains(&format!("becomes {ETCD}")), "{plan}");
    lab.ok(&upgrade);
    let status = lab.json(&["etcd", "status"]);
    let version = &status["members"][0]["answer"]["serving"]["status"]["version"];
    assert_eq!(version, ETCD, "{status}");
    assert!(lab.ok(&upgrade).contains("nothing to do"));
    lab.nothing_is_planned();
}

/// Killed while programs are sent and while a node is drained, the next run goes on.
#[track_caller]
fn kubernetes_is_upgraded(host: &FreeBsd, lab: &Lab<'_>) {
    let upgrade = ["upgrade", "--to", NEW];
    let plan = lab.ok(&[&upgrade[..], &["--dry-run"]].concat());
    for sent in ["cp-0: send kube-apiserver, ", "worker-0: send kubelet, "] {
        assert!(plan.contains(sent), "{sent}: {plan}");
    }
    for moment in ["send programs", "drain"] {
        killed_at(
            lab.start(&[&upgrade[..], &["--output", "json"]].concat()),
            moment,
        );
    }
    lab.ok(&upgrade);
    assert!(lab.ok(&upgrade).contains("nothing to do"));
    let toml = fs::read_to_string(host.file("lab.toml")).unwrap();
    fs::write(host.file("lab.toml"), toml.replace(OLD, NEW)).unwrap();
    lab.nothing_is_planned();
    let expected = ["cp-0", "worker-0"].map(|node| [node, "Ready", NEW].join(" "));
    assert_eq!(nodes(lab), expected);
}

/// A member that has lost the programs that it was upgraded to, and a node that is made anew from its image.
#[track_caller]
fn what_was_sent_is_sent_again(lab: &Lab<'_>) {
    lab.ok(&["exec", "etcd-0", "--", "rm", "-r", "/opt/lab/programs"]);
    lab.ok(&["vm", "destroy", "worker-0"]);
    let plan = lab.ok(&["plan"]);
    for sent in ["etcd-0: send etcd, ", "worker-0: send kubelet, "] {
        assert!(plan.contains(sent), "{sent}: {plan}");
    }
    assert_eq!(lab.up(&[]).result["changed"], true);
    lab.nothing_is_planned();
    let expected = ["cp-0", "worker-0"].map(|node| [node, "Ready", NEW].join(" "));
    assert_eq!(nodes(lab), expected);
    lab.check();
}

/// Each node with its state and the version of its kubelet.
#[track_caller]
fn nodes(lab: &Lab<'_>) -> Vec<String> {
    let nodes = lab.kubectl(&["get", "nodes", "--no-headers"]);
    // NAME STATUS ROLES AGE VERSION
    let words = nodes
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .map(|words| [words[0], words[1], words[4].trim_start_matches('v')].join(" "))
        .collect()
}

/// Kills a run when it begins a step of this kind.
#[track_caller]
fn killed_at(mut run: Running, moment: &str) {
    let event = run.event(|event| event.progress == "started" && event.step.starts_with(moment));
    let done = run.kill();
    assert!(event.is_some(), "{moment}: {done:?}");
    assert_eq!(done.signal, Some(9), "{moment}: {done:?}");
}

/// Ends every login of the host while guests are worked on: `up` says so, the VMs go on.
#[track_caller]
fn cut_off(host: &FreeBsd, lab: &Lab<'_>) {
    let mut up = lab.start_up(&[]);
    let event = up.event(|event| event.is("names and firewall", "started"));
    assert!(event.is_some(), "{:?}", up.kill());
    let running = vms(host);
    assert_eq!(running.len(), 3, "{running:?}");
    let deadline = Instant::now() + CUTTING;
    loop {
        // One that has just ended is no trouble.
        host.sh("pkill -x sshd || true");
        match up.next(Duration::from_millis(50)) {
            Next::End => break,
            Next::Line(_) | Next::Silence => assert!(Instant::now() < deadline, "{:?}", up.kill()),
        }
    }
    let done = up.end();
    eprintln!("cut off: {}", done.err);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(vms(host), running);
}

/// The processes that are VMs.
#[track_caller]
fn vms(host: &FreeBsd) -> BTreeSet<String> {
    let all = host.sh("ps -ax");
    let ours = all.lines().filter(|line| line.contains("bhyve: t-"));
    // PID ELAPSED STAT COMMAND
    let words = ours.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.map(|words| [words[0], words[4]].join(" ")).collect()
}

/// How often each VM was started, as its own record has it.
#[track_caller]
fn starts(host: &FreeBsd) -> BTreeMap<String, usize> {
    let counted = host.sh("grep -c ' started ' /zroot/lab/t-vkill/*/events");
    let pairs = counted.lines().map(|line| line.rsplit_once(':').unwrap());
    pairs
        .map(|(vm, count)| (vm.to_owned(), count.parse().unwrap()))
        .collect()
}
