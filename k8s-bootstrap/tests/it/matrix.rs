//! What each minor changes against the one before: by a table of names with the reasons, and in full by golden files
//! (`tests/data/tree`). `K8S_BOOTSTRAP_BLESS=1 cargo test -p k8s-bootstrap` writes these anew.

use crate::{
    difference::{changed, unified},
    golden,
    tree::{Tree, text, tree},
};
use host_exec::{Command, Host, LocalHost};
use k8s_bootstrap::{RELEASES, Shape, SupportedVersion};
use std::collections::BTreeSet;

/// The versions whose sources the table of releases was read from, one of each minor.
const VERSIONS: [&str; 10] = [
    "1.28.3", "1.29.0", "1.30.0", "1.31.0", "1.32.0", "1.33.0", "1.34.0", "1.35.0", "1.36.3",
    "1.37.2",
];

/// A section that a version changes, and why. Of files the path stands for all nodes that have it.
type Change = (&'static str, &'static str);

const COREDNS: Change = ("Deployment kube-system/coredns", "kubeadm's CoreDNS");
const PAUSE: Change = ("/etc/containerd/config.toml", "kubeadm's pause image");
const KUBELET_CLIENT: [Change; 2] = [
    ("certificate apiserver-kubelet-client", "kubernetes#138957"),
    (
        "ClusterRoleBinding kubeadm:apiserver-kubelet-client",
        "kubernetes#138957",
    ),
];

/// The changes of 1.29 against 1.28, of 1.30 against 1.29, and so on.
const SERVICES: [&[Change]; 9] = [
    &[
        ("/etc/kubernetes/super-admin.conf", "kubernetes#121305"),
        ("certificate super-admin", "kubernetes#121305"),
        ("certificate admin", "kubernetes#121305"),
        (
            "ClusterRoleBinding kubeadm:cluster-admins",
            "kubernetes#121305",
        ),
        ("certificate apiserver-kubelet-client", "kubernetes#121837"),
        ("certificate apiserver-etcd-client", "kubernetes#120521"),
        ("certificate etcd-healthcheck-client", "kubernetes#119859"),
        COREDNS,
    ],
    &[],
    &[
        ("/var/lib/kubelet/config.yaml", "failCgroupV1, KEP-4569"),
        PAUSE,
    ],
    &[
        ("ConfigMap kube-system/coredns", "kubernetes#128359"),
        COREDNS,
    ],
    &[
        ("/etc/kubernetes/kube-proxy-config.yaml", "KEP-3866"),
        COREDNS,
    ],
    &[COREDNS, PAUSE],
    &[COREDNS],
    &[COREDNS, PAUSE, KUBELET_CLIENT[0], KUBELET_CLIENT[1]],
    &[COREDNS],
];

/// What names the version itself: tags of images, and the version that kubeadm remembers. The manifests of static pods
/// also change in 1.31 (mounts of authorities), 1.32 (probes of the scheduler), 1.34 (named ports) and 1.36 (no
/// flexvolumes, and the order of extra arguments), see `tests/data/tree`.
const IMAGES: [&str; 5] = [
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/kube-controller-manager.yaml",
    "/etc/kubernetes/manifests/kube-scheduler.yaml",
    "ConfigMap kube-system/kubeadm-config",
    "DaemonSet kube-system/kube-proxy",
];

/// The same as [`SERVICES`] for static pods, beside [`IMAGES`].
const STATIC_PODS: [&[Change]; 9] = [
    SERVICES[0],
    &[],
    &[
        ("/var/lib/kubelet/config.yaml", "failCgroupV1, KEP-4569"),
        (
            "ConfigMap kube-system/kubelet-config",
            "failCgroupV1, KEP-4569",
        ),
        (
            "/var/lib/kubelet/kubeadm-flags.env",
            "kubeadm's pause image",
        ),
        PAUSE,
    ],
    SERVICES[3],
    &[
        ("/etc/kubernetes/kubelet.conf", "kubernetes#129956"),
        ("ConfigMap kube-system/kube-proxy", "KEP-3866"),
        COREDNS,
    ],
    &[
        ("/var/lib/kubelet/config.yaml", "kubernetes#131981"),
        ("/var/lib/kubelet/instance-config.yaml", "kubernetes#131981"),
        ("/var/lib/kubelet/kubeadm-flags.env", "kubernetes#131981"),
        ("Node cp-0", "kubernetes#131981"),
        ("Node cp-1", "kubernetes#131981"),
        ("Node worker-0", "kubernetes#131981"),
        COREDNS,
        PAUSE,
    ],
    &[
        (
            "/var/lib/kubelet/kubeadm-flags.env",
            "kubernetes#133778, #133779",
        ),
        COREDNS,
    ],
    SERVICES[7],
    SERVICES[8],
];

/// Patch releases, and what the second has otherwise than the first.
const PATCHES: [(&str, &str, &[Change]); 4] = [
    // Another image of etcd, which is none of ours.
    ("1.28.3", "1.28.15", &[]),
    ("1.30.4", "1.30.5", &[COREDNS]),
    // Another floor of etcd.
    ("1.33.5", "1.33.6", &[]),
    ("1.36.0", "1.36.1", &KUBELET_CLIENT),
];

fn names(before: &Tree, after: &Tree) -> BTreeSet<String> {
    let titles = changed(before, after).into_iter();
    titles
        .map(|title| title.split(" (").next().unwrap_or(title).to_owned())
        .collect()
}

fn expected(changes: &[Change]) -> BTreeSet<String> {
    changes.iter().map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn the_versions_are_one_of_each_minor() {
    let minors = VERSIONS.map(|text| text.parse::<SupportedVersion>().unwrap().release().minor);
    let known: Vec<u16> = RELEASES.iter().map(|release| release.minor).collect();
    assert_eq!(minors.to_vec(), known);
}

#[test]
fn each_minor_changes_what_the_table_names_and_nothing_else() {
    for (pair, changes) in VERSIONS.windows(2).zip(SERVICES) {
        let trees = [0, 1].map(|index| tree(Shape::Services, pair[index]));
        assert_eq!(
            names(&trees[0], &trees[1]),
            expected(changes),
            "{} to {}",
            pair[0],
            pair[1]
        );
    }
}

#[test]
fn each_minor_changes_what_the_table_of_static_pods_names() {
    for (pair, changes) in VERSIONS.windows(2).zip(STATIC_PODS) {
        let trees = [0, 1].map(|index| tree(Shape::StaticPods, pair[index]));
        let mut expected = expected(changes);
        expected.extend(IMAGES.map(str::to_owned));
        let found = names(&trees[0], &trees[1]);
        assert_eq!(found, expected, "{} to {}", pair[0], pair[1]);
    }
}

#[test]
fn some_patch_releases_change_something_too() {
    for (before, after, changes) in PATCHES {
        let found = names(
            &tree(Shape::Services, before),
            &tree(Shape::Services, after),
        );
        assert_eq!(found, expected(changes), "{before} to {after}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says where the programs are"
)]
fn kubeadm_dir() -> std::ffi::OsString {
    std::env::var_os("LAB_KUBEADM_DIR").expect("LAB_KUBEADM_DIR names a directory")
}

/// kubeadm itself names the images of its release.
#[tokio::test]
#[ignore = "needs kubeadm, of any versions, each as LAB_KUBEADM_DIR/VERSION/kubeadm"]
async fn the_images_are_those_that_kubeadm_names() {
    let host = LocalHost::new("here".parse().unwrap());
    let mut asked = 0;
    for entry in std::fs::read_dir(kubeadm_dir()).unwrap() {
        let entry = entry.unwrap();
        let text = entry.file_name().into_string().unwrap();
        let version: SupportedVersion = text.parse().unwrap();
        let command = Command::new(entry.path().join("kubeadm").to_str().unwrap())
            .args(["config", "images", "list"])
            .arg(format!("--kubernetes-version=v{version}"));
        let output = host.run(&command).await.unwrap();
        let said = output.stdout_text();
        for image in [
            format!("registry.k8s.io/pause:{}", version.release().pause),
            format!("registry.k8s.io/etcd:{}", version.etcd_image_tag()),
            format!("registry.k8s.io/coredns/coredns:{}", version.coredns()),
        ] {
            assert!(said.lines().any(|line| line == image), "{image} in {said}");
        }
        asked += 1;
    }
    assert!(asked > 0, "LAB_KUBEADM_DIR is empty");
}

#[test]
fn the_tree_of_every_minor() {
    for (shape, word) in [
        (Shape::Services, "services"),
        (Shape::StaticPods, "static-pods"),
    ] {
        let oldest = tree(shape, VERSIONS[0]);
        golden::check(&format!("tree/{word}-1.28.txt"), &text(&oldest));
        for pair in VERSIONS.windows(2) {
            let trees = [0, 1].map(|index| tree(shape, pair[index]));
            let minor = pair[1].rsplit_once('.').unwrap().0;
            golden::check(
                &format!("tree/{word}-{minor}.diff"),
                &format!(
                    "What {} has otherwise than {}\n\n{}",
                    pair[1],
                    pair[0],
                    unified(&trees[0], &trees[1])
                ),
            );
        }
    }
}
