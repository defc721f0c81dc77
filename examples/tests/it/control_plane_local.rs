//! The example `control_plane_local`, as a user who is not root.

use crate::nobody;

/// What it starts.
const PROGRAMS: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

#[test]
#[ignore = "needs root, setpriv, etcd and the Kubernetes programs"]
fn a_user_without_root_brings_up_a_control_plane() {
    let version = |name: &str| nobody::version(&nobody::bin_dir().join(name));
    let said = nobody::run("control_plane_local", &PROGRAMS, |dir| {
        vec![
            dir.display().to_string(),
            version("kube-apiserver"),
            version("etcd"),
        ]
    });
    for line in [
        "API of cp-0 is ready: ready",
        "controller-manager of cp-0 is healthy: ok",
        "scheduler of cp-0 is healthy: ok",
    ] {
        assert!(said.lines().any(|found| found == line), "{said}");
    }
}
