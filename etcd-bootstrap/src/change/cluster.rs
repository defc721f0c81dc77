//! The requests of etcd's `Cluster` service.

use crate::{
    ClusterId, ListedMember, MemberId, MemberName, Probe, gateway::RequestFailed,
    probe::number_in_text,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The members, as a majority knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    pub(super) cluster_id: ClusterId,
    pub(super) members: Vec<ListedMember>,
}

impl List {
    pub(super) fn by_id(&self, id: MemberId) -> Option<&ListedMember> {
        self.members.iter().find(|member| member.id == id)
    }

    pub(super) fn by_url(&self, url: &str) -> Option<&ListedMember> {
        let mut members = self.members.iter();
        members.find(|member| member.peer_urls.iter().any(|own| own == url))
    }
}

/// etcd 3.7.3, `POST /v3/cluster/member/list`; `add`, `remove` and `promote` answer with the same list.
///
/// ```text
/// {"header":{"cluster_id":"17","member_id":"4","raft_term":"2"},"members":[{"ID":"4","name":"etcd-0",
///  "peerURLs":["https://10.0.0.1:2380"],"clientURLs":["https://10.0.0.1:2379"],"isLearner":false}]}
/// ```
#[derive(Deserialize)]
struct Answer {
    header: Header,
    #[serde(default)]
    members: Vec<Wire>,
}

#[derive(Deserialize)]
struct Header {
    #[serde(deserialize_with = "number_in_text")]
    cluster_id: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "ID", deserialize_with = "number_in_text")]
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "peerURLs")]
    peer_urls: Vec<String>,
    #[serde(default, rename = "clientURLs")]
    client_urls: Vec<String>,
    #[serde(default)]
    is_learner: bool,
}

impl From<Wire> for ListedMember {
    fn from(wire: Wire) -> Self {
        Self {
            id: MemberId(wire.id),
            name: wire.name,
            peer_urls: wire.peer_urls,
            is_learner: wire.is_learner,
            client_urls: wire.client_urls,
        }
    }
}

impl Probe {
    /// The members as `asked` knows them after it has asked a majority.
    pub(super) async fn list_members(&self, asked: &MemberName) -> Result<List, RequestFailed> {
        let body = json!({ "linearizable": true });
        self.cluster(asked, "list the members", "list", &body).await
    }

    pub(super) async fn add_learner(
        &self,
        asked: &MemberName,
        peer_url: &str,
    ) -> Result<List, RequestFailed> {
        let body = json!({ "peerURLs": [peer_url], "isLearner": true });
        self.cluster(asked, "add a learner", "add", &body).await
    }

    pub(super) async fn remove_member(
        &self,
        asked: &MemberName,
        id: MemberId,
    ) -> Result<List, RequestFailed> {
        let body = json!({ "ID": id.0.to_string() });
        self.cluster(asked, "remove a member", "remove", &body)
            .await
    }

    pub(super) async fn promote_member(
        &self,
        asked: &MemberName,
        id: MemberId,
    ) -> Result<List, RequestFailed> {
        let body = json!({ "ID": id.0.to_string() });
        self.cluster(asked, "promote a learner", "promote", &body)
            .await
    }

    async fn cluster(
        &self,
        asked: &MemberName,
        what: &'static str,
        verb: &str,
        body: &Value,
    ) -> Result<List, RequestFailed> {
        let path = format!("/v3/cluster/member/{verb}");
        let answer: Answer = self.ask(asked, what, &path, body).await?;
        Ok(List {
            cluster_id: ClusterId(answer.header.cluster_id),
            members: answer.members.into_iter().map(ListedMember::from).collect(),
        })
    }
}

/// Whether a refusal passes by itself: what `strict-reconfig-check` says for 5 s after a connection came back
/// (etcd's source, `HealthInterval`), an election, a learner that lags. An answer that never came passes too: what
/// was asked for is looked up before it is asked for again.
pub(super) fn passes(failed: &RequestFailed) -> bool {
    const WAITS: [&str; 9] = [
        "unhealthy cluster",
        "not enough started members",
        "in sync with leader",
        "leader changed",
        "no leader",
        "not leader",
        "too many requests",
        "timed out",
        "too many learner",
    ];
    let refused = failed.said.contains("etcdserver:");
    !refused || WAITS.iter().any(|wait| failed.said.contains(wait))
}
