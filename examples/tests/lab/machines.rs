//! Machines that are killed or rebooted come back into the cluster, by the next `up` or by themselves.

use crate::{
    lab::{Lab, Scene},
    run::Event,
    turn::Room,
    waiting::{so, wait_for},
    work::{Web, boot_of},
};
use std::time::Instant;

#[test]
#[ignore = "needs root"]
fn machines_come_back() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-back");
    lab.up(&[]);
    let web = Web::deploy(&lab);
    let pods = web.names();

    // A worker.
    let (before, _) = boot_of(&lab, "worker-0").unwrap();
    lab.kill_machine("worker-0");
    assert_eq!(lab.run(&["check"]).code, Some(3));
    // Its number 1 is dead; what else it had may take a moment to end.
    wait_for("worker-0 stopped", || {
        let status = lab.run(&["status"]).out;
        so(status.contains("stopped"), status)
    });
    // Its journal is kept.
    let logs = lab.ok(&["logs", "worker-0", "kubelet", "-n", "5"]);
    assert_ne!(logs.lines().count(), 0);
    assert_eq!(lab.up(&[]).result["changed"], true);
    let before = is_back(&lab, &web, &before);

    // The same one, by a reboot: nobody helps.
    let leader = lab.leaders()["worker-0"];
    let began = Instant::now();
    lab.run(&["exec", "worker-0", "--", "systemctl", "reboot"]);
    wait_for("another start of worker-0", || {
        let leaders = lab.leaders();
        so(
            leaders.get("worker-0").is_some_and(|now| *now != leader),
            leaders,
        )
    });
    is_back(&lab, &web, &before);
    eprintln!(
        "reboot of a worker took {:.1} s",
        began.elapsed().as_secs_f64()
    );

    // A member of etcd, and the control plane.
    for machine in ["etcd-1", "cp-0"] {
        lab.kill_machine(machine);
        assert_eq!(lab.up(&[]).result["changed"], true, "{machine}");
        lab.check();
    }
    // A member that leads or follows may reboot, and the control plane too.
    for machine in ["etcd-0", "cp-0"] {
        let leader = lab.leaders()[machine];
        lab.run(&["exec", machine, "--", "systemctl", "reboot"]);
        wait_for("another start of the machine", || {
            let leaders = lab.leaders();
            so(
                leaders.get(machine).is_some_and(|now| *now != leader),
                leaders,
            )
        });
        lab.check();
    }
    lab.up(&[]).changed_nothing();
    an_api_that_is_silent_for_a_while_is_waited_for(&lab);
    web.wait_ready();
    web.wait_answer("worker-0");
    assert_eq!(web.names(), pods, "the pods are the same objects");
    lab.down();
    scene.nothing_is_left();
}

/// Nothing of what it serves can be seen beforehand: nobody reaches its port until `up` waits for it.
#[track_caller]
fn an_api_that_is_silent_for_a_while_is_waited_for(lab: &Lab<'_>) {
    let nft = |command: &str| lab.ok(&["exec", "cp-0", "--", "nft", command]);
    nft("add table inet silent; \
         add chain inet silent input { type filter hook input priority 0; }; \
         add rule inet silent input tcp dport 6443 reject with tcp reset");
    let mut run = lab.start_up(&[]);
    let waits = run.event(|event| event.step == "API" && event.progress == "running");
    assert!(waits.is_some(), "{:?}", run.end());
    nft("delete table inet silent");
    let up = lab.came_up(&run.end());
    up.changed_nothing();
    assert_eq!(up.result["waited"], true);
    let looked = |event: &Event| event.step == "objects" && event.progress == "done";
    assert!(up.events.iter().any(looked), "{:?}", up.events);
    lab.check();
}

/// Waits until worker-0 has booted again and is Ready, and its pods answer; returns what tells this boot from others.
#[track_caller]
fn is_back(lab: &Lab<'_>, web: &Web<'_>, before: &str) -> String {
    let boot = wait_for("worker-0 Ready after another boot", || {
        let boot = boot_of(lab, "worker-0");
        match boot {
            Some((boot, true)) if boot != before => Ok(boot),
            other => Err(format!("{other:?}")),
        }
    });
    web.wait_ready();
    web.wait_answer("worker-0");
    lab.check();
    boot
}
