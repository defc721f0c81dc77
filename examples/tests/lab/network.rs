//! The network promise is tested for real: `check` sees a hole in the firewall of one machine.

use crate::{
    lab::{Lab, Scene},
    turn::Room,
};
use serde_json::Value;

#[test]
#[ignore = "needs root"]
fn check_sees_a_hole_in_the_firewall_and_up_mends_it() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-net");
    lab.up(&[]);
    let report = lab.check();
    promises_are_in_the_matrix(&report);

    lab.ok(&[
        "exec", "etcd-0", "--", "nft", "delete", "table", "inet", "lab",
    ]);
    lab.check_misses(|row| {
        let flow = (&row["to"], &row["expected"], &row["seen"]);
        flow == (&"etcd-0".into(), &false.into(), &true.into())
    });
    let text = lab.run(&["check"]);
    assert_eq!(text.code, Some(3));
    assert!(
        text.out.contains("BAD") && text.out.contains("reached"),
        "{}",
        text.out
    );

    assert_eq!(lab.up(&[]).result["changed"], true);
    lab.check();
    // By hand it is as easy: the unit loads its rules at each start.
    lab.ok(&[
        "exec", "etcd-1", "--", "nft", "delete", "table", "inet", "lab",
    ]);
    lab.ok(&[
        "exec",
        "etcd-1",
        "--",
        "systemctl",
        "restart",
        "lab-firewall",
    ]);
    lab.check();
    the_router_is_mended(&lab);
    lab.down();
    scene.nothing_is_left();
}

/// etcd's clients' port answers cp-0 and nobody else, also not through cp-0; both families leave, one translated.
#[track_caller]
fn promises_are_in_the_matrix(report: &Value) {
    let rows = report["matrix"].as_array().unwrap();
    let to_etcd = |row: &&Value| {
        let to = row["to"].as_str().unwrap();
        to.starts_with("etcd-") && row["address"].as_str().unwrap().ends_with(":2379")
    };
    let senders = |reached: bool| {
        let rows = rows.iter().filter(to_etcd);
        let mut names: Vec<&str> = rows
            .filter(|row| row["expected"] == reached)
            .map(|row| row["from"].as_str().unwrap())
            .filter(|name| !name.starts_with("etcd-"))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    assert_eq!(senders(true), ["cp-0"]);
    let refused = senders(false).join(", ");
    for sender in [
        "worker-0",
        "pod on worker-0",
        "pod on cp-0",
        "internet",
        "host",
    ] {
        assert!(refused.contains(sender), "{sender} is not among {refused}");
    }
    assert!(
        rows.iter()
            .any(|row| row["via"] == "cp-0" && row["expected"] == false)
    );
    for family in ["v4", "v6"] {
        let out = |row: &&Value| {
            row["to"] == "internet" && row["family"] == family && row["seen"] == true
        };
        assert!(rows.iter().any(|row| out(&row)), "{family}: {rows:#?}");
    }
}

/// The router has its rules from the kernel's point of view, not by a file that says so.
#[track_caller]
fn the_router_is_mended(lab: &Lab<'_>) {
    let router = crate::run::Running::start(in_router(lab.name));
    assert_eq!(router.end().code, Some(0));
    assert_eq!(lab.run(&["check"]).code, Some(3));
    assert_eq!(lab.up(&[]).result["changed"], true);
    lab.check();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the router is no machine, so `lab exec` does not go there"
)]
fn in_router(lab: &str) -> std::process::Command {
    let mut command = std::process::Command::new("nsenter");
    let namespace = format!("--net=/run/netns/lab.{lab}.router");
    command.args([&namespace, "--", "nft", "delete", "table", "inet", "lab"]);
    command
}
