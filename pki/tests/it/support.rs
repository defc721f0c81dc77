//! A small cluster and a clock for all tests.

use std::net::IpAddr;

use pki::{
    AltNames, ApiUrl, HostName, KeySpec, KubeletClients, KubernetesVersion, Life, NodeNames,
    OsRandom, PkiPlan, PkiSpec, Report, Store, apply,
};
use time::{Duration, OffsetDateTime};

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// The clock of most tests: the moment at which webpki, OpenSSL and Go are told to stand.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

pub(crate) fn days(days: i64) -> Duration {
    Duration::days(days)
}

pub(crate) fn node(name: &str, ips: &[&str]) -> NodeNames {
    let ips = ips.iter().map(|address| ip(address)).collect();
    NodeNames {
        name: host(name),
        ips,
        api_server_url: None,
    }
}

/// The reference cluster: three etcd members, one control plane, one worker.
pub(crate) fn spec() -> PkiSpec {
    PkiSpec {
        cluster_name: host("lab"),
        kubernetes_version: KubernetesVersion::new(1, 36, 1),
        dns_domain: host("cluster.local"),
        api_service_ips: vec![ip("10.96.0.1"), ip("fd00:96::1")],
        api_extra_names: AltNames::new(vec![host("api.lab.test")], vec![ip("127.0.0.1")]).unwrap(),
        api_server_url: ApiUrl::new("https://10.0.1.10:6443").unwrap(),
        control_planes: vec![node("cp-0", &["10.0.1.10", "fd00:1::10"])],
        nodes: vec![
            node("cp-0", &["10.0.1.10"]),
            node("worker-0", &["10.0.1.20"]),
        ],
        etcd_members: vec![
            node("etcd-0", &["10.0.0.2", "fd00::2"]),
            node("etcd-1", &["10.0.0.3", "fd00::3"]),
            node("etcd-2", &["10.0.0.4", "fd00::4"]),
        ],
        authority_life: Life::AUTHORITY,
        leaf_life: Life::LEAF,
        kubelet_clients: KubeletClients::None,
        key: KeySpec::EcdsaP256,
    }
}

pub(crate) struct Lab {
    pub(crate) spec: PkiSpec,
    pub(crate) store: Store,
    _directory: tempfile::TempDir,
}

pub(crate) fn empty_lab(spec: PkiSpec) -> Lab {
    let directory = tempfile::tempdir().unwrap();
    Lab {
        spec,
        store: Store::new(directory.path().join("pki")),
        _directory: directory,
    }
}

pub(crate) fn lab() -> Lab {
    let lab = empty_lab(spec());
    run(&lab, now());
    lab
}

pub(crate) fn plan(lab: &Lab, now: OffsetDateTime) -> PkiPlan {
    PkiPlan::new(&lab.spec, &lab.store, now).unwrap()
}

pub(crate) fn run(lab: &Lab, now: OffsetDateTime) -> Report {
    apply(&lab.store, &plan(lab, now), now, &OsRandom).unwrap()
}
