//! Wrong usage.

use crate::scene::Scene;

#[test]
fn a_verb_that_is_none() {
    let texts = ["unrecognized subcommand 'stauts'", "status", "--help"];
    Scene::new().refuses(&["stauts"], 2, &texts);
}

#[test]
fn no_verb() {
    Scene::new().refuses(&[], 2, &["init, plan, up,", "Usage: lab", "--help"]);
}

#[test]
fn a_number_that_is_none() {
    Scene::new().refuses(
        &["up", "--workers", "many"],
        2,
        &["invalid value 'many'", "--workers"],
    );
}

#[test]
fn an_option_of_another_verb() {
    Scene::new().refuses(
        &["status", "--workers", "2"],
        2,
        &["unexpected argument '--workers'"],
    );
}

#[test]
fn a_version_that_is_malformed() {
    let texts = ["version \"latest\" is not of the form 1.37.2"];
    Scene::new().refuses(&["up", "--kubernetes", "latest"], 2, &texts);
}

#[test]
fn a_version_that_is_not_in_the_catalogue() {
    let texts = [
        "Kubernetes 1.20.0 is not in the catalogue",
        "use 1.28.x up to",
    ];
    for verb in ["plan", "up"] {
        Scene::new().refuses(&[verb, "--kubernetes", "1.20.0"], 2, &texts);
    }
}

#[test]
fn a_runtime_that_is_not_known() {
    Scene::new().refuses(
        &["up", "--runtime", "podman"],
        2,
        &["'podman'", "say crun or runc"],
    );
}

#[test]
fn a_name_with_forbidden_characters() {
    let texts = [
        "\"My_Lab\" is not a lab name",
        "write 1 to 20 of a-z, 0-9 and '-'",
    ];
    for verb in ["up", "down", "status"] {
        Scene::new().refuses(&[verb, "--name", "My_Lab"], 2, &texts);
    }
}

#[test]
fn a_name_that_leads_elsewhere() {
    Scene::new().refuses(&["down", "--name", "../etc"], 2, &["is not a lab name"]);
}

#[test]
fn a_name_that_is_too_long() {
    let texts = ["is not a lab name", "write 1 to 20"];
    Scene::new().refuses(
        &["up", "--name", "a-name-of-more-than-20-letters"],
        2,
        &texts,
    );
}

#[test]
fn two_names() {
    let words = ["up", "--name", "one", "--name", "two"];
    Scene::new().refuses(
        &words,
        2,
        &["'--name <NAME>' cannot be used multiple times"],
    );
}

#[test]
fn an_even_number_of_etcd_members() {
    let texts = ["machines.etcd = 2", "must be 1, 3 or 5"];
    for verb in ["plan", "up"] {
        Scene::new().refuses(&[verb, "--etcd", "2"], 2, &texts);
    }
}

#[test]
fn no_workers_and_too_many() {
    for count in ["0", "21"] {
        let value = format!("machines.workers = {count}");
        let texts = [value.as_str(), "must be 1 to 20"];
        Scene::new().refuses(&["up", "--workers", count], 2, &texts);
    }
}

#[test]
fn too_many_control_planes() {
    let texts = ["machines.control_planes = 8", "must be 1 to 7"];
    for verb in ["plan", "up"] {
        Scene::new().refuses(&[verb, "--control-planes", "8"], 2, &texts);
    }
}

#[test]
fn no_control_plane() {
    let texts = ["machines.control_planes = 0", "must be 1 to 7"];
    Scene::new().refuses(&["up", "--control-planes", "0"], 2, &texts);
}

#[test]
fn patience_that_is_no_factor() {
    for factor in ["0", "NaN", "1e9"] {
        let texts = ["patience = ", "must be 0.1 to 1000"];
        Scene::new().refuses(&["up", "--patience", factor], 2, &texts);
    }
}

#[test]
fn an_allowance_without_a_reason() {
    let texts = ["--allow <LINT=REASON>", "the reason why it may stay"];
    Scene::new().refuses(&["plan", "--allow", "host-route-hidden"], 2, &texts);
}

#[test]
#[ignore = "needs containerd"]
fn an_end_that_the_lab_does_not_have() {
    let texts = ["there is no worker-9 in lab refused", "etcd-0", "pod:NODE"];
    Scene::new().refuses(&["explain", "worker-9", "etcd-0", "2379"], 2, &texts);
}

#[test]
#[ignore = "needs containerd"]
fn ends_of_two_families() {
    let texts = ["have no address of the same family"];
    Scene::new().refuses(&["explain", "192.0.2.9", "2001:db8::9", "80"], 2, &texts);
}

#[test]
fn a_map_of_a_form_that_is_none() {
    Scene::new().refuses(&["map", "--as", "png"], 2, &["png", "svg", "matrix"]);
}

#[test]
fn exec_without_a_command() {
    Scene::new().refuses(&["exec", "cp-0"], 2, &["<COMMAND>", "Usage: lab exec"]);
}

#[test]
fn a_dry_run_of_what_cannot_be_tried() {
    let verbs: [&[&str]; 4] = [
        &["--dry-run", "kubectl", "delete", "pods", "--all"],
        &["--dry-run", "exec", "cp-0", "--", "poweroff"],
        &["shell", "cp-0", "--dry-run"],
        &["programs", "--dry-run"],
    ];
    for words in verbs {
        Scene::new().refuses(words, 2, &["cannot be tried with --dry-run; "]);
    }
}

#[test]
fn completions_for_a_shell_that_is_not_known() {
    Scene::new().refuses(&["completions", "tcsh"], 2, &["'tcsh'", "bash", "zsh"]);
}

#[test]
fn no_home_and_no_directory_for_labs() {
    let scene = Scene::new().with_env("HOME", "");
    let texts = [
        "neither HOME nor XDG_STATE_HOME",
        "set HOME, or give --state-dir DIR",
    ];
    scene.refuses_exactly(&["up", "--name", crate::scene::NAME], 2, &texts);
}

#[test]
fn a_home_that_is_no_absolute_path() {
    let scene = Scene::new().with_env("HOME", "home");
    let texts = ["set to an absolute path"];
    scene.refuses_exactly(&["up", "--name", crate::scene::NAME], 2, &texts);
}

#[test]
fn errors_for_programs_are_one_object() {
    let output = Scene::new().run(&["up", "--etcd", "2", "--output", "json", "--name", "refused"]);
    assert_eq!(output.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("machines.etcd = 2"),
        "{error}"
    );
    assert_eq!(error["causes"], serde_json::json!([]));
}

#[test]
fn a_runtime_that_kubernetes_no_longer_has() {
    let texts = ["removed dockershim", "in 1.24", "say crun or runc"];
    Scene::new().refuses(&["plan", "--runtime", "docker"], 2, &texts);
    let texts = ["Debian has no CRI-O", "say crun or runc"];
    Scene::new().refuses(&["plan", "--runtime", "cri-o"], 2, &texts);
}

#[test]
fn a_node_that_cannot_be_one() {
    let texts = ["\"Worker_0\" is no name of a node"];
    Scene::new().refuses(&["node", "drain", "Worker_0"], 2, &texts);
    Scene::new().refuses(&["node", "uncordon"], 2, &["<NODE>"]);
    Scene::new().refuses(&["node", "drain", "worker-0"], 4, &["there is no lab"]);
}
