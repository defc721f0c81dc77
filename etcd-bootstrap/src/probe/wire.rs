//! The answers of members as they come, with the version of etcd that each sample was captured from.

use super::{ListedMember, Status};
use crate::{ClusterId, MemberId};
use serde::{Deserialize, Deserializer, de};

/// etcd 3.7.3, `GET /version` before and after a majority agreed:
///
/// ```text
/// {"etcdserver":"3.7.3","etcdcluster":"not_decided","storage":"unknown"}
/// {"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}
/// ```
pub(super) fn parse_formed(body: &[u8]) -> Result<bool, String> {
    #[derive(Deserialize)]
    struct Version {
        etcdcluster: String,
    }
    let version: Version = parse("/version", body)?;
    Ok(version.etcdcluster != "not_decided")
}

/// etcd 3.7.3, `GET /members` of a peer port:
///
/// ```text
/// [{"id":1234,"peerURLs":["https://10.0.0.1:2380"],"name":"etcd-0","clientURLs":["https://10.0.0.1:2379"]}, ...]
/// ```
pub(super) fn parse_members(body: &[u8]) -> Result<Vec<ListedMember>, String> {
    parse("/members", body)
}

/// etcd 3.7.3, `POST /v3/maintenance/status`: 64-bit numbers are strings, zeros are left out.
///
/// ```text
/// {"header":{"cluster_id":"17","member_id":"4","revision":"1","raft_term":"2"},"version":"3.7.3",
///  "dbSize":"20480","leader":"4","raftIndex":"9","raftTerm":"2","raftAppliedIndex":"9","dbSizeInUse":"16384"}
/// ```
pub(super) fn parse_status(body: &[u8]) -> Result<Status, String> {
    let wire: WireStatus = parse("/v3/maintenance/status", body)?;
    Ok(Status {
        cluster_id: ClusterId(wire.header.cluster_id),
        member_id: MemberId(wire.header.member_id),
        leader: (wire.leader != 0).then_some(MemberId(wire.leader)),
        is_learner: wire.is_learner,
        raft_term: wire.raft_term,
        raft_index: wire.raft_index,
        revision: wire.header.revision,
        db_size_bytes: wire.db_size,
        db_in_use_bytes: wire.db_size_in_use,
        version: wire.version,
        storage_version: wire.storage_version,
        downgrade: wire.downgrade_info.and_then(WireDowngrade::target),
        quota_bytes: wire.db_size_quota,
        errors: wire.errors,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus {
    header: WireHeader,
    #[serde(default)]
    version: String,
    #[serde(default)]
    storage_version: String,
    downgrade_info: Option<WireDowngrade>,
    #[serde(default, deserialize_with = "number_in_text")]
    db_size_quota: u64,
    #[serde(default, deserialize_with = "number_in_text")]
    db_size: u64,
    #[serde(default, deserialize_with = "number_in_text")]
    db_size_in_use: u64,
    #[serde(default, deserialize_with = "number_in_text")]
    leader: u64,
    #[serde(default, deserialize_with = "number_in_text")]
    raft_index: u64,
    #[serde(default, deserialize_with = "number_in_text")]
    raft_term: u64,
    #[serde(default)]
    is_learner: bool,
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDowngrade {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    target_version: String,
}

impl WireDowngrade {
    fn target(self) -> Option<String> {
        self.enabled.then_some(self.target_version)
    }
}

#[derive(Deserialize)]
struct WireHeader {
    #[serde(deserialize_with = "number_in_text")]
    cluster_id: u64,
    #[serde(deserialize_with = "number_in_text")]
    member_id: u64,
    #[serde(default, deserialize_with = "number_in_text")]
    revision: u64,
}

pub(crate) fn number_in_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(de::Error::custom)
}

pub(super) fn parse<'b, T: Deserialize<'b>>(what: &str, body: &'b [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| {
        let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
        format!("cannot read the answer to {what}: {e}: {start}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_a_decided_version_is_not_formed() {
        let answer = |text: &str| parse_formed(text.as_bytes());
        let forming = r#"{"etcdserver":"3.7.3","etcdcluster":"not_decided","storage":"unknown"}"#;
        assert_eq!(answer(forming), Ok(false));
        let formed = r#"{"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}"#;
        assert_eq!(answer(formed), Ok(true));
        assert!(answer("<html>").unwrap_err().contains("<html>"));
    }

    #[test]
    fn a_member_that_never_joined_has_no_client_urls() {
        let text = r#"[{"id":10276657743932975437,"peerURLs":["https://127.0.1.1:2380"],"name":"a",
            "clientURLs":["https://127.0.1.1:2379"]},
            {"id":2,"peerURLs":["https://127.0.1.2:2380"],"name":"b"}]"#;
        let members = parse_members(text.as_bytes()).unwrap();
        assert_eq!(members[0].id, MemberId(10_276_657_743_932_975_437));
        assert_eq!(members[0].client_urls.len(), 1);
        assert!(members[1].client_urls.is_empty());
    }

    #[test]
    fn zeros_are_left_out_of_a_status() {
        let text = r#"{"header":{"cluster_id":"17","member_id":"4"},"version":"3.7.3"}"#;
        let status = parse_status(text.as_bytes()).unwrap();
        assert_eq!((status.leader, status.revision), (None, 0));
        assert!(parse_status(br#"{"header":{"cluster_id":"x","member_id":"4"}}"#).is_err());
    }
}
