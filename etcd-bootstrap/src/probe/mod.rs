//! Questions to running members, over TLS, each with an end.
//!
//! The peer port answers as soon as a member is up; the client port accepts connections at once and
//! answers only when the member has joined, which needs a majority (etcd's source,
//! `server/embed/serve.go`). So silence there says nothing yet.

mod answer;
mod wire;

pub use answer::{ClientAnswer, ListedMember, PeerAnswer, Status};
pub(crate) use wire::number_in_text;

use crate::{ClusterId, ClusterSpec, MemberName, MemberSpec, Tls, tls::MemberTls};
use host_exec::{
    Host,
    https::{Answer, Connector, HttpsClient, RequestError, is_ok},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use wire::{parse, parse_formed, parse_members, parse_status};

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

/// Asks the members of one cluster; connections are kept between questions.
#[derive(Debug, Clone)]
pub struct Probe {
    members: BTreeMap<MemberName, Endpoints>,
    /// For an answer.
    pub(crate) timeout: Duration,
    /// For an election, as its members have it.
    pub(crate) election: Duration,
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
        Ok(Self::of(spec, members, timeout))
    }

    /// The same for a cluster that is looked at while machines are missing: a member without a host or
    /// without certificates is silent, and says that as its reason.
    #[must_use]
    pub fn of_reachable(spec: &ClusterSpec, hosts: &Hosts, tls: &Tls, timeout: Duration) -> Self {
        let one = |member: &MemberSpec| Endpoints::find(member, hosts, tls, timeout).ok();
        let members = spec.members().iter().filter_map(one).collect();
        Self::of(spec, members, timeout)
    }

    fn of(spec: &ClusterSpec, members: BTreeMap<MemberName, Endpoints>, timeout: Duration) -> Self {
        Self {
            members,
            timeout,
            election: spec.tuning().election(),
        }
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
