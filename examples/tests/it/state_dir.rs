//! Directories of labs that cannot be used as they are.

use crate::scene::{NAME, Scene};
use cluster_lab::LabSpec;
use nix::fcntl::{Flock, FlockArg};
use std::fs;

fn reference_lab() -> LabSpec {
    LabSpec {
        name: NAME.parse().unwrap(),
        ..LabSpec::default()
    }
}

#[test]
fn verbs_for_a_lab_that_is_not_there_say_what_makes_one() {
    let texts = [
        "there is no lab refused in ",
        "`lab up`",
        "--name NAME",
        "--state-dir DIR",
    ];
    let verbs: [&[&str]; 9] = [
        &["status"],
        &["check"],
        &["kubectl", "get", "nodes"],
        &["kubeconfig"],
        &["exec", "cp-0", "--", "true"],
        &["shell", "cp-0"],
        &["logs", "cp-0"],
        &["certs"],
        &["down", "--dry-run"],
    ];
    for words in verbs {
        Scene::new().refuses(words, 4, &texts);
    }
}

#[test]
fn a_lab_of_another_name_is_offered() {
    let scene = Scene::new().with_lab(&reference_lab());
    let texts = ["there is no lab other in ", "(there is refused)"];
    scene.refuses(&["status", "--name", "other"], 4, &texts);
}

#[test]
fn a_lab_without_its_kubeconfig_says_what_makes_it() {
    let scene = Scene::new().with_lab(&reference_lab());
    scene.refuses(&["kubeconfig"], 4, &["`lab up` makes it"]);
    scene.refuses(
        &["kubectl", "get", "nodes"],
        1,
        &["kubectl is not there; `lab up` makes it"],
    );
}

#[test]
fn verbs_for_vms_say_that_there_are_none() {
    let texts = [
        "machines of lab refused are namespaces",
        "`lab status` shows them",
    ];
    let verbs: [&[&str]; 4] = [
        &["vm", "list"],
        &["vm", "start", "cp-0"],
        &["vm", "stop", "cp-0"],
        &["vm", "explain", "cp-0"],
    ];
    for words in verbs {
        let scene = Scene::new().with_lab(&reference_lab());
        scene.refuses(words, 1, &texts);
    }
    let scene = Scene::new().with_lab(&reference_lab());
    scene.refuses(
        &["console", "cp-0"],
        2,
        &["needs a terminal", "`lab vm explain`"],
    );
}

#[test]
fn machines_of_another_kind_are_another_lab() {
    let scene = Scene::new().with_lab(&reference_lab());
    let host = ["plan", "--host", "ssh://root@nowhere.invalid"];
    let texts = [
        "lab refused has machines namespaces",
        "VMs",
        "`lab down`",
        "--name",
    ];
    scene.refuses(&host, 2, &texts);
}

#[test]
fn a_directory_of_another_version() {
    let scene = Scene::new().with_lab(&reference_lab());
    let record = scene.state().root().join("lab.json");
    fs::write(record, r#"{ "format": 99, "spec": { "unheard": "of" } }"#).unwrap();
    let texts = [
        "lab.json has format 99, and this program knows format 1",
        "use the version of `lab`",
    ];
    for verb in ["plan", "up", "status"] {
        scene.refuses(&[verb], 1, &texts);
    }
}

#[test]
fn a_damaged_record() {
    let scene = Scene::new().with_lab(&reference_lab());
    fs::write(scene.state().root().join("lab.json"), "{ \"format\": 1, ").unwrap();
    for verb in ["plan", "up", "status"] {
        scene.refuses(
            &[verb],
            1,
            &["lab.json is damaged", "`lab down` removes the lab"],
        );
    }
}

#[test]
fn another_version_of_kubernetes_for_a_lab_that_exists() {
    let scene = Scene::new().with_lab(&reference_lab());
    let texts = [
        "lab refused has Kubernetes 1.37.2, and 1.36.0 is asked for",
        "`lab down` first",
    ];
    scene.refuses(&["plan", "--kubernetes", "1.36.0"], 2, &texts);
}

#[test]
#[ignore = "needs containerd"]
fn a_damaged_network_lock() {
    let scene = Scene::new().with_lab(&reference_lab());
    fs::write(
        scene.state().root().join("network.lock"),
        "netplan lock, version 2\nlab refused\nseed none\n",
    )
    .unwrap();
    scene.refuses(
        &["plan"],
        1,
        &[
            "network.lock is damaged",
            "line 2",
            "`lab down` removes the lab",
        ],
    );
}

#[test]
#[ignore = "needs containerd"]
fn a_machine_that_the_lab_does_not_have() {
    let scene = Scene::new().with_lab(&reference_lab());
    let texts = [
        "lab refused has no machine \"cp-7\"",
        "it has ",
        "cp-0, worker-0",
    ];
    let verbs: [&[&str]; 3] = [
        &["exec", "cp-7", "--", "true"],
        &["logs", "cp-7"],
        &["shell", "cp-7"],
    ];
    for words in verbs {
        scene.refuses(words, 2, &texts);
    }
}

#[test]
#[ignore = "needs containerd"]
fn a_machine_that_is_down() {
    let scene = Scene::new().with_lab(&reference_lab());
    let texts = ["machine cp-0 is down", "`lab up` brings it back"];
    scene.refuses(&["exec", "cp-0", "--", "true"], 1, &texts);
    scene.refuses(
        &["logs", "cp-0"],
        1,
        &["machine cp-0 is down, and it left no journal"],
    );
}

#[test]
#[ignore = "needs root"]
fn a_directory_of_somebody_else() {
    let scene = Scene::new();
    fs::create_dir_all(scene.state().root()).unwrap();
    fs::write(scene.state().root().join("thesis.tex"), "precious").unwrap();
    for verb in ["up", "down"] {
        let texts = [
            "is not a directory of a lab (it has no lab.json)",
            "another --state-dir",
        ];
        scene.refuses(&[verb], 1, &texts);
    }
}

#[test]
#[ignore = "needs root"]
fn a_lab_that_another_run_works_on() {
    let scene = Scene::new().with_lab(&reference_lab());
    let file = fs::File::create(scene.state().root().join("lock")).unwrap();
    let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    for verb in ["up", "down"] {
        scene.refuses(
            &[verb],
            1,
            &[
                "another `lab` is at work on this lab",
                "wait for it or end it",
            ],
        );
    }
    drop(held);
}
