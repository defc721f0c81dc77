//! From what was found to what is done.

use crate::wanted;
use artifacts::{Component, Existing, Found, Go, Mirrors, ProgramName, Reach, Step, Version, plan};
use proptest::{prelude::*, sample};
use std::collections::BTreeMap;

fn go(version: &str) -> Go {
    Go::Found {
        path: "/usr/bin/go".into(),
        version: version.parse().unwrap(),
    }
}

fn nothing(go: Go, reach: Reach) -> Found {
    Found {
        in_place: Vec::new(),
        existing: Vec::new(),
        rejected: Vec::new(),
        reach: Component::ALL.map(|c| (c, reach.clone())).into(),
        go,
    }
}

fn silent() -> Reach {
    Reach::Unusable("connection timed out".to_owned())
}

#[test]
fn nothing_is_done_for_what_is_in_place() {
    let wanted = wanted("1.37.2");
    let mut found = nothing(go("1.26.8"), Reach::Reachable);
    found.in_place = wanted.programs.clone();
    assert_eq!(plan(&wanted, &found, &Mirrors::default()), Ok(Vec::new()));
}

#[test]
fn downloads_have_the_official_addresses() {
    let mut wanted = wanted("1.37.2");
    wanted.architecture = artifacts::Architecture::Amd64;
    let found = nothing(go("1.26.8"), Reach::Reachable);
    let steps = plan(&wanted, &found, &Mirrors::default()).unwrap();
    let addresses: Vec<_> = steps
        .iter()
        .map(|step| match step {
            Step::Download {
                url, checksum_url, ..
            } => (url.as_str(), checksum_url.as_str()),
            other => panic!("{other}"),
        })
        .collect();
    // Three programs of etcd in one archive, six of Kubernetes, one of CoreDNS.
    assert_eq!(addresses.len(), 1 + 6 + 1);
    assert_eq!(
        addresses[0],
        (
            "https://github.com/etcd-io/etcd/releases/download/v3.7.3/etcd-v3.7.3-linux-amd64.tar.gz",
            "https://github.com/etcd-io/etcd/releases/download/v3.7.3/SHA256SUMS",
        )
    );
    assert!(addresses.contains(&(
        "https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubelet",
        "https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubelet.sha256",
    )));
    assert_eq!(
        addresses[7],
        (
            "https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_amd64.tgz",
            "https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_amd64.tgz.sha256",
        )
    );
}

#[test]
fn what_cannot_be_downloaded_is_built() {
    let wanted = wanted("1.37.2").with(ProgramName::Kubeadm);
    let mut found = nothing(go("1.26.8"), silent());
    found.reach.insert(Component::Coredns, Reach::Reachable);
    let steps = plan(&wanted, &found, &Mirrors::default()).unwrap();
    let shown: Vec<_> = steps.iter().map(|step| step.to_string()).collect();
    assert_eq!(
        shown[..2],
        [
            "build etcd, etcdctl, etcdutl of etcd 3.7.3 with Go 1.26.8",
            "build kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, \
             kubectl, kubeadm of kubernetes 1.37.2 with Go 1.26.8",
        ]
    );
    assert!(
        shown[2].starts_with("download coredns from https://"),
        "{}",
        shown[2]
    );
}

#[test]
fn the_error_names_everything_that_was_tried() {
    let wanted = wanted("1.37.2");
    let mut found = nothing(Go::Missing("there is no Go in PATH".to_owned()), silent());
    found.rejected = vec![(
        ProgramName::Etcd,
        "/usr/bin/etcd is 3.4.23, not 3.7.3".to_owned(),
    )];
    let message = plan(&wanted, &found, &Mirrors::default())
        .unwrap_err()
        .to_string();
    for part in [
        "cannot get etcd, etcdctl, etcdutl 3.7.3 of etcd",
        "/usr/bin/etcd is 3.4.23, not 3.7.3",
        "https://github.com/etcd-io/etcd/releases/download: connection timed out",
        "there is no Go in PATH",
        "install Go 1.26 or newer (https://go.dev/dl)",
        "--bin-dir",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn an_old_go_is_named() {
    let found = nothing(go("1.25.3"), silent());
    let message = plan(&wanted("1.37.2"), &found, &Mirrors::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("/usr/bin/go is 1.25.3, too old to build it"),
        "{message}"
    );
    // The older Kubernetes is content with it; etcd and CoreDNS are not.
    let mut found = found;
    found.reach.insert(Component::Etcd, Reach::Reachable);
    found.reach.insert(Component::Coredns, Reach::Reachable);
    assert!(plan(&wanted("1.28.3"), &found, &Mirrors::default()).is_ok());
}

proptest! {
    /// Whatever is found: each wanted program that is not in place is in exactly one step, and no other is in any.
    #[test]
    fn steps_complete_the_set(
        in_place in sample::subsequence(ProgramName::ALL.to_vec(), 0..11),
        existing in sample::subsequence(ProgramName::ALL.to_vec(), 0..11),
        reachable in sample::subsequence(Component::ALL.to_vec(), 0..3),
    ) {
        let wanted = wanted("1.30.1");
        let found = Found {
            in_place: in_place.clone(),
            existing: existing
                .iter()
                .map(|program| Existing { program: *program, path: "/x".into(), in_cache: false })
                .collect(),
            rejected: Vec::new(),
            reach: reachable.into_iter().map(|c| (c, Reach::Reachable)).collect::<BTreeMap<_, _>>(),
            go: Go::Found { path: "/go".into(), version: Version::new(1, 26, 0) },
        };
        let steps = plan(&wanted, &found, &Mirrors::default()).unwrap();
        let mut done: Vec<_> = steps.iter().flat_map(Step::programs).collect();
        let mut expected = wanted.programs.clone();
        expected.retain(|program| !in_place.contains(program));
        done.sort();
        expected.sort();
        prop_assert_eq!(done, expected);
    }
}
