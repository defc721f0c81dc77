//! Machines that are killed or rebooted come back into the cluster, by the next `up` or by themselves.

use crate::{
    lab::{Lab, Scene},
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
    let status = lab.run(&["status"]);
    assert!(status.out.contains("stopped"), "{}", status.out);
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
        lab.check_in_a_while();
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
        lab.check_in_a_while();
    }
    lab.up(&[]).changed_nothing();
    web.wait_ready();
    web.wait_answer("worker-0");
    assert_eq!(web.names(), pods, "the pods are the same objects");
    lab.down();
    scene.nothing_is_left();
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
    lab.check_in_a_while();
    boot
}
