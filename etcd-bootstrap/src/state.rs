//! What the observed facts mean for each member. Pure.

use crate::{
    ClientAnswer, ClusterId, ClusterSpec, ListedMember, MemberName, Observed, PeerAnswer, Status,
};
use serde::Serialize;
use std::fmt;

/// Where a member stands. The first row that fits, from above.
///
/// | state | service | log | peer port | client port |
/// |---|---|---|---|---|
/// | foreign | any | of another cluster | or says another cluster ID | or says another |
/// | removed | any | there | the others do not list its ID | |
/// | not added | any | none | the others do not list it | |
/// | learner | any | | the others list it without a vote | |
/// | no space, corrupt | up | there | | answers, with an alarm |
/// | healthy | up | there | | ready |
/// | lost data | down, or up and silent | none, but its peers saw it join | | |
/// | bad certificate | any | | its certificate was found wrong | |
/// | absent | down | none | | |
/// | failing | failed, or about to be started again | there | | |
/// | stopped | down | there | | |
/// | unready | up | there | | says what is wrong |
/// | starting | up | | silent | silent |
/// | forming | up | | version not decided | silent |
/// | no quorum | up | there | version decided | silent |
///
/// What is true of the whole cluster is in [`ClusterState`](crate::ClusterState): nothing, half-formed, formed, a mix
/// of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// It never ran here.
    Absent,
    /// It is wanted, and the cluster has not taken it in yet.
    NotAdded,
    /// It was a member and is none now; its data is of no use any more.
    Removed,
    /// It is in the cluster and has no vote yet.
    Learner,
    /// A store has reached its quota: the cluster takes only reads and deletions until the alarm is disarmed.
    NoSpace,
    /// Stores differ: the cluster takes nothing until the member that differs is replaced.
    Corrupt,
    /// Its certificates keep it from the others, or others from it.
    BadCertificate,
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
            Self::NotAdded => f.write_str("not added"),
            Self::Removed => f.write_str("removed"),
            Self::Learner => f.write_str("learner"),
            Self::NoSpace => f.write_str("no space"),
            Self::Corrupt => f.write_str("corrupt"),
            Self::BadCertificate => f.write_str("bad certificate"),
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
        if let Some(state) = self.standing(spec, name, member.has_wal) {
            return Some(state);
        }
        if let Some(alarm) = member.client.status().and_then(alarm) {
            return Some(alarm);
        }
        if member.client.is_ready() {
            return Some(MemberState::Healthy);
        }
        let serves_peers = matches!(member.peer, PeerAnswer::Serving { .. });
        if !member.has_wal && !serves_peers && self.peers_saw_it_join(spec, name) {
            return Some(MemberState::LostData);
        }
        if !member.certificate_faults.is_empty() {
            return Some(MemberState::BadCertificate);
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

    /// What keeps a member from a vote, by its own word or that of others who have a majority behind them.
    fn standing(
        &self,
        spec: &ClusterSpec,
        name: &MemberName,
        has_wal: bool,
    ) -> Option<MemberState> {
        let own = self.members.get(name)?;
        let Some(id) = spec.member_ids().get(name).copied() else {
            return Some(match has_wal {
                true => MemberState::Removed,
                false => MemberState::NotAdded,
            });
        };
        let others = self.members.iter().filter(|(other, _)| *other != name);
        let sure = others.filter(|(_, other)| other.client.is_ready());
        let mut lists = sure.filter_map(|(_, other)| other.peer.members_of(spec));
        let first = lists.clone().next()?;
        let listed = first.iter().find(|listed| listed.id == id);
        if !own.client.is_ready() && lists.all(|list| list.iter().all(|l| l.id != id)) {
            return Some(MemberState::Removed);
        }
        let says_so = own.client.status().is_some_and(|status| status.is_learner);
        (says_so || listed.is_some_and(|listed| listed.is_learner)).then_some(MemberState::Learner)
    }

    /// The cluster a member is in, if it is not the one of `spec`: by its own word, or, while it is down,
    /// by the settings that its log was made with.
    fn foreign_cluster(&self, spec: &ClusterSpec, name: &MemberName) -> Option<ClusterId> {
        let member = self.members.get(name)?;
        let said_to_clients = member.client.status().map(|status| status.cluster_id);
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
            MemberState::Healthy
            | MemberState::Unready
            | MemberState::NoSpace
            | MemberState::Corrupt => {
                let errors = member
                    .client
                    .status()
                    .map(|status| status.errors.join(", "));
                let errors = errors.filter(|errors| !errors.is_empty());
                let errors = errors.map(|errors| format!("; {errors}"));
                format!("{}{}", member.client, errors.unwrap_or_default())
            }
            MemberState::NotAdded => "wanted; the cluster has not taken it in".into(),
            MemberState::Removed => "it has data, and the cluster does not list it".into(),
            MemberState::Learner => format!("no vote yet; clients: {}", member.client),
            MemberState::BadCertificate => {
                let faults = member.certificate_faults.iter();
                let faults = faults.map(|f| format!("{}: {}", f.path.display(), f.problem));
                faults.collect::<Vec<_>>().join("; ")
            }
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

/// etcd 3.7.3 puts alarms among the errors of a status as `memberID:9372538179322589801 alarm:NOSPACE `.
fn alarm(status: &Status) -> Option<MemberState> {
    let raised = |kind: &str| status.errors.iter().any(|error| error.contains(kind));
    if raised("alarm:CORRUPT") {
        return Some(MemberState::Corrupt);
    }
    raised("alarm:NOSPACE").then_some(MemberState::NoSpace)
}

impl PeerAnswer {
    /// Whom it lists, if it is in the cluster of `spec` and that is formed.
    fn members_of(&self, spec: &ClusterSpec) -> Option<&[ListedMember]> {
        match self {
            Self::Serving {
                cluster_id,
                formed: true,
                members,
            } if *cluster_id == Some(spec.cluster_id()) => Some(members),
            _ => None,
        }
    }

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
