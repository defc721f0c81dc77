//! The hardened profile: what it promises, seen from outside, and real work under it.

use crate::{
    lab::{Lab, Scene},
    turn::Room,
    waiting::{so, wait_for},
    work::{self, Web},
};
use std::path::Path;

/// `k8s:enc:secretb` in base64, which fifteen letters have without a rest.
const ENCRYPTED: &str = "azhzOmVuYzpzZWNyZXRi";
const AUDIT_LOG: &str = "/var/log/kubernetes/audit.log";

#[test]
#[ignore = "needs root"]
fn a_hardened_lab_keeps_its_word() {
    keeps_its_word("t-hard", &["--metrics-server"], "200");
}

#[test]
#[ignore = "needs root"]
fn a_hardened_lab_of_1_28_keeps_its_word() {
    // Before 1.32 anonymous requests cannot be kept to health, and nobody in this lab makes any: so there are none.
    keeps_its_word("t-hard28", &["--kubernetes", "1.28.3"], "401");
}

fn keeps_its_word(name: &'static str, wishes: &[&str], readyz: &str) {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab(name);
    lab.up(&[&["--profile", "hardened"], wishes].concat());
    the_benchmark_is_content(&lab);
    secrets_are_encrypted_and_requests_written_down(&lab);
    assert_eq!(anonymous(&lab, "/api"), "401");
    assert_eq!(anonymous(&lab, "/readyz"), readyz);
    pods_work(&lab);
    slots_take_their_manifests(&lab);
    if wishes.contains(&"--metrics-server") {
        work::use_is_told(&lab, &["cp-0", "worker-0"]);
    }
    lab.check();
    lab.up(&[]).changed_nothing();
    lab.nothing_is_planned();
    lab.down();
    scene.nothing_is_left();
}

#[track_caller]
fn the_benchmark_is_content(lab: &Lab<'_>) {
    let report = lab.run(&["check", "--cis", "--output", "json"]);
    let findings = report.json()["findings"].as_array().unwrap().clone();
    let of = |verdict: &str| {
        let findings = findings.iter();
        findings
            .filter(|finding| finding["verdict"] == verdict)
            .collect::<Vec<_>>()
    };
    assert_eq!(report.code, Some(0), "{:#?}", of("fail"));
    assert!(of("fail").is_empty(), "{:#?}", of("fail"));
    // All machines were looked at: a control plane with its node, a worker, three members.
    assert!(of("pass").len() > 100, "{}", of("pass").len());
    let mut excepted: Vec<_> = of("excepted")
        .iter()
        .map(|one| one["number"].clone())
        .collect();
    excepted.dedup();
    assert_eq!(excepted, ["1.1.12", "1.2.11", "4.2.7"]);
    let text = lab.ok(&["check", "--cis"]);
    assert!(text.contains("kube-apiserver --profiling=false"), "{text}");
}

#[track_caller]
fn secrets_are_encrypted_and_requests_written_down(lab: &Lab<'_>) {
    lab.kubectl(&[
        "create",
        "secret",
        "generic",
        "word",
        "--from-literal=word=hunter2",
    ]);
    let found = lab.ok(&[
        "exec",
        "etcd-0",
        "--",
        "/opt/lab/bin/etcdctl",
        "--endpoints=https://etcd-0:2379",
        "--cacert=/etc/etcd/pki/ca.crt",
        "--cert=/etc/etcd/pki/server.crt",
        "--key=/etc/etcd/pki/server.key",
        "--write-out=json",
        "get",
        "/registry/secrets/default/word",
    ]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let value = found["kvs"][0]["value"].as_str().unwrap();
    assert!(value.starts_with(ENCRYPTED), "{value}");
    let read = lab.get(&["secret", "word"]);
    assert_eq!(read["data"]["word"], "aHVudGVyMg==");

    let directory = lab.ok(&[
        "exec",
        "cp-0",
        "--",
        "stat",
        "--format=%a",
        "/var/log/kubernetes",
    ]);
    assert_eq!(directory.trim(), "700");
    wait_for("request in the audit log", || {
        let log = lab.ok(&["exec", "cp-0", "--", "cat", AUDIT_LOG]);
        let created = log.lines().any(|line| {
            line.contains("\"verb\":\"create\"")
                && line.contains("\"resource\":\"secrets\"")
                && line.contains("\"name\":\"word\"")
        });
        assert!(!log.contains("hunter2") && !log.contains("aHVudGVyMg"));
        so(created, log.lines().count())
    });
}

/// The status of a request of nobody, from the machine of the API server itself.
#[track_caller]
fn anonymous(lab: &Lab<'_>, path: &str) -> String {
    let url = format!("https://cp-0:6443{path}");
    let curl = [
        "exec",
        "cp-0",
        "--",
        "curl",
        "--silent",
        "--insecure",
        "--max-time",
        "10",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
    ];
    let status = lab.ok(&[&curl[..], &[&url]].concat());
    status.trim().to_owned()
}

/// Pods run under the baseline of Pod Security and the runtime's seccomp profile; kubelets are believed by their
/// certificate; what is privileged is refused.
#[track_caller]
fn pods_work(lab: &Lab<'_>) {
    let web = Web::deploy(lab);
    for pod in web.names() {
        let logs = lab.kubectl(&["logs", &pod]);
        assert!(logs.contains("listening on"), "{logs}");
    }
    let refused = lab.run(&[
        "kubectl",
        "run",
        "strong",
        "--image=lab.local/web:1",
        "--privileged",
    ]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("violates PodSecurity \"baseline:"),
        "{refused:?}"
    );
}

#[track_caller]
fn slots_take_their_manifests(lab: &Lab<'_>) {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    for (file, kinds) in [
        ("network-policy.yaml", &["networkpolicy"; 2][..]),
        ("ingress.yaml", &["ingressclass", "ingress"]),
    ] {
        let path = manifests.join(file);
        let said = lab.kubectl(&[
            "apply",
            "--dry-run=server",
            "--filename",
            path.to_str().unwrap(),
        ]);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), kinds.len(), "{said}");
        for (line, kind) in lines.iter().zip(kinds) {
            assert!(
                line.starts_with(&format!("{kind}.networking.k8s.io/")),
                "{said}"
            );
            assert!(line.ends_with("created (server dry run)"), "{said}");
        }
    }
}
