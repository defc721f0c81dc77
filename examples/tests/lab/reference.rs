//! The story of the reference lab, with two workers: what `up` promises, what runs on it, that nothing is left.

use crate::{
    lab::{Lab, Scene},
    run::Running,
    turn::Room,
    waiting::{so, wait_for},
    work::{self, Web, name},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
#[ignore = "needs root"]
fn the_reference_lab_does_real_work() {
    let scene = Scene::taking(Room::Larger);
    let lab = scene.lab("t-ref");
    let up = lab.up(&["--workers", "2"]);
    assert_eq!(up.result["changed"], true);
    assert!(up.result["seconds"].is_f64(), "{}", up.result);
    let report = lab.check();
    secrets_are_kept(&lab);
    the_users_kubectl_works(&lab, Path::new(up.result["kubeconfig"].as_str().unwrap()));

    let web = Web::deploy(&lab);
    work::client(&lab);
    second_up_changes_nothing(&lab, &web, &report);
    both_workers_serve(&lab, &web);
    the_service_is_reached_every_way(&lab, &web);
    kubectl_reaches_into_pods(&lab, &web);
    assert_eq!(work::job(&lab).trim(), "hello from a ConfigMap");
    work::control_plane_is_refused(&lab);
    a_deleted_pod_is_replaced(&lab, &web);

    lab.down();
    scene.nothing_is_left();
}

#[track_caller]
fn second_up_changes_nothing(lab: &Lab<'_>, web: &Web<'_>, first_report: &Value) {
    let (files, pods) = (files_below(&lab.dir().join("pki")), uids(&web.pods()));
    lab.up(&[]).changed_nothing();
    wait_for("`up` that has nothing to wait for", || {
        let text = lab.ok(&["up", "--patience", "2"]);
        so(text.starts_with("lab t-ref is up: nothing to do"), text)
    });
    assert_eq!(files_below(&lab.dir().join("pki")), files);
    assert_eq!(uids(&web.pods()), pods);
    assert_eq!(etcd_cluster(&lab.check()), etcd_cluster(first_report));
    let status = lab.json(&["status"]);
    let machines = status["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 6);
    for machine in machines {
        assert_eq!(machine["state"]["state"], "running", "{machine}");
        assert_eq!(machine["down"].as_array().unwrap().len(), 0, "{machine}");
    }
    lab.nothing_is_planned();
}

#[track_caller]
fn both_workers_serve(lab: &Lab<'_>, web: &Web<'_>) {
    let mut nodes: Vec<_> = web
        .pods()
        .iter()
        .map(|pod| pod["spec"]["nodeName"].clone())
        .collect();
    nodes.sort_by_key(Value::to_string);
    assert_eq!(nodes, ["worker-0", "worker-1"]);
    assert_eq!(lab.get(&["pod", "client"])["spec"]["nodeName"], "worker-0");
}

#[track_caller]
fn the_service_is_reached_every_way(lab: &Lab<'_>, web: &Web<'_>) {
    let [v4, v6] = &web.cluster_ips[..] else {
        panic!(
            "one address of each family is expected: {:?}",
            web.cluster_ips
        );
    };
    for host in [
        "web",
        "web.default.svc.cluster.local",
        v4,
        &format!("[{v6}]"),
    ] {
        web.all_answer(&format!("http://{host}/"));
    }
    let found = lab.kubectl(&[
        "exec",
        "client",
        "--",
        "/web",
        "lookup",
        "web.default.svc.cluster.local",
    ]);
    let mut addresses = [v4.clone(), v6.clone()];
    addresses.sort();
    assert_eq!(found.lines().collect::<Vec<_>>(), addresses);
    for node in ["worker-0", "worker-1", "cp-0"] {
        web.wait_answer(node);
    }
    // A node that asks at the port of another.
    let url = format!("http://{}/healthz", web.node_port("worker-1"));
    let said = lab.ok(&[
        "exec",
        "worker-0",
        "--",
        "curl",
        "--silent",
        "--max-time",
        "10",
        &url,
    ]);
    assert_eq!(said, "ok\n");
}

#[track_caller]
fn kubectl_reaches_into_pods(lab: &Lab<'_>, web: &Web<'_>) {
    // From both workers: cp-0 reaches the kubelet of each.
    for pod in web.names() {
        let logs = lab.kubectl(&["logs", &pod]);
        assert!(logs.contains("listening on [::]:8080"), "{logs}");
        let said = lab.kubectl(&["exec", &pod, "--", "/web", "get", "http://localhost:8080/"]);
        assert!(said.starts_with(&format!("pod {pod}\n")), "{said}");
    }
    assert_eq!(
        work::port_forward(lab, "/files/greeting"),
        "hello from a ConfigMap"
    );
    // The status is that of the program inside.
    let done = lab.run(&[
        "kubectl",
        "exec",
        "client",
        "--",
        "/web",
        "get",
        "http://localhost:1/",
    ]);
    assert_eq!(done.code, Some(1), "{done:?}");
}

#[track_caller]
fn a_deleted_pod_is_replaced(lab: &Lab<'_>, web: &Web<'_>) {
    let before = web.names();
    let gone = before.first().unwrap();
    lab.kubectl(&["delete", "pod", gone, "--wait=false"]);
    wait_for("pod in place of the deleted one", || {
        let now = web.names();
        so(now.len() == 2 && !now.contains(gone), now)
    });
    web.wait_ready();
    web.all_answer("http://web/");
}

/// Every file with what changes when it is written again.
fn files_below(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut all = BTreeMap::new();
    walk(dir, &mut |path, metadata| {
        let when = (metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
        all.insert(path.to_owned(), when);
    });
    assert_ne!(all.len(), 0);
    all
}

fn walk(dir: &Path, see: &mut dyn FnMut(&Path, &Metadata)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // Machines that run make and remove files.
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        see(&path, &metadata);
        if metadata.is_dir() {
            walk(&path, see);
        }
    }
}

/// The lab's directory is its owner's, no private key is readable by others, and the token is in no command line.
#[track_caller]
fn secrets_are_kept(lab: &Lab<'_>) {
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&lab.dir()), 0o700);
    assert_eq!(mode(&lab.dir().join("kubeconfig")), 0o600);
    let mut keys = 0;
    walk(&lab.dir(), &mut |path, metadata| {
        let small = metadata.is_file() && metadata.len() < 1 << 16;
        if small && fs::read(path).is_ok_and(|text| holds_a_key(&text)) {
            keys += 1;
            assert_eq!(metadata.mode() & 0o077, 0, "{}", path.display());
        }
    });
    // Those of the store and those on the machines.
    assert!(keys > 30, "only {keys} keys found");
    // ID.SECRET, 6 and 16 characters.
    let token = fs::read_to_string(lab.dir().join("bootstrap-token")).unwrap();
    let mut words = token.split(|c: char| !c.is_ascii_alphanumeric());
    let secret = words.find(|word| word.len() == 16).unwrap();
    for entry in fs::read_dir("/proc").unwrap() {
        let command = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        assert!(!command.contains(secret), "{command}");
    }
}

fn holds_a_key(text: &[u8]) -> bool {
    // In two parts, so that this file is none.
    let mark = ["PRIVATE", "KEY-----"].join(" ");
    text.windows(mark.len())
        .any(|window| window == mark.as_bytes())
}

/// The kubectl of the cache, as any other on this machine, needs the kubeconfig alone.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "kubectl is run as a user does")]
fn the_users_kubectl_works(lab: &Lab<'_>, kubeconfig: &Path) {
    let programs = lab.json(&["programs"]);
    let mut kubectl =
        Command::new(Path::new(programs["programs"].as_str().unwrap()).join("kubectl"));
    kubectl
        .args(["get", "--raw", "/readyz"])
        .env("KUBECONFIG", kubeconfig);
    let done = Running::start(kubectl).end();
    assert_eq!(done.out.trim(), "ok", "{done:?}");
    let path = lab.ok(&["kubeconfig"]);
    assert_eq!(path.trim(), kubeconfig.to_str().unwrap());
}

#[track_caller]
fn uids(pods: &[Value]) -> BTreeMap<String, Value> {
    pods.iter()
        .map(|pod| (name(pod), pod["metadata"]["uid"].clone()))
        .collect()
}

/// The condition that names the cluster of etcd.
#[track_caller]
pub(crate) fn etcd_cluster(report: &Value) -> String {
    let mut conditions = report["conditions"].as_array().unwrap().iter();
    let name = conditions.find_map(|one| {
        one["name"]
            .as_str()
            .filter(|name| name.contains("in cluster"))
    });
    name.unwrap().to_owned()
}
