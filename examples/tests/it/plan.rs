//! What is asked for, as `plan` sees it, and that looking changes nothing.

use crate::scene::{NAME, Scene};
use cluster_lab::LabSpec;
use serde_json::{Value, json};

/// The plan as JSON; asserts that making it made nothing.
#[track_caller]
fn plan(scene: &Scene, words: &[&str]) -> Value {
    let labs = scene.dir().join("labs").display().to_string();
    let mut all = vec!["plan", "--output", "json", "--state-dir", &labs];
    all.extend(words);
    let output = scene.unchanged(&all);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {message}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs containerd"]
fn options_go_before_the_file_and_the_file_before_the_defaults() {
    let scene = Scene::new().with_file("name = \"refused\"\n[machines]\nworkers = 3\netcd = 1\n");
    let spec = plan(&scene, &["--workers", "2", "--patience", "1.5"])["spec"].take();
    assert_eq!(spec["name"], NAME);
    assert_eq!(
        spec["machines"],
        json!({ "etcd": 1, "control_planes": 1, "workers": 2 })
    );
    assert_eq!(spec["patience"], 1.5);
    assert_eq!(plan(&scene, &["--name", "other"])["spec"]["name"], "other");
}

#[test]
#[ignore = "needs containerd"]
fn without_a_file_counts_what_was_last_asked_for() {
    let mut spec = LabSpec {
        name: NAME.parse().unwrap(),
        ..LabSpec::default()
    };
    spec.machines.workers = 4;
    let scene = Scene::new().with_lab(&spec);
    let found = plan(&scene, &["--name", NAME])["spec"].take();
    assert_eq!(found, serde_json::to_value(&spec).unwrap());
}

#[test]
#[ignore = "needs containerd"]
fn a_new_lab_is_planned_whole_for_people_and_programs() {
    let scene = Scene::new();
    let object = plan(&scene, &["--name", NAME]);
    assert_eq!(object["nothing_to_do"], false);
    assert_eq!(object["certainty"], "whole");
    let machines = ["cp-0", "etcd-0", "etcd-1", "etcd-2", "worker-0"];
    let work = object["files_and_units"].as_object().unwrap();
    assert_eq!(work.keys().collect::<Vec<_>>(), machines);
    assert!(
        work["etcd-0"]["units"]
            .as_array()
            .unwrap()
            .contains(&json!("etcd.service"))
    );
    assert!(!object["certificates"].as_array().unwrap().is_empty());

    let labs = scene.dir().join("labs").display().to_string();
    let output = scene.unchanged(&["up", "--dry-run", "--name", NAME, "--state-dir", &labs]);
    let text = String::from_utf8(output.stdout).unwrap();
    let titles = [
        "certificates and keys",
        "machines and networks",
        "files and units",
        "etcd",
        "Kubernetes",
    ];
    for title in titles {
        assert!(
            text.contains(&format!("\n{title}\n")),
            "no section {title:?}:\n{text}"
        );
    }
    for machine in machines {
        assert!(
            text.contains(&format!("{machine}: boot")),
            "{machine} does not boot:\n{text}"
        );
    }
    assert!(
        text.ends_with("nothing has been done; `lab up` does it\n"),
        "{text}"
    );
}

#[test]
fn init_writes_what_counts_anyway() {
    let scene = Scene::new();
    let shown = scene.unchanged(&["init", "--name", NAME, "--dry-run"]);
    let output = scene.run(&["init", "--name", NAME]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        std::fs::read(scene.cwd().join("lab.toml")).unwrap(),
        shown.stdout
    );
    let written = LabSpec::from_file(&scene.cwd().join("lab.toml")).unwrap();
    assert_eq!(
        written,
        LabSpec {
            name: NAME.parse().unwrap(),
            ..LabSpec::default()
        }
    );
}

#[test]
#[ignore = "needs root"]
fn down_without_a_lab_has_nothing_to_do() {
    let scene = Scene::new();
    let labs = scene.dir().join("labs").display().to_string();
    let output = scene.unchanged(&["down", "--name", NAME, "--state-dir", &labs]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text.contains("there is no lab refused"), "{text}");
}
