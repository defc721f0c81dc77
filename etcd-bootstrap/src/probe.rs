//! Questions to running members, over TLS, each with an end.
//!
//! The peer port answers as soon as a member is up; the client port accepts connections at once and
//! answers only when the member has joined, which needs a majority (etcd's source,
//! `server/embed/serve.go`). So silence there says nothing yet.

use crate::{ClusterId, ClusterSpec, MemberId, MemberName, MemberSpec, Tls, tls::MemberTls};
use host_exec::{
    Host,
    https::{Answer, Connector, HttpsClient, RequestError, is_ok},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The host of each member.
pub type Hosts = BTreeMap<MemberName, Arc<dyn Host>>;

/// A member that nothing can be asked of, because its host or its certificates were not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("member {member} has no {what}; give one for every member of the cluster")]
pub struct Unreachable {
    /// The member.
    pub member: MemberName,
    /// `host` or `certificates`.
    pub what: &'static str,
}

/// The host of a member.
pub(crate) fn host_of<'h>(
    hosts: &'h Hosts,
    member: &MemberName,
) -> Result<&'h Arc<dyn Host>, Unreachable> {
    hosts.get(member).ok_or_else(|| Unreachable {
        member: member.clone(),
        what: "host",
    })
}

/// What a member says at its peer port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerAnswer {
    /// Nothing, and why.
    Silent(String),
    /// It serves.
    Serving {
        /// The cluster it believes to be in; `None` if the answer does not say.
        cluster_id: Option<ClusterId>,
        /// Whether a majority ever agreed on the cluster's version, so that it is formed.
        formed: bool,
        /// The members it knows.
        members: Vec<ListedMember>,
    },
}

/// A member as another one lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedMember {
    /// Its ID.
    pub id: MemberId,
    /// Its name; empty for one that was added and has not started yet.
    #[serde(default)]
    pub name: String,
    /// Where the others reach it.
    #[serde(default, rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// Whether it has no vote yet.
    #[serde(default, rename = "isLearner")]
    pub is_learner: bool,
    /// Where it serves clients. Empty until it has joined for the first time: the one true sign.
    #[serde(default, rename = "clientURLs")]
    pub client_urls: Vec<String>,
}

/// What a member says at its client port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAnswer {
    /// Nothing, and why.
    Silent(String),
    /// It serves.
    Serving {
        /// What is wrong with `/readyz`; `None` when it is ready.
        unready: Option<String>,
        /// What `Maintenance.Status` says; `None` if that failed.
        status: Option<Status>,
    },
}

impl ClientAnswer {
    /// Whether the member takes reads and writes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Serving { unready: None, .. })
    }

    /// What it says of its store and of raft; `None` while it is silent.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Serving { status, .. } => status.as_ref(),
            Self::Silent(_) => None,
        }
    }
}

/// The state of a member's store and of its raft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The cluster it is in.
    pub cluster_id: ClusterId,
    /// Its own ID.
    pub member_id: MemberId,
    /// The leader it follows; `None` while there is none.
    pub leader: Option<MemberId>,
    /// Whether it has no vote yet.
    pub is_learner: bool,
    /// The term of that leader.
    pub raft_term: u64,
    /// The last entry it knows to be committed.
    pub raft_index: u64,
    /// The revision of the store.
    pub revision: u64,
    /// The size of the store's file in bytes.
    pub db_size_bytes: u64,
    /// How much of it is in use, in bytes.
    pub db_in_use_bytes: u64,
    /// The version it runs.
    pub version: String,
    /// The version of the format that its store is in, as `3.6.0`; empty before 3.6.
    pub storage_version: String,
    /// The minor to which a downgrade is under way, as `3.6.0`; `None` without one, and from members before 3.6.
    pub downgrade: Option<String>,
    /// How large the store's file may become, in bytes; 0 where etcd does not say, which it does from 3.6 on.
    pub quota_bytes: u64,
    /// Alarms and other trouble, in etcd's words.
    pub errors: Vec<String>,
}

impl Status {
    /// Whether the member follows itself.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leader == Some(self.member_id)
    }
}

/// Asks the members of one cluster; connections are kept between questions.
#[derive(Debug, Clone)]
pub struct Probe {
    members: BTreeMap<MemberName, Endpoints>,
}

#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    peer: HttpsClient,
    peer_url: String,
    pub(crate) client: HttpsClient,
    pub(crate) client_url: String,
}

impl Probe {
    /// Questions to the members of `spec`, each from its own host and with at most `timeout` for an answer.
    ///
    /// # Errors
    ///
    /// A member has no host in `hosts` or no certificates in `tls`.
    pub fn new(
        spec: &ClusterSpec,
        hosts: &Hosts,
        tls: &Tls,
        timeout: Duration,
    ) -> Result<Self, Unreachable> {
        let one = |member: &MemberSpec| Endpoints::find(member, hosts, tls, timeout);
        let members = spec.members().iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self { members })
    }

    /// The same for a cluster that is looked at while machines are missing: a member without a host or
    /// without certificates is silent, and says that as its reason.
    #[must_use]
    pub fn of_reachable(spec: &ClusterSpec, hosts: &Hosts, tls: &Tls, timeout: Duration) -> Self {
        let one = |member: &MemberSpec| Endpoints::find(member, hosts, tls, timeout).ok();
        let members = spec.members().iter().filter_map(one).collect();
        Self { members }
    }

    /// Whether the member serves its peers: what the next one needs to start without waiting.
    ///
    /// # Errors
    ///
    /// What was seen instead, as text.
    pub async fn serves_peers(&self, name: &MemberName) -> Result<(), String> {
        let member = self.endpoints(name)?;
        member.peer("/version").await.map(drop)
    }

    /// What the member says at its peer port. Failures are part of the answer.
    pub async fn peer(&self, name: &MemberName) -> PeerAnswer {
        match self.ask_peer(name).await {
            Ok(answer) => answer,
            Err(why) => PeerAnswer::Silent(why),
        }
    }

    /// What the member says at its client port. Failures are part of the answer.
    pub async fn client(&self, name: &MemberName) -> ClientAnswer {
        let unready = match self.readiness(name).await {
            Ok(unready) => unready,
            Err(why) => return ClientAnswer::Silent(why),
        };
        let status = self.status(name).await.ok();
        ClientAnswer::Serving { unready, status }
    }

    /// What keeps the member from being ready; `None` when it is.
    ///
    /// # Errors
    ///
    /// It does not answer; why, as text.
    pub async fn readiness(&self, name: &MemberName) -> Result<Option<String>, String> {
        let member = self.endpoints(name)?;
        let url = format!("{}/readyz", member.client_url);
        let answer = member.client.get(&url).await.map_err(|e| why(&e))?;
        Ok((!is_ok(&answer)).then(|| one_line(&answer)))
    }

    /// What `Maintenance.Status` says, through etcd's JSON gateway.
    ///
    /// # Errors
    ///
    /// It does not answer, or not in the form expected; why, as text.
    pub async fn status(&self, name: &MemberName) -> Result<Status, String> {
        let member = self.endpoints(name)?;
        let url = format!("{}/v3/maintenance/status", member.client_url);
        let answer = member
            .client
            .post_json(&url, "{}")
            .await
            .map_err(|e| why(&e))?;
        if !is_ok(&answer) {
            return Err(one_line(&answer));
        }
        parse_status(answer.body())
    }

    /// Whether a downgrade is under way, by `GET /downgrade/enabled` of the peer port: members of all minors tell it, by a
    /// linearizable read.
    ///
    /// # Errors
    ///
    /// It does not answer, or something else; why, as text.
    pub async fn downgrades(&self, name: &MemberName) -> Result<bool, String> {
        let answer = self.endpoints(name)?.peer("/downgrade/enabled").await?;
        parse("/downgrade/enabled", answer.body())
    }

    async fn ask_peer(&self, name: &MemberName) -> Result<PeerAnswer, String> {
        let member = self.endpoints(name)?;
        let version = member.peer("/version").await?;
        let list = member.peer("/members").await?;
        let cluster_id = list.headers().get("x-etcd-cluster-id");
        Ok(PeerAnswer::Serving {
            cluster_id: cluster_id.and_then(|id| ClusterId::from_hex(id.to_str().ok()?)),
            formed: parse_formed(version.body())?,
            members: parse_members(list.body())?,
        })
    }

    pub(crate) fn endpoints(&self, name: &MemberName) -> Result<&Endpoints, String> {
        self.members
            .get(name)
            .ok_or_else(|| format!("the machine of {name} cannot be reached"))
    }
}

impl Endpoints {
    fn find(
        member: &MemberSpec,
        hosts: &Hosts,
        tls: &Tls,
        timeout: Duration,
    ) -> Result<(MemberName, Self), Unreachable> {
        let host = host_of(hosts, &member.name)?;
        let tls = tls.of(&member.name).ok_or_else(|| Unreachable {
            member: member.name.clone(),
            what: "certificates",
        })?;
        let endpoints = Self::new(member, host, tls, timeout);
        Ok((member.name.clone(), endpoints))
    }

    fn new(member: &MemberSpec, host: &Arc<dyn Host>, tls: &MemberTls, timeout: Duration) -> Self {
        let over = |tls: &Arc<rustls::ClientConfig>| {
            let connector = Connector::new(Arc::clone(host), Arc::clone(tls), timeout);
            HttpsClient::new(connector, timeout)
        };
        Self {
            peer: over(&tls.peer),
            peer_url: member.peer_url(),
            client: over(&tls.client),
            client_url: member.client_urls().into_iter().next().unwrap_or_default(),
        }
    }

    async fn peer(&self, path: &str) -> Result<Answer, String> {
        let answer = self.peer.get(&format!("{}{path}", self.peer_url)).await;
        let answer = answer.map_err(|e| why(&e))?;
        if is_ok(&answer) {
            Ok(answer)
        } else {
            Err(one_line(&answer))
        }
    }
}

/// The error as one text: it is an observation here, to be shown and not to be matched on.
pub(crate) fn why(error: &RequestError) -> String {
    error.to_string()
}

/// Status and body of an answer that is not 200, such as `503 Service Unavailable: [-]data_corruption failed`.
pub(crate) fn one_line(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(answer.body());
    let words: Vec<&str> = body.split_whitespace().take(40).collect();
    format!("{}: {}", answer.status(), words.join(" "))
}

/// etcd 3.7.3, `GET /version` before and after a majority agreed:
///
/// ```text
/// {"etcdserver":"3.7.3","etcdcluster":"not_decided","storage":"unknown"}
/// {"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}
/// ```
fn parse_formed(body: &[u8]) -> Result<bool, String> {
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
fn parse_members(body: &[u8]) -> Result<Vec<ListedMember>, String> {
    parse("/members", body)
}

/// etcd 3.7.3, `POST /v3/maintenance/status`: 64-bit numbers are strings, zeros are left out.
///
/// ```text
/// {"header":{"cluster_id":"17","member_id":"4","revision":"1","raft_term":"2"},"version":"3.7.3",
///  "dbSize":"20480","leader":"4","raftIndex":"9","raftTerm":"2","raftAppliedIndex":"9","dbSizeInUse":"16384"}
/// ```
fn parse_status(body: &[u8]) -> Result<Status, String> {
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

fn parse<'b, T: Deserialize<'b>>(what: &str, body: &'b [u8]) -> Result<T, String> {
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
