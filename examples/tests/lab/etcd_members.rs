//! Members of etcd: one that lost its data is replaced, the lead moves, two more come and go.

use crate::{
    lab::{Lab, Scene},
    turn::Room,
};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
#[ignore = "needs root"]
fn members_of_etcd_are_replaced_and_come_and_go() {
    let scene = Scene::taking(Room::Larger);
    let lab = scene.lab("t-members");
    lab.up(&[]);
    lab.kubectl(&["create", "configmap", "before", "--from-literal=a=b"]);
    let (cluster, first) = members(&lab);
    replaced(&lab);
    let (same, second) = members(&lab);
    assert_eq!(same, cluster);
    assert_ne!(second["etcd-1"], first["etcd-1"], "it came anew");
    assert_eq!(
        (&second["etcd-0"], &second["etcd-2"]),
        (&first["etcd-0"], &first["etcd-2"])
    );
    lab.kubectl(&["get", "configmap", "before"]);

    moved(&lab);
    grown_and_shrunk(&lab);
    let (same, last) = members(&lab);
    assert_eq!(
        (same, last),
        (cluster, second),
        "those who stay are who they were"
    );
    lab.kubectl(&["get", "configmap", "before"]);
    kept(&scene, &lab);
    lab.check();
    lab.down();
    scene.nothing_is_left();
}

/// Cluster ID, and the ID of each member.
fn members(lab: &Lab<'_>) -> (Value, BTreeMap<String, Value>) {
    let status = lab.json(&["etcd", "status"]);
    let members = status["members"].as_array().unwrap().iter();
    let ids = members.map(|member| (text(&member["name"]), member["id"].clone()));
    (status["cluster_id"].clone(), ids.collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A member's memory is gone: `up` refuses to start it blindly, `replace` heals it, and has nothing to do again.
fn replaced(lab: &Lab<'_>) {
    let lose = "systemctl stop etcd && rm -rf /var/lib/etcd/member";
    lab.ok(&["exec", "etcd-1", "--", "sh", "-c", lose]);
    let refused = lab.run(&["up"]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(
        refused.err.contains("replace the member"),
        "{}",
        refused.err
    );
    let replace = ["etcd", "replace", "etcd-1"];
    let plan = lab.ok(&[&replace[..], &["--dry-run"]].concat());
    let lowest = "(2 of 3 healthy, 2 needed; then 2 of 2 healthy, 2 needed)";
    assert!(
        plan.contains(lowest) && plan.ends_with("would be done\n"),
        "{plan}"
    );
    let steps = plan.lines().filter(|line| line.starts_with("etcd-1: "));
    assert_eq!(steps.count(), 4, "{plan}");
    // Killed when it has been taken out, and when it has come in anew; the next run goes on.
    for _ in 0..2 {
        let mut run = lab.start(&[&["--output", "json"][..], &replace].concat());
        let event = run.event(|event| event.is("etcd: membership", "done"));
        let ended = run.kill();
        assert!(event.is_some(), "{ended:?}");
    }
    let done = lab.ok(&replace);
    assert!(done.ends_with("done\n"), "{done}");
    let again = lab.ok(&replace);
    assert_eq!(again, "etcd-1 takes reads and writes: nothing to replace\n");
    lab.up(&[]).changed_nothing();
}

fn moved(lab: &Lab<'_>) {
    let leader = |lab: &Lab<'_>| {
        let status = lab.json(&["etcd", "status"]);
        let mut members = status["members"].as_array().unwrap().clone().into_iter();
        text(&members.find(|member| member["leads"] == true).unwrap()["name"])
    };
    let to = match leader(lab).as_str() {
        "etcd-1" => "etcd-2",
        _ => "etcd-1",
    };
    lab.ok(&["etcd", "move-leader", to]);
    assert_eq!(leader(lab), to);
}

/// Members take snapshots of themselves by a timer, and etcd comes back from one of those.
fn kept(scene: &Scene, lab: &Lab<'_>) {
    let on = scene.dir().join("on.toml");
    let text = "name = 't-members'\n[etcd]\nsnapshots = { every = '12h' }\n";
    std::fs::write(&on, text).unwrap();
    assert_eq!(
        lab.up(&["--file", on.to_str().unwrap()]).result["changed"],
        true
    );
    let inside = |words: &[&str]| lab.ok(&[&["exec", "etcd-1", "--"], words].concat());
    let timers = inside(&["systemctl", "list-timers", "etcd-snapshot.timer"]);
    assert!(timers.contains(":07:30 UTC"), "the next one: {timers}");
    for _ in 0..2 {
        inside(&["systemctl", "start", "etcd-snapshot.service"]);
    }
    let list = lab.ok(&["etcd", "snapshots"]);
    let names: Vec<_> = list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["SNAPSHOT", "etcd-1:1", "etcd-1:2"], "{list}");
    let status = lab.json(&["etcd", "status"]);
    let members = status["members"].as_array().unwrap();
    assert!(
        members.iter().all(|m| m["snapshots"]["timer_runs"] == true),
        "{status}"
    );

    let file = scene.dir().join("kept.db");
    let fetch = ["etcd", "snapshot", "--kept", "etcd-1:2", "--to"];
    let fetched = lab.ok(&[&fetch[..], &[file.to_str().unwrap()]].concat());
    assert!(fetched.contains("whole, from etcd-1:2"), "{fetched}");
    let missing = lab.run(&["etcd", "restore", "--kept", "etcd-1:3"]);
    assert!(
        missing.err.contains("has no snapshot 3; it has 1, 2"),
        "{}",
        missing.err
    );
    lab.kubectl(&["create", "configmap", "after"]);
    lab.ok(&["etcd", "restore", "--kept", "etcd-1:1"]);
    let gone = lab.run(&["kubectl", "get", "configmap", "after"]);
    assert!(gone.err.contains("NotFound"), "{gone:?}");
    lab.kubectl(&["get", "configmap", "before"]);
    lab.up(&[]).changed_nothing();
    switched_off(scene, lab);
}

/// The timers go, and what they took stays.
fn switched_off(scene: &Scene, lab: &Lab<'_>) {
    let file = scene.dir().join("off.toml");
    let text = "name = 't-members'\n[etcd]\nsnapshots = { every = 'never' }\n";
    std::fs::write(&file, text).unwrap();
    let off = ["--file", file.to_str().unwrap()];
    let plan = lab.ok(&[&["plan"], &off[..]].concat());
    assert!(
        plan.contains("etcd-2: remove the timer of snapshots"),
        "{plan}"
    );
    assert_eq!(lab.up(&off).result["changed"], true);
    lab.up(&off).changed_nothing();
    let look = "systemctl list-units --all 'etcd-snapshot*'; ls /var/lib/etcd-snapshots";
    let found = lab.ok(&["exec", "etcd-1", "--", "sh", "-c", look]);
    assert!(
        !found.contains("etcd-snapshot.") && found.ends_with("1.db\n2.db\n"),
        "{found}"
    );
}

/// Two come; of the way back the run is killed after the first has left, and the next one ends it.
fn grown_and_shrunk(lab: &Lab<'_>) {
    let plan = lab.ok(&["etcd", "member", "add", "--dry-run"]);
    assert!(plan.contains("then 5 of 5 healthy, 3 needed)"), "{plan}");
    lab.ok(&["etcd", "member", "add"]);
    assert_eq!(members(lab).1.len(), 5);
    lab.up(&[]).changed_nothing();
    lab.check();

    let mut remove = lab.start(&["--output", "json", "etcd", "member", "remove"]);
    let removed = remove.event(|event| event.is("etcd: membership", "done"));
    assert!(removed.is_some());
    remove.kill();
    lab.up(&[]);
    assert_eq!(members(lab).1.len(), 3);
    lab.up(&[]).changed_nothing();
}
