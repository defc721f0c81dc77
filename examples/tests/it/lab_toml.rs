//! A lab.toml that cannot be.

use crate::scene::Scene;

/// Both verbs that read the file refuse it alike.
#[track_caller]
fn refused(text: &str, texts: &[&str]) {
    for verb in ["plan", "up"] {
        Scene::new().with_file(text).refuses(&[verb], 2, texts);
    }
}

#[test]
fn an_unknown_field_has_line_and_column() {
    let text = "name = \"refused\"\n\n[machines]\nworkers = 2\nworkesr = 3\n";
    let texts = [
        "lab.toml",
        "line 5, column 1",
        "unknown field `workesr`",
        "`workers`",
    ];
    refused(text, &texts);
}

#[test]
fn a_value_of_the_wrong_type_has_line_and_column() {
    let texts = [
        "line 3, column 11",
        "invalid type: string \"two\"",
        "workers = \"two\"",
    ];
    refused(
        "name = \"refused\"\n[machines]\nworkers = \"two\"\n",
        &texts,
    );
}

#[test]
fn a_text_that_is_not_toml_has_line_and_column() {
    let texts = ["line 2, column 10", "workers: 3", "expected `=`"];
    refused("name = \"refused\"\nworkers: 3\n", &texts);
}

#[test]
fn a_name_in_the_file_is_checked() {
    let texts = [
        "line 1, column 8",
        "\"Lab 1\" is not a lab name",
        "write 1 to 20 of a-z",
    ];
    refused("name = \"Lab 1\"\n", &texts);
}

#[test]
fn counts_in_the_file_are_checked() {
    let texts = ["machines.etcd = 4", "must be 1, 3 or 5"];
    refused("name = \"refused\"\n[machines]\netcd = 4\n", &texts);
}

#[test]
fn an_interval_of_snapshots_that_fits_no_day_has_line_and_column() {
    let texts = ["line 3, column", "every \"7h\": must be 5m", "or \"never\""];
    refused(
        "name = \"refused\"\n[etcd]\nsnapshots = { every = \"7h\" }\n",
        &texts,
    );
}

#[test]
fn a_number_of_snapshots_to_keep_is_checked() {
    let texts = ["etcd.snapshots: keep 0: must be 1 to 99"];
    refused(
        "name = \"refused\"\n[etcd]\nsnapshots = { keep = 0 }\n",
        &texts,
    );
}

#[test]
fn an_option_goes_before_the_file_and_is_checked_too() {
    let scene = Scene::new().with_file("name = \"refused\"\n[machines]\nworkers = 3\n");
    scene.refuses(&["up", "--workers", "99"], 2, &["machines.workers = 99"]);
}

#[test]
fn a_network_with_host_bits() {
    let texts = [
        "line 3, column 6",
        "10.99.1.2/16 has bits set",
        "write 10.99.0.0/16",
    ];
    refused(
        "name = \"refused\"\n[network]\nv4 = \"10.99.1.2/16\"\n",
        &texts,
    );
}

#[test]
fn a_network_that_is_none() {
    let texts = [
        "line 3, column 6",
        "is not a network",
        "write ADDRESS/LENGTH",
    ];
    refused("name = \"refused\"\n[network]\nv4 = \"all\"\n", &texts);
}

#[test]
fn a_file_that_is_not_there() {
    for verb in ["plan", "up", "status", "down"] {
        let texts = ["cannot read nowhere.toml", "No such file or directory"];
        Scene::new().refuses(&[verb, "--file", "nowhere.toml"], 2, &texts);
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    let scene = Scene::new();
    std::fs::create_dir(scene.cwd().join("folder")).unwrap();
    scene.refuses(
        &["up", "--file", "folder"],
        2,
        &["cannot read folder", "Is a directory"],
    );
}

#[test]
fn a_file_that_is_not_a_text() {
    let scene = Scene::new();
    std::fs::write(scene.cwd().join("binary.toml"), [0xff, 0xfe, 0]).unwrap();
    let texts = ["cannot read binary.toml", "valid UTF-8"];
    scene.refuses(&["up", "--file", "binary.toml"], 2, &texts);
}

#[test]
fn init_leaves_a_file_alone() {
    let scene = Scene::new().with_file("# mine\n");
    let texts = [
        "lab.toml is there already and is left as it is",
        "--file FILE",
    ];
    scene.refuses(&["init"], 2, &texts);
}

#[test]
#[ignore = "needs containerd"]
fn a_network_that_is_too_small() {
    let texts = [
        "v4 = 10.99.0.0/24 is impossible",
        "write a prefix of /16 or shorter",
    ];
    let scene = Scene::new().with_file("name = \"refused\"\n[network]\nv4 = \"10.99.0.0/24\"\n");
    scene.refuses(&["plan"], 2, &texts);
}

#[test]
#[ignore = "needs containerd"]
fn a_finding_that_is_allowed_is_shown_with_its_reason() {
    let text = "name = \"refused\"\n[network]\nv4 = \"100.64.0.0/16\"\n\
        allow = [{ lint = \"special-opt-in\", reason = \"no VPN here\" }]\n";
    let scene = Scene::new().with_file(text);
    let plan = scene.run(&["plan"]);
    let said = String::from_utf8_lossy(&plan.stdout);
    assert!(plan.status.success(), "{plan:?}");
    assert!(said.contains("(lint special-opt-in, ") && said.contains("[allowed: no VPN here]"));
}

#[test]
#[ignore = "needs containerd"]
fn an_ipv6_network_that_is_not_local() {
    let text = "name = \"refused\"\n[network]\nv6 = \"2001:db8:1::/48\"\n";
    let scene = Scene::new().with_file(text);
    scene.refuses(
        &["plan"],
        2,
        &[
            "v6 = 2001:db8:1::/48 is impossible",
            "Documentation (RFC 3849)",
            "fd00::/8",
        ],
    );
}
