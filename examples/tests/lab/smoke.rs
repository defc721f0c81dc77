//! Every other verb on a lab that runs: exit status, and the shape of what it prints.

use crate::{
    lab::{Lab, Scene},
    people,
    tokens::tokens_outlive_their_key,
    turn::Room,
    waiting::{so, wait_for},
};
use serde_json::Value;

#[test]
#[ignore = "needs root"]
fn every_verb_says_what_it_should() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-smoke");
    nothing_is_there_yet(&lab);
    files_are_written(&scene, &lab);
    people::settings(&scene);
    lab.up(&["--etcd", "1"]);
    machines_are_entered(&lab);
    journals_are_shown(&lab);
    views_agree(&lab);
    people::ask(&scene, &lab);
    tokens_outlive_their_key(&scene, &lab);
    lab.down();
    std::fs::remove_file(scene.dir().join("lab.toml")).unwrap();
    nothing_is_there_yet(&lab);
    scene.nothing_is_left();
}

#[track_caller]
fn nothing_is_there_yet(lab: &Lab<'_>) {
    for words in [
        &["status"][..],
        &["check"],
        &["kubeconfig"],
        &["certs"],
        &["kubectl", "get", "nodes"],
        &["exec", "cp-0", "--", "true"],
        &["logs", "cp-0"],
        &["down", "--dry-run"],
    ] {
        let done = lab.run(words);
        assert_eq!(done.code, Some(4), "{words:?}: {done:?}");
        assert!(done.err.contains("there is no lab t-smoke"), "{}", done.err);
    }
}

#[track_caller]
fn files_are_written(scene: &Scene, lab: &Lab<'_>) {
    lab.ok(&["init"]);
    assert!(scene.dir().join("lab.toml").exists());
    // A second time it is left as it is.
    assert_eq!(lab.run(&["init"]).code, Some(2));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            lab.ok(&["completions", shell]).contains("kubeconfig"),
            "{shell}"
        );
    }
    let doctor = lab.json(&["doctor"]);
    for finding in doctor.as_array().unwrap() {
        assert_eq!(finding["ok"], true, "{finding}");
    }
    assert!(lab.ok(&["map"]).contains("worker-0"));
    // The file asks for three members of etcd; the option goes before it.
    let text = std::fs::read_to_string(scene.dir().join("lab.toml")).unwrap();
    std::fs::write(
        scene.dir().join("lab.toml"),
        text.replace("etcd = 3", "etcd = 1"),
    )
    .unwrap();
}

#[track_caller]
fn machines_are_entered(lab: &Lab<'_>) {
    assert_eq!(lab.ok(&["exec", "worker-0", "hostname"]), "worker-0\n");
    assert_eq!(
        lab.run(&["exec", "cp-0", "--", "sh", "-c", "exit 7"]).code,
        Some(7)
    );
    assert_eq!(
        lab.run(&["exec", "cp-0", "--", "sh", "-c", "kill -9 $$"])
            .code,
        Some(137)
    );
    let unknown = lab.run(&["exec", "worker-7", "--", "true"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.err.contains("it has etcd-0, cp-0, worker-0"),
        "{}",
        unknown.err
    );
    let failed = lab.ok(&[
        "exec",
        "cp-0",
        "--",
        "systemctl",
        "--failed",
        "--plain",
        "--no-legend",
    ]);
    assert_eq!(failed, "", "no unit has failed");
    // kubectl's own options and status.
    assert_eq!(
        lab.run(&["kubectl", "get", "pod", "nobody", "--output", "json"])
            .code,
        Some(1)
    );
    assert!(lab.ok(&["kubectl", "--help"]).contains("kubectl controls"));
}

#[track_caller]
fn journals_are_shown(lab: &Lab<'_>) {
    let lines = lab.ok(&["logs", "etcd-0", "etcd", "--lines", "3"]);
    assert!((1..=4).contains(&lines.lines().count()), "{lines}");
    let all = lab.ok(&["logs", "cp-0"]);
    assert!(
        all.contains("kube-apiserver"),
        "{} lines",
        all.lines().count()
    );
    // One that follows goes on until it is interrupted.
    let mut follow = lab.start(&["logs", "-f", "worker-0", "kubelet", "-n", "1"]);
    assert!(follow.line(|_| true).is_some());
    follow.signal_all(nix::sys::signal::Signal::SIGINT);
    assert_ne!(follow.end().code, Some(0));
}

#[track_caller]
fn views_agree(lab: &Lab<'_>) {
    let names = |list: &Value| {
        let machines = list["machines"].as_array().unwrap().iter();
        machines
            .map(|machine| machine["name"].clone())
            .collect::<Vec<_>>()
    };
    let (status, map) = (lab.json(&["status"]), lab.json(&["map"]));
    assert_eq!(names(&status), names(&map));
    assert_eq!(names(&status), ["etcd-0", "cp-0", "worker-0"]);
    wait_for("status of a lab that runs", || {
        let text = lab.ok(&["status"]);
        so(text.contains("everything runs"), text)
    });
    for certificate in lab.json(&["certs"])["store"].as_array().unwrap() {
        assert_eq!(certificate["level"], "fine", "{certificate}");
    }
    let path = lab.json(&["kubeconfig"]);
    let text = std::fs::read_to_string(path["kubeconfig"].as_str().unwrap()).unwrap();
    assert_eq!(lab.ok(&["kubeconfig", "--raw"]), text);
    assert_eq!(lab.nothing_is_planned()["certainty"], "whole");
}
