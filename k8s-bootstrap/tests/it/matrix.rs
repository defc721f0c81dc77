//! What each minor changes against the one before: by a table of names with the reasons, and in full by golden files
//! (`tests/data/tree`). `K8S_BOOTSTRAP_BLESS=1 cargo test -p k8s-bootstrap` writes these anew.

use crate::{
    difference::{changed, unified},
    golden,
    tree::{Tree, text, tree},
};
use k8s_bootstrap::{Profile, RELEASES, Shape, SupportedVersion};
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

/// What the hardened profile has besides: anonymous requests are kept to health by the API server itself.
const HARDENED: [&[Change]; 9] = {
    let mut changes = SERVICES;
    changes[3] = &[
        ("/etc/kubernetes/apiserver/authentication.yaml", "KEP-4633"),
        ("/etc/systemd/system/kube-apiserver.service", "KEP-4633"),
        ("ConfigMap kube-system/coredns", "kubernetes#128359"),
        COREDNS,
    ];
    changes[5] = &[
        ("/etc/kubernetes/apiserver/authentication.yaml", "KEP-3331"),
        COREDNS,
        PAUSE,
    ];
    changes
};

/// The same with static pods, in the files of the kubelet and in the objects of kubeadm.
const STATIC_PODS: [&[Change]; 9] = {
    let mut changes = SERVICES;
    changes[2] = &[
        ("/var/lib/kubelet/config.yaml", "failCgroupV1, KEP-4569"),
        ("ConfigMap kube-system/kubelet-config", "failCgroupV1"),
        ("ConfigMap kube-system/kubeadm-config", "kubernetes#125029"),
        (
            "/var/lib/kubelet/kubeadm-flags.env",
            "kubeadm's pause image",
        ),
        PAUSE,
    ];
    changes[3] = &[
        (
            "/etc/kubernetes/manifests/kube-scheduler.yaml",
            "kubernetes#126945",
        ),
        ("ConfigMap kube-system/coredns", "kubernetes#128359"),
        COREDNS,
    ];
    changes[4] = &[
        ("/etc/kubernetes/kubelet.conf", "kubernetes#129956"),
        ("ConfigMap kube-system/kube-proxy", "KEP-3866"),
        COREDNS,
    ];
    changes[5] = &[
        (
            "/etc/kubernetes/manifests/kube-apiserver.yaml",
            "kubernetes#132776",
        ),
        (
            "/etc/kubernetes/manifests/kube-controller-manager.yaml",
            "kubernetes#132776",
        ),
        (
            "/etc/kubernetes/manifests/kube-scheduler.yaml",
            "kubernetes#132776",
        ),
        ("/var/lib/kubelet/instance-config.yaml", "kubernetes#131981"),
        ("/var/lib/kubelet/config.yaml", "kubernetes#131981"),
        ("/var/lib/kubelet/kubeadm-flags.env", "kubernetes#131981"),
        ("Node cp-0", "kubernetes#131981"),
        ("Node cp-1", "kubernetes#131981"),
        ("Node worker-0", "kubernetes#131981"),
        COREDNS,
        PAUSE,
    ];
    changes[6] = &[
        ("/var/lib/kubelet/kubeadm-flags.env", "kubernetes#133779"),
        COREDNS,
    ];
    changes[7] = &[
        (
            "/etc/kubernetes/manifests/kube-apiserver.yaml",
            "the order of extraArgs, kubernetes#135400",
        ),
        (
            "/etc/kubernetes/manifests/kube-controller-manager.yaml",
            "kubernetes#136423",
        ),
        ("ConfigMap kube-system/kubeadm-config", "kubernetes#136423"),
        COREDNS,
        PAUSE,
        KUBELET_CLIENT[0],
        KUBELET_CLIENT[1],
    ];
    changes
};

/// One spec with all that is asked of it here.
struct Kind {
    /// What its golden files are called.
    name: &'static str,
    shape: Shape,
    profile: Profile,
    changes: [&'static [Change]; 9],
}

/// The first is in full in the golden files, the others as what they have otherwise.
const KINDS: [Kind; 3] = [
    Kind {
        name: "services",
        shape: Shape::Services,
        profile: Profile::Standard,
        changes: SERVICES,
    },
    Kind {
        name: "hardened",
        shape: Shape::Services,
        profile: Profile::Hardened,
        changes: HARDENED,
    },
    Kind {
        name: "static-pods",
        shape: Shape::StaticPods,
        profile: Profile::Standard,
        changes: STATIC_PODS,
    },
];

impl Kind {
    fn tree(&self, version: &str) -> Tree {
        tree(self.shape, self.profile, version)
    }
}

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
    for kind in KINDS {
        let name = kind.name;
        for (pair, changes) in VERSIONS.windows(2).zip(kind.changes) {
            let found = names(&kind.tree(pair[0]), &kind.tree(pair[1]));
            assert_eq!(
                found,
                expected(changes),
                "{name}: {} to {}",
                pair[0],
                pair[1]
            );
        }
    }
}

#[test]
fn some_patch_releases_change_something_too() {
    for (before, after, changes) in PATCHES {
        let found = names(&KINDS[0].tree(before), &KINDS[0].tree(after));
        assert_eq!(found, expected(changes), "{before} to {after}");
    }
}

#[test]
fn the_tree_of_every_minor() {
    let base = &KINDS[0];
    for kind in KINDS {
        let name = kind.name;
        let oldest = kind.tree(VERSIONS[0]);
        if name == base.name {
            golden::check(&format!("tree/{name}-1.28.txt"), &text(&oldest));
        } else {
            let difference = unified(&base.tree(VERSIONS[0]), &oldest);
            let title = format!("What {name} has otherwise than {} in 1.28.3", base.name);
            let whole = format!("{title}\n\n{difference}");
            golden::check(&format!("tree/{name}-1.28.diff"), &whole);
        }
        for pair in VERSIONS.windows(2) {
            let difference = unified(&kind.tree(pair[0]), &kind.tree(pair[1]));
            let minor = pair[1].rsplit_once('.').unwrap().0;
            golden::check(
                &format!("tree/{name}-{minor}.diff"),
                &format!(
                    "What {} has otherwise than {}\n\n{difference}",
                    pair[1], pair[0]
                ),
            );
        }
    }
}
