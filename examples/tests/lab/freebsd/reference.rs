//! The reference lab on VMs: what `up` promises, what is seen of the VMs, how they come back, that nothing is left.

use super::host::FreeBsd;
use crate::{
    lab::Lab,
    reference::etcd_cluster,
    run::Event,
    waiting::wait_for,
    work::{self, Web, boot_of},
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, time::Instant};

const MACHINES: [&str; 5] = ["etcd-0", "etcd-1", "etcd-2", "cp-0", "worker-0"];

#[test]
#[ignore = "needs root"]
fn the_reference_lab_runs_on_vms() {
    let host = FreeBsd::new();
    // A setting that the lab changes; it comes with the module, which stays.
    host.sh("kldload if_bridge && sysctl net.link.bridge.pfil_member=1");
    let before = host.look();
    let lab = host.lab("t-vms");
    plan_shows_everything_and_does_nothing(&host, &lab, &before);

    let up = lab.up(&[]);
    assert_eq!(up.result["changed"], true);
    let looked = |event: &Event| event.step == "fit for Kubernetes" && event.progress == "done";
    assert!(up.events.iter().any(looked), "new nodes are looked at");
    let report = lab.check();
    only_what_nobody_can_try_is_not_tried(&report);
    second_up_changes_nothing(&lab, &report);
    vms_are_listed_and_explained(&lab);
    let web = Web::deploy(&lab);
    work::client(&lab);
    web.all_answer("http://web/");

    a_reboot_inside_is_a_reboot(&lab);
    a_crash_is_mended_by_the_supervisor(&host, &lab);
    vms_are_moved(&lab);
    etcd_survives_the_end_of_a_member(&lab, &report);
    let later = lab.up(&["--workers", "2", "--metrics-server"]);
    assert_eq!(later.result["changed"], true);
    assert!(boot_of(&lab, "worker-1").unwrap().1);
    etcd_is_restored(&lab);
    a_worker_is_taken_away(&host, &lab);
    lab.check();
    web.wait_ready();
    web.all_answer("http://web/");
    work::use_is_told(&lab, &["cp-0", "worker-0"]);

    lab.down();
    host.is_as_before(&before);
    host.nothing_is_left();
}

#[track_caller]
fn plan_shows_everything_and_does_nothing(
    host: &FreeBsd,
    lab: &Lab<'_>,
    before: &BTreeSet<String>,
) {
    let toml = fs::read_to_string(host.file("lab.toml")).unwrap();
    let named = "host = \"ssh://root@freebsd\"\n";
    assert!(toml.contains(named), "{toml}");
    for text in [toml.replace(named, ""), toml] {
        fs::write(host.file("lab.toml"), text).unwrap();
        let plan = lab.json(&["plan"]);
        assert_eq!(plan["nothing_to_do"], false);
        for machine in MACHINES {
            let name = format!("t-vms-{machine}");
            let argv = plan["machines"]["bhyve"][&name].as_array().unwrap();
            assert_eq!(*argv.last().unwrap(), name, "{argv:?}");
        }
        assert_eq!(host.look(), *before);
    }
    assert!(!lab.dir().exists());
}

/// From the internet nobody of the lab asks, and the host has no name server for guests.
#[track_caller]
fn only_what_nobody_can_try_is_not_tried(report: &Value) {
    let untried = report["untried"].as_array().unwrap();
    assert_ne!(untried.len(), 0);
    for row in untried {
        let of_the_internet = row["from"] == "internet";
        let dns_of_the_host = row["to"] == "host" && row["port"] == 53;
        assert!(of_the_internet || dns_of_the_host, "{row}");
        assert_ne!(row["why"].as_str().unwrap(), "", "{row}");
    }
}

#[track_caller]
fn second_up_changes_nothing(lab: &Lab<'_>, first_report: &Value) {
    lab.up(&[]).changed_nothing();
    lab.nothing_is_planned();
    assert_eq!(etcd_cluster(&lab.check()), etcd_cluster(first_report));
    let nodes = lab.kubectl(&["get", "nodes", "--no-headers"]);
    let mut ready: Vec<_> = nodes
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>())
        .collect();
    ready.sort();
    assert_eq!(ready, [["cp-0", "Ready"], ["worker-0", "Ready"]]);
}

/// The VM of a machine, as `lab vm list` has it.
#[track_caller]
fn vm(lab: &Lab<'_>, machine: &str) -> Value {
    let name = format!("{}-{machine}", lab.name);
    let list = lab.json(&["vm", "list"]);
    let found = list
        .as_array()
        .unwrap()
        .iter()
        .find(|vm| vm["vm"] == name.as_str());
    found.unwrap().clone()
}

#[track_caller]
fn vms_are_listed_and_explained(lab: &Lab<'_>) {
    assert_eq!(
        lab.json(&["vm", "list"]).as_array().unwrap().len(),
        MACHINES.len()
    );
    for machine in MACHINES {
        let vm = vm(lab, machine);
        assert_eq!(
            (&vm["lab"], &vm["state"]),
            (&"t-vms".into(), &"running".into()),
            "{vm}"
        );
        assert_eq!(
            (&vm["restarts"], &vm["last_end"]),
            (&0.into(), &Value::Null),
            "{vm}"
        );
        assert_eq!(vm["contradictions"], Value::Array(Vec::new()), "{vm}");
    }
    let text = lab.ok(&["vm", "explain", "worker-0"]);
    for said in [
        "t-vms-worker-0 of lab t-vms is running",
        "started pid=",
        "worker-0 login:",
    ] {
        assert!(text.contains(said), "lacks {said:?}: {text}");
    }
}

/// Waits until the node of a machine is Ready after another boot than this one.
#[track_caller]
fn is_back(lab: &Lab<'_>, node: &str, before: &str) {
    let began = Instant::now();
    wait_for("node Ready after another boot", || {
        match boot_of(lab, node) {
            Some((boot, true)) if boot != before => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    eprintln!(
        "{node} was back after {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

#[track_caller]
fn a_reboot_inside_is_a_reboot(lab: &Lab<'_>) {
    let (before, _) = boot_of(lab, "worker-0").unwrap();
    lab.run(&["exec", "worker-0", "--", "reboot"]);
    is_back(lab, "worker-0", &before);
    let vm = vm(lab, "worker-0");
    assert_eq!(
        (&vm["restarts"], &vm["last_end"]),
        (&1.into(), &"the guest rebooted".into()),
        "{vm}"
    );
}

#[track_caller]
fn a_crash_is_mended_by_the_supervisor(host: &FreeBsd, lab: &Lab<'_>) {
    let (before, _) = boot_of(lab, "worker-0").unwrap();
    // 3: triple fault, bhyve(8)
    fs::write(host.world("vm/t-vms-worker-0/next-exit"), "3").unwrap();
    is_back(lab, "worker-0", &before);
    let vm = vm(lab, "worker-0");
    assert_eq!(
        (&vm["restarts"], &vm["state"]),
        (&2.into(), &"running".into()),
        "{vm}"
    );
    assert!(
        vm["last_end"].as_str().unwrap().starts_with("triple fault"),
        "{vm}"
    );
    lab.check();
}

#[track_caller]
fn vms_are_moved(lab: &Lab<'_>) {
    let (before, _) = boot_of(lab, "worker-0").unwrap();
    lab.ok(&["vm", "reboot", "worker-0"]);
    is_back(lab, "worker-0", &before);
    let (before, _) = boot_of(lab, "worker-0").unwrap();
    assert_eq!(
        lab.ok(&["vm", "stop", "worker-0"]),
        "worker-0 has stopped\n"
    );
    let stopped = vm(lab, "worker-0");
    assert_eq!(stopped["state"], "stopped", "{stopped}");
    assert_eq!(stopped["last_end"], "the guest powered off", "{stopped}");
    let twice = lab.run(&["vm", "stop", "worker-0"]);
    assert_eq!(twice.code, Some(1), "{twice:?}");
    assert!(
        twice
            .err
            .contains("cannot stop a VM that is stopped; possible now: provision, start"),
        "{}",
        twice.err
    );
    assert_eq!(lab.ok(&["vm", "start", "worker-0"]), "worker-0 runs\n");
    let twice = lab.run(&["vm", "start", "worker-0"]);
    assert_eq!(twice.code, Some(1), "{twice:?}");
    assert!(
        twice
            .err
            .contains("cannot start a VM that is running; possible now: stop"),
        "{}",
        twice.err
    );
    is_back(lab, "worker-0", &before);
}

/// A member that is stopped is missed by `check`, and is the same member when `up` has started it again.
#[track_caller]
fn etcd_survives_the_end_of_a_member(lab: &Lab<'_>, first_report: &Value) {
    lab.ok(&["vm", "stop", "etcd-1", "--force"]);
    assert_ne!(lab.checked().1, Vec::<Value>::new());
    assert_eq!(lab.up(&[]).result["changed"], true);
    let report = lab.check();
    assert_eq!(etcd_cluster(&report), etcd_cluster(first_report));
}

/// A snapshot comes over the login and goes back to every guest.
#[track_caller]
fn etcd_is_restored(lab: &Lab<'_>) {
    lab.kubectl(&["create", "configmap", "before"]);
    lab.ok(&["etcd", "snapshot", "--trial", "--to", "etcd.db"]);
    lab.kubectl(&["create", "configmap", "after"]);
    let began = Instant::now();
    lab.ok(&["etcd", "restore", "etcd.db"]);
    eprintln!("restore took {:.1} s", began.elapsed().as_secs_f64());
    lab.kubectl(&["get", "configmap", "before"]);
    let gone = lab.run(&["kubectl", "get", "configmap", "after"]);
    assert!(gone.err.contains("NotFound"), "{gone:?}");
    lab.up(&["--workers", "2"]).changed_nothing();
}

/// Killed while it drains, and again when the VM goes, the next run finishes; the host has nothing of it any more.
#[track_caller]
fn a_worker_is_taken_away(host: &FreeBsd, lab: &Lab<'_>) {
    let plan = lab.ok(&["plan", "--workers", "1"]);
    for line in [
        "worker-1: delete its Node",
        "worker-1: have the supervisor stop the VM, ",
        "worker-1: remove volume zroot/lab/t-vms/t-vms-worker-1: zfs destroy ",
        "take back: the pods of a node are behind the node: route -n delete ",
    ] {
        assert!(plan.contains(line), "{line}\n{plan}");
    }
    assert!(!plan.contains("wanted no more"), "{plan}");
    for (words, step) in [
        (&["--workers", "1"][..], "drain"),
        (&[], "wait for the supervisor"),
    ] {
        let mut up = lab.start_up(words);
        let event = up.event(|event| event.is(step, "started"));
        assert!(event.is_some(), "{step}: {:?}", up.kill());
        up.kill();
    }
    // What is asked for is remembered, and so is what is still to go.
    assert_eq!(lab.up(&[]).result["changed"], true);
    assert_eq!(boot_of(lab, "worker-1"), None);
    let left: Vec<_> = host.look().into_iter().collect();
    let left: Vec<_> = left.iter().filter(|l| l.contains("worker-1")).collect();
    assert_eq!(left, Vec::<&String>::new());
    lab.nothing_is_planned();
}
