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
    lab.check_in_a_while();
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
    assert_eq!(lab.up(&[]).result["changed"], false);
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

/// Two come; of the way back the run is killed after the first has left, and the next one ends it.
fn grown_and_shrunk(lab: &Lab<'_>) {
    let plan = lab.ok(&["etcd", "member", "add", "--dry-run"]);
    assert!(plan.contains("then 5 of 5 healthy, 3 needed)"), "{plan}");
    lab.ok(&["etcd", "member", "add"]);
    assert_eq!(members(lab).1.len(), 5);
    assert_eq!(lab.up(&[]).result["changed"], false);
    lab.check_in_a_while();

    let mut remove = lab.start(&["--output", "json", "etcd", "member", "remove"]);
    let removed = remove.event(|event| event.is("etcd: membership", "done"));
    assert!(removed.is_some());
    remove.kill();
    lab.up(&[]);
    assert_eq!(members(lab).1.len(), 3);
    assert_eq!(lab.up(&[]).result["changed"], false);
}
