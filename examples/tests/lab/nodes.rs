//! Nodes: their serving certificates, drained, given back, taken away for good.

use crate::{
    lab::{Lab, Scene},
    turn::Room,
    waiting::{so, wait_for},
};
use serde_json::Value;
use std::collections::BTreeSet;

const PENDING: &str = "no kubelet waits for a serving certificate";
const PKI: &str = "/etc/kubernetes/pki";

#[test]
#[ignore = "needs root"]
fn kubelets_serve_with_certificates_of_the_cluster_and_forgers_get_none() {
    let scene = Scene::taking(Room::Larger);
    let lab = scene.lab("t-serving");
    // Fewer are asked for before the first of the lab had a certificate.
    let mut up = lab.start_up(&["--workers", "2"]);
    assert!(
        up.event(|event| event.is("certificates", "started"))
            .is_some()
    );
    up.kill();
    lab.up(&["--workers", "1"]);
    let address = address(&lab, "worker-0");
    // From another machine, with nothing believed but the cluster's authority.
    let url = format!("https://{address}:10250/healthz");
    let [ca, cert, key] = [
        "ca.crt",
        "apiserver-kubelet-client.crt",
        "apiserver-kubelet-client.key",
    ]
    .map(|name| format!("{PKI}/{name}"));
    let curl = [
        "exec",
        "cp-0",
        "--",
        "curl",
        "--silent",
        "--show-error",
        "--cacert",
        &ca,
    ];
    let said = lab.ok(&[&curl[..], &["--cert", &cert, "--key", &key, &url]].concat());
    assert_eq!(said.trim(), "ok");
    // The API server verifies it too, since it is told the authority.
    app(&lab, 1);
    let logs = lab.kubectl(&["logs", "deployment/app"]);
    assert!(!logs.is_empty());
    let said = lab.kubectl(&[
        "exec",
        "deployment/app",
        "--",
        "/web",
        "get",
        "http://localhost:8080/",
    ]);
    assert!(said.contains("pod app-"), "{said}");
    forged(&lab);
    lab.kubectl(&["delete", "csr", "forged"]);
    lab.check();
    lab.down();
    scene.nothing_is_left();
}

/// A node asks for an address that is not its own: it stays pending, `up` has nothing to do, `check` names it.
fn forged(lab: &Lab<'_>) {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/lab/data/forged-request.yaml"
    );
    let node = ["--as", "system:node:worker-0", "--as-group", "system:nodes"];
    lab.kubectl(&[&node[..], &["create", "--filename", file]].concat());
    lab.up(&[]).changed_nothing();
    let request = lab.get(&["csr", "forged"]);
    assert!(request["status"]["conditions"].is_null(), "{request}");
    let bad = lab.check_misses(|row| {
        row["name"]
            .as_str()
            .is_some_and(|name| name.contains(PENDING))
    });
    let [pending] = bad.as_slice() else {
        panic!("{bad:?}");
    };
    let evidence = pending["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("forged: it asks for 10.96.0.1, which is not"),
        "{evidence}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_worker_is_drained_given_back_and_taken_away() {
    let scene = Scene::taking(Room::Larger);
    let lab = scene.lab("t-nodes");
    lab.up(&["--workers", "2"]);
    app(&lab, 4);
    let budget = [
        "create",
        "poddisruptionbudget",
        "app",
        "--selector",
        "app=app",
    ];
    lab.kubectl(&[&budget[..], &["--min-available", "3"]].concat());

    // Nobody makes it again: refused, with nothing touched.
    let image = ["--image", "lab.local/web:1"];
    let place = r#"{"spec": {"nodeName": "worker-1"}}"#;
    lab.kubectl(&[&["run", "alone"][..], &image, &["--overrides", place]].concat());
    let done = lab.run(&["node", "drain", "worker-1"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.err.contains("default/alone has no controller"),
        "{}",
        done.err
    );
    assert!(lab.get(&["node", "worker-1"])["spec"]["unschedulable"].is_null());
    lab.kubectl(&["delete", "pod", "alone"]);

    let planned = lab.ok(&["node", "drain", "worker-1", "--dry-run"]);
    assert!(
        planned.starts_with("worker-1: cordon: no new pods\n"),
        "{planned}"
    );
    lab.ok(&["node", "drain", "worker-1"]);
    assert_eq!(nodes_of_pods(&lab), BTreeSet::from(["worker-0".to_owned()]));
    assert_eq!(ready_pods(&lab), 4);
    assert_eq!(
        lab.ok(&["node", "drain", "worker-1"]),
        "worker-1: nothing to do\n"
    );
    // A node that is drained is as it has to be: `up` does not give it back.
    lab.up(&[]).changed_nothing();
    lab.ok(&["node", "uncordon", "worker-1"]);
    assert!(lab.get(&["node", "worker-1"])["spec"]["unschedulable"].is_null());

    reset(&lab);
    shrink(&lab);
    lab.down();
    scene.nothing_is_left();
}

/// The machine is clean, which a second reset says too, and `up` has the node join anew.
fn reset(lab: &Lab<'_>) {
    let bridge = ["exec", "worker-1", "--", "ip", "link", "show", "cni0"];
    lab.ok(&bridge);
    lab.ok(&["node", "reset", "worker-1"]);
    assert_eq!(
        lab.ok(&["node", "reset", "worker-1"]),
        "worker-1: nothing to do\n"
    );
    assert!(lab.run(&bridge).err.contains("does not exist"));
    let inside = |words: &[&str]| lab.ok(&[&["exec", "worker-1", "--"], words].concat());
    let kubelet = inside(&[
        "find",
        "/var/lib/kubelet",
        "/var/lib/k8s-bootstrap",
        "-mindepth",
        "1",
    ]);
    assert_eq!(kubelet, "");
    let units = inside(&[
        "systemctl",
        "list-unit-files",
        "--no-legend",
        "kube*",
        "containerd*",
    ]);
    assert!(!units.contains("kubelet.service"), "{units}");
    assert_eq!(lab.get(&["nodes"])["items"].as_array().unwrap().len(), 2);
    assert_eq!(lab.up(&[]).result["changed"], true);
    lab.nothing_is_planned();
    assert_eq!(lab.get(&["nodes"])["items"].as_array().unwrap().len(), 3);
    lab.check();
}

/// Killed while it drains, and again when the machine goes, the next run finishes.
fn shrink(lab: &Lab<'_>) {
    let plan = lab.ok(&["plan", "--workers", "1"]);
    for line in [
        "worker-1: delete its Node",
        "worker-1: end it, and remove its namespace and its files",
    ] {
        assert!(plan.contains(line), "{line}\n{plan}");
    }
    for (words, step) in [
        (&["--workers", "1"][..], "drain"),
        (&[], "end of the machine"),
    ] {
        let mut up = lab.start_up(words);
        assert!(
            up.event(|event| event.is(step, "started")).is_some(),
            "{step}"
        );
        up.kill();
    }
    // What is asked for is remembered, and so is what is still to go.
    lab.up(&[]);
    let nodes = lab.get(&["nodes"]);
    let names = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["metadata"]["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["cp-0", "worker-0"]);
    assert!(!lab.dir().join("machines/worker-1").exists());
    assert!(!lab.leaders().contains_key("worker-1"));
    lab.nothing_is_planned();
    assert_eq!(ready_pods(lab), 4);
    lab.check();
}

/// One of two control planes goes: the API answers throughout, and nothing is left to balance.
#[test]
#[ignore = "needs root"]
fn a_control_plane_is_taken_away() {
    let scene = Scene::taking(Room::Largest);
    let lab = scene.lab("t-fewer");
    lab.up(&["--control-planes", "2"]);
    let balanced = |lab: &Lab<'_>, node: &str| {
        let units = [
            "systemctl",
            "list-units",
            "--all",
            "--plain",
            "--no-legend",
            "api-*",
        ];
        !lab.ok(&[&["exec", node, "--"][..], &units].concat())
            .is_empty()
    };
    assert!(balanced(&lab, "worker-0"));
    lab.up(&["--control-planes", "1"]);
    let nodes = lab.get(&["nodes"]);
    assert_eq!(nodes["items"].as_array().unwrap().len(), 2, "{nodes}");
    wait_for("Service of one API server", || {
        let slice = lab.get(&["endpointslice", "kubernetes"]);
        so(
            slice["endpoints"]
                .as_array()
                .is_some_and(|list| list.len() == 1),
            slice,
        )
    });
    for node in ["cp-0", "worker-0"] {
        assert!(!balanced(&lab, node), "{node} has a balancer");
    }
    lab.nothing_is_planned();
    lab.check();
    lab.down();
    scene.nothing_is_left();
}

/// A Deployment with so many pods, all Ready.
#[track_caller]
fn app(lab: &Lab<'_>, pods: u32) {
    let pods = pods.to_string();
    let create = ["create", "deployment", "app", "--image", "lab.local/web:1"];
    lab.kubectl(&[&create[..], &["--replicas", &pods]].concat());
    lab.kubectl(&["rollout", "status", "deployment/app", "--timeout=120s"]);
}

fn pods(lab: &Lab<'_>) -> Vec<Value> {
    let pods = lab.get(&["pods", "--selector", "app=app"]);
    let mut pods = pods["items"].as_array().unwrap().clone();
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    pods
}

fn nodes_of_pods(lab: &Lab<'_>) -> BTreeSet<String> {
    let node = |pod: &Value| {
        pod["spec"]["nodeName"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    pods(lab).iter().map(node).collect()
}

/// Waits for the last of them, which a budget lets be away.
#[track_caller]
fn ready_pods(lab: &Lab<'_>) -> usize {
    lab.kubectl(&["rollout", "status", "deployment/app", "--timeout=120s"]);
    pods(lab).len()
}

fn address(lab: &Lab<'_>, node: &str) -> String {
    let node = lab.get(&["node", node]);
    node["status"]["addresses"][0]["address"]
        .as_str()
        .unwrap()
        .to_owned()
}
