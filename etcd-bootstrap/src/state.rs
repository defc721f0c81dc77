//! What the observed facts mean for each member. Pure.

use crate::{ClientAnswer, ClusterId, ClusterSpec, MemberName, Observed, PeerAnswer};
use serde::Serialize;
use std::fmt;

/// Where a member stands.
///
/// | state | service | log | peer port | client port |
/// |---|---|---|---|---|
/// | absent | down | none | | |
/// | lost data | down, or up and silent | none, but its peers saw it join | | |
/// | foreign | any | of another cluster | or says another cluster ID | |
/// | stopped | down | there | | |
/// | failing | failed, or about to be started again | there | | |
/// | starting | up | | silent | silent |
/// | forming | up | | version not decided | silent |
/// | no quorum | up | there | version decided | silent |
/// | unready | up | there | | says what is wrong |
/// | healthy | up | there | | ready |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// It never ran here.
    Absent,
    /// The others know it as joined, and its data is gone.
    LostData,
    /// It belongs to another cluster: another token, other members, or a machine used before.
    Foreign(ClusterId),
    /// It ran and does not now.
    Stopped,
    /// It ends again and again, or systemd gave up.
    Failing,
    /// Its service is up and it does not serve yet.
    Starting,
    /// It serves its peers and waits for a majority, for the first time.
    Forming,
    /// It was in a formed cluster and finds no majority now.
    NoQuorum,
    /// It serves its clients and says that it is not ready.
    Unready,
    /// It takes reads and writes.
    Healthy,
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::LostData => f.write_str("lost data"),
            Self::Foreign(found) => write!(f, "foreign (cluster {found})"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failing => f.write_str("failing"),
            Self::Starting => f.write_str("starting"),
            Self::Forming => f.write_str("forming"),
            Self::NoQuorum => f.write_str("no quorum"),
            Self::Unready => f.write_str("unready"),
            Self::Healthy => f.write_str("healthy"),
        }
    }
}

impl Observed {
    /// What the facts mean for one member; `None` if it was not observed.
    #[must_use]
    pub fn state(&self, spec: &ClusterSpec, name: &MemberName) -> Option<MemberState> {
        let member = self.members.get(name)?;
        if let Some(found) = self.foreign_cluster(spec, name) {
            return Some(MemberState::Foreign(found));
        }
        if member.client.is_ready() {
            return Some(MemberState::Healthy);
        }
        let serves_peers = matches!(member.peer, PeerAnswer::Serving { .. });
        if !member.has_wal && !serves_peers && self.peers_saw_it_join(spec, name) {
            return Some(MemberState::LostData);
        }
        if !member.unit.is_up() {
            return Some(match (member.has_wal, member.unit.active.as_str()) {
                (false, _) => MemberState::Absent,
                (true, "failed" | "activating") => MemberState::Failing,
                (true, _) => MemberState::Stopped,
            });
        }
        Some(match (&member.peer, &member.client) {
            (_, ClientAnswer::Serving { .. }) => MemberState::Unready,
            (PeerAnswer::Silent(_), _) => MemberState::Starting,
            (PeerAnswer::Serving { formed: false, .. }, _) => MemberState::Forming,
            (PeerAnswer::Serving { formed: true, .. }, _) => MemberState::NoQuorum,
        })
    }

    /// The cluster a member is in, if it is not the one of `spec`: by its own word, or, while it is down,
    /// by the settings that its log was made with.
    fn foreign_cluster(&self, spec: &ClusterSpec, name: &MemberName) -> Option<ClusterId> {
        let member = self.members.get(name)?;
        let said_to_clients = match &member.client {
            ClientAnswer::Serving {
                status: Some(status),
                ..
            } => Some(status.cluster_id),
            _ => None,
        };
        let said_to_peers = match &member.peer {
            PeerAnswer::Serving { cluster_id, .. } => *cluster_id,
            PeerAnswer::Silent(_) => None,
        };
        let recorded = member.configured.filter(|_| member.has_wal);
        let found = said_to_clients.or(said_to_peers).or(recorded)?;
        (found != spec.cluster_id()).then_some(found)
    }

    /// Whether a running member of this cluster lists `name` with client URLs, which it gets by joining.
    fn peers_saw_it_join(&self, spec: &ClusterSpec, name: &MemberName) -> bool {
        self.members
            .iter()
            .filter(|(other, _)| *other != name)
            .any(|(_, other)| other.peer.saw_join(spec, name))
    }

    /// Why [`Observed::state`] says what it says, in one line; empty if the member was not observed.
    #[must_use]
    pub fn evidence(&self, spec: &ClusterSpec, name: &MemberName) -> String {
        let (Some(member), Some(state)) = (self.members.get(name), self.state(spec, name)) else {
            return String::new();
        };
        let mut parts = vec![match state {
            MemberState::Healthy | MemberState::Unready => member.client.to_string(),
            MemberState::Starting | MemberState::Forming | MemberState::NoQuorum => {
                format!(
                    "{}; peers: {}; clients: {}",
                    member.unit, member.peer, member.client
                )
            }
            MemberState::Foreign(_) => format!("expected cluster {}", spec.cluster_id()),
            MemberState::LostData => "its peers saw it join; it has no write-ahead log".into(),
            MemberState::Absent => format!("no write-ahead log; service {}", member.unit),
            MemberState::Stopped | MemberState::Failing => format!("service {}", member.unit),
        }];
        if !member.drifted.is_empty() {
            let paths = member
                .drifted
                .iter()
                .map(|(path, _)| path.display().to_string());
            parts.push(format!("differ: {}", paths.collect::<Vec<_>>().join(" ")));
        }
        parts.join("; ")
    }
}

impl PeerAnswer {
    /// Whether this answer is of the cluster of `spec` and lists member `name` as one that has joined.
    pub(crate) fn saw_join(&self, spec: &ClusterSpec, name: &MemberName) -> bool {
        let Self::Serving {
            cluster_id,
            members,
            ..
        } = self
        else {
            return false;
        };
        let id = spec.member_ids().get(name).copied();
        *cluster_id == Some(spec.cluster_id())
            && members
                .iter()
                .any(|m| Some(m.id) == id && !m.client_urls.is_empty())
    }
}

impl fmt::Display for PeerAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) => f.write_str(why),
            Self::Serving { formed: true, .. } => f.write_str("serving, formed"),
            Self::Serving { formed: false, .. } => f.write_str("serving, not formed yet"),
        }
    }
}

impl fmt::Display for ClientAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) => f.write_str(why),
            Self::Serving {
                unready: Some(why), ..
            } => f.write_str(why),
            Self::Serving {
                unready: None,
                status: None,
            } => f.write_str("ready"),
            Self::Serving {
                unready: None,
                status: Some(status),
            } => write!(
                f,
                "ready, {}, term {}, index {}, {} KiB",
                status.version,
                status.raft_term,
                status.raft_index,
                status.db_size_bytes / 1024
            ),
        }
    }
}
