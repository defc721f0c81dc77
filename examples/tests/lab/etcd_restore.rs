//! What etcd holds: kept, lost, restored, moved to another version.

use crate::{
    lab::{Lab, Scene},
    run::Event,
    turn::Room,
    waiting::{so, wait_for},
};
use serde_json::Value;
use std::{fs, path::Path, time::Instant};

/// Made by `./lab test` before it begins; its etcd is 3.6.16.
const OLD: &str = "1.36.3";
const ETCD: &str = "3.7.3";
/// The one before.
const OLD_ETCD: &str = "3.6.16";
const OBJECTS: usize = 20;

#[test]
#[ignore = "needs root"]
fn etcd_comes_back_from_a_snapshot_and_from_the_loss_of_two_members() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-restore");
    lab.up(&[]);
    make_objects(&lab);
    let file = scene.dir().join("etcd.db");
    let path = file.to_str().unwrap();
    let words = ["--output", "json", "etcd", "snapshot", "--trial", "--to"];
    // Events come first.
    let said = lab.ok(&[&words[..], &[path]].concat());
    let said = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let taken = said.last().unwrap().unwrap();
    assert!(
        taken["record"]["status"]["revision"].as_i64().unwrap() > 1,
        "{taken}"
    );
    refuse_what_is_no_snapshot(&lab, &file);

    lab.kubectl(&["delete", "configmaps", "--selector", "kept=yes"]);
    lab.kubectl(&["delete", "deployment", "app"]);
    lab.kubectl(&["create", "configmap", "after"]);
    let plan = lab.ok(&["etcd", "restore", path, "--dry-run"]);
    assert!(plan.contains("etcd-2: move the old data aside"), "{plan}");
    assert_eq!(objects(&lab), 0, "a dry run restored");
    restored_by_killed_runs(&lab, path);
    let gone = lab.run(&["kubectl", "get", "configmap", "after"]);
    assert!(gone.err.contains("NotFound"), "{gone:?}");
    let again = lab.run(&["etcd", "restore"]);
    assert!(again.err.contains("no restore has begun"), "{again:?}");

    // The pods of the deployment that is there again may be the old ones or new ones; the kubelets find out.
    for member in ["etcd-1", "etcd-2"] {
        lab.ok(&["exec", member, "--", "systemctl", "stop", "etcd.service"]);
        lab.ok(&[
            "exec",
            member,
            "--",
            "mv",
            "/var/lib/etcd/member",
            "/var/lib/etcd/lost",
        ]);
    }
    restore(&lab, &["--from-member", "etcd-0"]);
    let text = lab.ok(&["etcd", "defrag", "--force"]);
    let last = text.lines().rev().nth(1).unwrap_or_default();
    assert!(last.contains("the leader"), "{text}");
    lab.down();
    scene.nothing_is_left();
}

/// The version of etcd changes under a lab that runs.
#[test]
#[ignore = "needs root and the programs of Kubernetes 1.36"]
fn etcd_is_upgraded_under_a_running_lab() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-etcd-up");
    lab.up(&["--kubernetes", OLD]);
    make_objects(&lab);
    let plan = lab.ok(&["etcd", "upgrade", "--to", ETCD, "--dry-run"]);
    for words in [
        "take a snapshot",
        "raft snapshot",
        "hand the lead over",
        "becomes 3.7.3",
    ] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let began = Instant::now();
    upgrade_is_killed(&lab);
    lab.ok(&["etcd", "upgrade", "--to", ETCD]);
    eprintln!(
        "the upgrade of etcd took {:.1} s with two kills",
        began.elapsed().as_secs_f64()
    );
    all_run(&lab, ETCD);
    let text = lab.ok(&["etcd", "upgrade", "--to", ETCD]);
    assert!(text.contains("nothing to do"), "{text}");
    goes_back(&lab);
    assert_eq!(objects(&lab), OBJECTS);
    lab.check();
    lab.up(&[]).changed_nothing();
    lab.down();
    scene.nothing_is_left();
}

#[track_caller]
fn make_objects(lab: &Lab<'_>) {
    for n in 0..OBJECTS {
        let name = format!("kept-{n}");
        lab.kubectl(&[
            "create",
            "configmap",
            &name,
            "--from-literal",
            &format!("n={n}"),
        ]);
        lab.kubectl(&["label", "configmap", &name, "kept=yes"]);
    }
    lab.kubectl(&["create", "deployment", "app", "--image", "lab.local/web:1"]);
    lab.kubectl(&["rollout", "status", "deployment/app", "--timeout=120s"]);
}

#[track_caller]
fn objects(lab: &Lab<'_>) -> usize {
    let list = lab.get(&["configmaps", "--selector", "kept=yes"]);
    list["items"].as_array().map_or(0, Vec::len)
}

/// The same command again and again, each run killed a few events further on, until one comes to its end.
#[track_caller]
fn restored_by_killed_runs(lab: &Lab<'_>, path: &str) {
    let began = Instant::now();
    let words = ["--output", "json", "etcd", "restore", path];
    let mut killed = Vec::new();
    for events in (1_usize..).step_by(3) {
        let mut run = lab.start(&words);
        let mut left = events;
        // Behind its events a run that comes to its end tells what it did, in lines that are none.
        let line = run.line(|line| {
            left -= usize::from(line.starts_with("{\"at_s\""));
            left == 0
        });
        let event = line.and_then(|line| Event::read(&line));
        let Some(event) = event else {
            let done = run.end();
            assert_eq!(done.code, Some(0), "after {killed:?}: {done:?}");
            break;
        };
        assert_ne!(event.progress, "failed", "after {killed:?}: {event:?}");
        run.kill();
        killed.push(event);
        // In the middle of it nothing else may be done to the lab, and what is there says so.
        if killed.len() == 2 {
            let up = lab.run(&["up", "--workers", "2"]);
            assert!(up.err.contains("a restore of etcd"), "{up:?}");
        }
    }
    let moments = killed.iter();
    let moments = moments.map(|e| format!("{} {} {}", e.machine, e.step, e.progress));
    let moments: Vec<String> = moments.collect();
    eprintln!(
        "restore took {:.1} s with kills after: {}",
        began.elapsed().as_secs_f64(),
        moments.join(", ")
    );
    assert!(killed.len() >= 4, "{killed:?}");
    is_restored(lab);
}

/// Kills the upgrade when a member has become the new version, and when the next one begins.
#[track_caller]
fn upgrade_is_killed(lab: &Lab<'_>) {
    let words = ["--output", "json", "etcd", "upgrade", "--to", ETCD];
    for step in ["etcd: ready", "etcd: upgrade"] {
        let mut run = lab.start(&words);
        let event = run.event(|event| event.step == step);
        let done = run.kill();
        assert!(event.is_some(), "{step}: {done:?}");
        assert_eq!(objects(lab), OBJECTS);
    }
}

/// One minor back, killed once: cancelled, and then for good.
#[track_caller]
fn goes_back(lab: &Lab<'_>) {
    let plan = lab.ok(&["etcd", "downgrade", "--to", OLD_ETCD, "--dry-run"]);
    assert!(plan.contains("becomes 3.6.16"), "{plan}");
    let began = Instant::now();
    let words = ["--output", "json", "etcd", "downgrade", "--to", OLD_ETCD];
    let mut run = lab.start(&words);
    let event = run.event(|event| event.is("etcd: upgrade", "done"));
    let done = run.kill();
    assert!(event.is_some(), "{done:?}");
    lab.ok(&["etcd", "downgrade", "--cancel"]);
    all_run(lab, ETCD);
    lab.ok(&["etcd", "downgrade", "--to", OLD_ETCD]);
    all_run(lab, OLD_ETCD);
    eprintln!(
        "back, and back again, took {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

#[track_caller]
fn all_run(lab: &Lab<'_>, version: &str) {
    let status = lab.json(&["etcd", "status"]);
    for member in status["members"].as_array().unwrap() {
        assert_eq!(
            member["answer"]["serving"]["status"]["version"], version,
            "{member}"
        );
    }
}

/// Restores, and demands that all is as it has to be.
#[track_caller]
fn restore(lab: &Lab<'_>, words: &[&str]) {
    let began = Instant::now();
    lab.ok(&[&["etcd", "restore"][..], words].concat());
    eprintln!(
        "restore {words:?} took {:.1} s",
        began.elapsed().as_secs_f64()
    );
    is_restored(lab);
}

#[track_caller]
fn is_restored(lab: &Lab<'_>) {
    assert_eq!(objects(lab), OBJECTS);
    wait_for("pod of the application", || {
        let deployment = lab.get(&["deployment", "app"]);
        so(
            deployment["status"]["readyReplicas"] == 1,
            &deployment["status"],
        )
    });
    lab.check();
    assert_eq!(lab.up(&[]).result["changed"], Value::Bool(false));
}

/// Cut or changed, a snapshot is refused, and nothing is stopped for it.
#[track_caller]
fn refuse_what_is_no_snapshot(lab: &Lab<'_>, file: &Path) {
    let whole = fs::read(file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let bad = file.with_file_name("bad.db");
    for bytes in [&whole[..whole.len() - 512], &flipped] {
        fs::write(&bad, bytes).unwrap();
        let refused = lab.run(&["etcd", "restore", bad.to_str().unwrap()]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains("no whole snapshot"), "{refused:?}");
    }
    assert_eq!(objects(lab), OBJECTS);
}
