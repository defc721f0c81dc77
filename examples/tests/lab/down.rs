//! `lab down` leaves nothing, wherever it or `up` was killed.

use crate::{
    lab::{Lab, Scene},
    turn::Room,
};

#[test]
#[ignore = "needs root"]
fn down_leaves_nothing_of_a_lab_that_was_killed_half_way() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-down");
    // A lab that is not there.
    lab.down();
    scene.nothing_is_left();
    // Of about 60 events: certificates, the network, machines that boot, etcd, Kubernetes.
    for count in [1, 3, 7, 15, 30] {
        let mut up = lab.start_up(&["--etcd", "1"]);
        for _ in 0..count {
            assert!(up.event(|_| true).is_some(), "{count}: {:?}", up.kill());
        }
        up.kill();
        lab.down();
        scene.nothing_is_left();
    }
}

#[test]
#[ignore = "needs root"]
fn down_goes_on_after_a_down_that_was_killed() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-down2");
    lab.up(&["--etcd", "1"]);
    let dry = lab.ok(&["down", "--dry-run"]);
    assert!(
        dry.contains("machine worker-0, running") && dry.contains("nothing has been done"),
        "{dry}"
    );
    lab.up(&[]).changed_nothing();
    for step in ["machines", "network", "files"] {
        killed_down(&lab, step);
    }
    lab.down();
    scene.nothing_is_left();
    // The name is free for a lab of another shape.
    assert_eq!(lab.json(&["plan", "--etcd", "3"])["certainty"], "whole");
}

/// Kills `down` at the beginning of a step, if it has not passed it before.
#[track_caller]
fn killed_down(lab: &Lab<'_>, step: &str) {
    let mut down = lab.start(&["down", "--output", "json"]);
    let event = down.event(|event| event.is(step, "started"));
    assert!(event.is_some(), "{step}: {:?}", down.kill());
    down.kill();
}
