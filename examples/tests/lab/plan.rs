//! `lab plan`: everything is shown before anything exists.

use crate::{
    lab::{Scene, addresses},
    turn::Room,
};

#[test]
#[ignore = "needs root"]
fn plan_does_nothing() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-plan");
    let text = lab.ok(&["plan"]);
    for shown in [
        "etcd-0",
        "etcd-1",
        "etcd-2",
        "cp-0",
        "worker-0",
        "certificates and keys",
        "ca/kubernetes",
        "/etc/etcd/pki/",
        "unit etcd.service",
        "unit kubelet.service",
        "nothing has been done",
    ] {
        assert!(text.contains(shown), "lacks {shown:?}:\n{text}");
    }
    let plan = lab.json(&["plan"]);
    assert_eq!(plan["nothing_to_do"], false);
    assert_eq!(plan["certainty"], "whole");
    assert_eq!(plan["network"]["networks"].as_array().unwrap().len(), 2);
    let machines = addresses(&plan["network"]);
    let names: Vec<_> = machines.keys().map(String::as_str).collect();
    assert_eq!(names, ["cp-0", "etcd-0", "etcd-1", "etcd-2", "worker-0"]);
    for address in machines.values().flatten() {
        assert!(text.contains(address), "lacks {address}:\n{text}");
    }
    for machine in names {
        let work = &plan["files_and_units"][machine];
        assert_ne!(work["files"].as_array().unwrap().len(), 0, "{machine}");
        assert_ne!(work["units"].as_array().unwrap().len(), 0, "{machine}");
    }
    assert_ne!(plan["certificates"].as_array().unwrap().len(), 0);
    // A lab that is not there has nothing to be taken down.
    assert_eq!(lab.run(&["down", "--dry-run"]).code, Some(4));
    scene.nothing_is_left();
}
