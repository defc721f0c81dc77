//! What the tests share: specifications, and observations of them.

use etcd_bootstrap::{
    ClientAnswer, ClusterSpec, EtcdVersion, ListedMember, MemberName, MemberObservation,
    MemberSpec, Observed, PeerAnswer, Status,
};
use host_exec::systemd::UnitState;
use std::net::IpAddr;

pub(crate) fn name(index: usize) -> MemberName {
    format!("etcd-{index}").parse().unwrap()
}

pub(crate) fn member(index: u8) -> MemberSpec {
    let ips: Vec<IpAddr> = vec![
        [10, 0, 0, 10 + index].into(),
        format!("fd00::{}", 10 + index).parse().unwrap(),
    ];
    MemberSpec::new(name(index.into()), ips[0], ips)
}

pub(crate) fn spec_of(version: EtcdVersion, token: &str, size: u8) -> ClusterSpec {
    let members = (0..size).map(member).collect();
    ClusterSpec::new(
        token.parse().unwrap(),
        version,
        "/opt/lab/bin/etcd".into(),
        members,
    )
    .unwrap()
}

pub(crate) fn spec() -> ClusterSpec {
    spec_of(EtcdVersion::new(3, 7, 3), "lab-1", 3)
}

/// systemd's words for a service that is up, or is not.
pub(crate) fn unit(up: bool, enabled: bool) -> UnitState {
    let (active, sub) = if up {
        ("active", "running")
    } else {
        ("inactive", "dead")
    };
    UnitState {
        load: "loaded".into(),
        active: active.into(),
        sub: sub.into(),
        file: if enabled { "enabled" } else { "disabled" }.into(),
        result: "success".into(),
        needs_reload: false,
    }
}

pub(crate) fn silent() -> (PeerAnswer, ClientAnswer) {
    (
        PeerAnswer::Silent("connection refused".into()),
        ClientAnswer::Silent("refused".into()),
    )
}

/// What a running member of `spec` says to its peers when the members in `joined` have joined.
pub(crate) fn serving(spec: &ClusterSpec, formed: bool, joined: &[MemberName]) -> PeerAnswer {
    let list = spec.members().iter().map(|member| ListedMember {
        id: spec.member_ids()[&member.name],
        name: member.name.to_string(),
        peer_urls: vec![member.peer_url()],
        is_learner: false,
        client_urls: if joined.contains(&member.name) {
            member.client_urls()
        } else {
            Vec::new()
        },
    });
    PeerAnswer::Serving {
        cluster_id: Some(spec.cluster_id()),
        formed,
        members: list.collect(),
    }
}

/// A ready member that says this of itself, and follows the first one.
pub(crate) fn ready(
    spec: &ClusterSpec,
    index: usize,
    version: &str,
    errors: &[&str],
) -> ClientAnswer {
    let ids = spec.member_ids();
    ClientAnswer::Serving {
        unready: None,
        status: Some(Status {
            cluster_id: spec.cluster_id(),
            member_id: ids[&name(index)],
            leader: Some(ids[&name(0)]),
            is_learner: false,
            raft_term: 2,
            raft_index: 9,
            revision: 1,
            db_size_bytes: 1,
            db_in_use_bytes: 1,
            version: version.into(),
            storage_version: String::new(),
            downgrade: None,
            quota_bytes: 0,
            errors: errors.iter().map(|&error| error.into()).collect(),
        }),
    }
}

/// A healthy member, as [`healthy`] has three of.
pub(crate) fn healthy_member(spec: &ClusterSpec) -> MemberObservation {
    let all: Vec<MemberName> = spec
        .members()
        .iter()
        .map(|member| member.name.clone())
        .collect();
    MemberObservation {
        drifted: Vec::new(),
        unit: unit(true, true),
        has_wal: true,
        configured: Some(spec.cluster_id()),
        certificate_faults: Vec::new(),
        peer: serving(spec, true, &all),
        client: ClientAnswer::Serving {
            unready: None,
            status: None,
        },
    }
}

pub(crate) fn healthy(spec: &ClusterSpec) -> Observed {
    let members = spec
        .members()
        .iter()
        .map(|m| (m.name.clone(), healthy_member(spec)));
    Observed {
        members: members.collect(),
    }
}
