//! Who founded a cluster and who joined it later. Pure.
//!
//! etcd computes the IDs of a cluster and of its first members from their addresses and the token. A member
//! that is added later has an ID that also depends on the time (etcd's source, `computeMemberID`), and the
//! cluster keeps the ID that its founders gave it. So what a cluster is does not follow from who is in it
//! today: it has to be remembered, and a caller keeps a [`History`] with its own state.
//!
//! What a member was started with is kept for the same reason. etcd reads `--initial-cluster` only while it
//! has no write-ahead log, so a running member never needs another value, and a file that is left alone
//! needs no restart when somebody else comes or goes.

use crate::{ClusterId, ClusterToken, ListedMember, MemberId, MemberName, SpecError, id};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names and peer URLs in the order of `--initial-cluster`.
pub type InitialMembers = Vec<(MemberName, String)>;

/// A member that was added to a cluster that ran already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// The ID that etcd gave it, in hexadecimal where it is stored.
    #[serde(with = "hexadecimal")]
    pub id: MemberId,
    /// The members when it was added, itself among them: the list that it is started with.
    pub initial_cluster: InitialMembers,
}

impl Joined {
    fn peer_url(&self, name: &MemberName) -> Option<&str> {
        let mut members = self.initial_cluster.iter();
        let (_, url) = members.find(|(member, _)| member == name)?;
        Some(url)
    }
}

/// `--initial-cluster` and `--initial-cluster-state` of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialCluster {
    /// The names and peer URLs, its own among them.
    pub members: InitialMembers,
    /// Whether the cluster was there before the member: `existing`, else `new`.
    pub existing: bool,
}

impl InitialCluster {
    /// The value of `--initial-cluster-state`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.existing { "existing" } else { "new" }
    }
}

/// The past of a cluster, as far as its present depends on it. Plain data, to be stored with serde.
///
/// A founder that was replaced is in [`History::joined`] under its name; its first incarnation has left.
/// A record that was lost is made anew from what running members list, see [`recall`](crate::recall).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    founders: InitialMembers,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    left: BTreeSet<MemberName>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    joined: BTreeMap<MemberName, Joined>,
}

/// What running members list does not tell the past of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// No set of known peer URLs makes this cluster ID with this token.
    #[error(
        "no founders with token {token} make cluster {cluster_id}: it has another token, or a founder \
         with an address that is not in use any more; give the token it was formed with, or its record"
    )]
    Founders {
        /// The token as given.
        token: ClusterToken,
        /// The ID that the members report.
        cluster_id: ClusterId,
    },
    /// A member has no name yet, and nobody is expected at its address.
    #[error(
        "member {id} at {peer_url} has not started yet and is not in the specification; remove it \
         (`etcdctl member remove {id}`) or give it a place there"
    )]
    Nameless {
        /// Its ID.
        id: MemberId,
        /// Where it was to be.
        peer_url: String,
    },
    /// A member has a name that this crate does not take.
    #[error("member {id} is called {name:?}, which is no name this crate can use")]
    Name {
        /// Its ID.
        id: MemberId,
        /// The name as it is listed.
        name: String,
    },
    /// More members than the search for the founders is made for.
    #[error("{count} addresses are too many to find the founders among; expect fewer, at most 14")]
    TooMany {
        /// How many peer URLs may be a founder's.
        count: usize,
    },
}

impl History {
    /// A cluster of which nothing is known but who founds it, in the order of `--initial-cluster`.
    #[must_use]
    pub fn founded_by(founders: InitialMembers) -> Self {
        Self {
            founders,
            left: BTreeSet::new(),
            joined: BTreeMap::new(),
        }
    }

    /// The founders, members of today or not.
    #[must_use]
    pub fn founders(&self) -> &[(MemberName, String)] {
        &self.founders
    }

    /// Those who joined later and are members now.
    #[must_use]
    pub fn joined(&self) -> &BTreeMap<MemberName, Joined> {
        &self.joined
    }

    /// Records that etcd took in a member under `joined.id`. It replaces what is known under that name.
    pub fn record_added(&mut self, name: MemberName, joined: Joined) {
        self.record_removed(&name);
        self.joined.insert(name, joined);
    }

    /// Records that a member was removed. One that is no member changes nothing.
    pub fn record_removed(&mut self, name: &MemberName) {
        self.joined.remove(name);
        if self.founders.iter().any(|(founder, _)| founder == name) {
            self.left.insert(name.clone());
        }
    }

    /// The members of now with their peer URLs: founders in their order, then those who joined, by name.
    #[must_use]
    pub fn members(&self) -> InitialMembers {
        let founders = self.founders.iter();
        let founders = founders.filter(|(name, _)| !self.left.contains(name));
        let joined = self.joined.iter().filter_map(|(name, joined)| {
            let url = joined.peer_url(name)?;
            Some((name.clone(), url.to_owned()))
        });
        founders.cloned().chain(joined).collect()
    }

    /// Whether this is a member now.
    #[must_use]
    pub fn is_member(&self, name: &MemberName) -> bool {
        self.joined.contains_key(name) || self.is_first_incarnation(name)
    }

    /// The ID of the cluster that its founders formed with this token.
    #[must_use]
    pub fn cluster_id(&self, token: &ClusterToken) -> ClusterId {
        id::ids_of(&self.founders, token).1
    }

    /// The IDs of the members of now.
    #[must_use]
    pub fn member_ids(&self, token: &ClusterToken) -> BTreeMap<MemberName, MemberId> {
        let mut ids = id::ids_of(&self.founders, token).0;
        ids.retain(|name, _| !self.left.contains(name));
        ids.extend(self.joined.iter().map(|(name, j)| (name.clone(), j.id)));
        ids
    }

    /// What the member of this name and peer URL is, was or will be started with: a founder with the founders,
    /// one who joined with the members of that moment, and one who is yet to be added with those of now
    /// and itself.
    #[must_use]
    pub fn initial_cluster(&self, name: &MemberName, peer_url: &str) -> InitialCluster {
        if let Some(joined) = self.joined.get(name) {
            let members = joined.initial_cluster.clone();
            return InitialCluster {
                members,
                existing: true,
            };
        }
        if self.is_first_incarnation(name) {
            let members = self.founders.clone();
            return InitialCluster {
                members,
                existing: false,
            };
        }
        let mut members = self.members();
        members.push((name.clone(), peer_url.to_owned()));
        InitialCluster {
            members,
            existing: true,
        }
    }

    fn is_first_incarnation(&self, name: &MemberName) -> bool {
        self.founders.iter().any(|(founder, _)| founder == name) && !self.left.contains(name)
    }

    /// The past of a cluster whose record was lost, from what a running member lists (`GET /members` at
    /// its peer port) and the cluster ID in that answer. `expected` are the names and peer URLs that the
    /// caller wants to find: they name who has not started yet, and stand in for a founder that was
    /// replaced at its own address.
    ///
    /// What those who joined were started with is not told by anybody; they get the members of now, so
    /// that their settings may differ once from what they run on.
    ///
    /// # Errors
    ///
    /// The founders cannot be found again, or a listed member cannot be named. A member that is expected
    /// and not listed is *not* an error.
    pub fn learn(
        token: &ClusterToken,
        cluster_id: ClusterId,
        listed: &[ListedMember],
        expected: &[(MemberName, String)],
    ) -> Result<Self, LearnError> {
        let present = listed
            .iter()
            .map(|member| Present::of(member, expected, token));
        let present: Vec<Present> = present.collect::<Result<_, _>>()?;
        let founders = find_founders(token, cluster_id, &present, expected)?;
        let mut history = Self::founded_by(in_order_of(expected, founders));
        let gone = history.founders.iter().map(|(name, _)| name);
        let stays = |name: &MemberName| present.iter().any(|p| p.founder && p.name == *name);
        history.left = gone.filter(|name| !stays(name)).cloned().collect();
        let now = present.iter().map(|p| (p.name.clone(), p.peer_url.clone()));
        let now = in_order_of(expected, now.collect());
        for joiner in present.into_iter().filter(|p| !p.founder) {
            let joined = Joined {
                id: joiner.id,
                initial_cluster: now.clone(),
            };
            history.joined.insert(joiner.name, joined);
        }
        Ok(history)
    }

    /// What contradicts itself or `members`, the names and peer URLs of a specification, as an error of its.
    pub(crate) fn check(&self, members: &[(MemberName, String)]) -> Result<(), SpecError> {
        let wrong = |member: &MemberName, problem: &'static str| {
            let member = member.clone();
            Err(SpecError::History { member, problem })
        };
        let mut names = BTreeSet::new();
        let mut urls = BTreeSet::new();
        for (name, url) in &self.founders {
            if !(names.insert(name) && urls.insert(url)) {
                return wrong(name, "founded the cluster twice");
            }
        }
        let mut ids = BTreeSet::new();
        for (name, joined) in &self.joined {
            if self.is_first_incarnation(name) {
                return wrong(name, "is a founder that never left, and joined");
            }
            if joined.peer_url(name).is_none() {
                return wrong(name, "is not in the list of members that it joined");
            }
            if !ids.insert(joined.id) {
                return wrong(name, "has the ID of another member");
            }
        }
        let now: BTreeMap<MemberName, String> = self.members().into_iter().collect();
        for (name, url) in members {
            if now.get(name).is_some_and(|known| known != url) {
                return wrong(
                    name,
                    "has another peer address now; a member keeps the one it joined with",
                );
            }
        }
        match members.first() {
            Some((first, _)) if !members.iter().any(|(name, _)| now.contains_key(name)) => {
                wrong(first, "and all others are no members; keep one that is")
            }
            _ => Ok(()),
        }
    }
}

/// A listed member with what its ID tells.
struct Present {
    name: MemberName,
    peer_url: String,
    id: MemberId,
    /// Its ID does not depend on a time.
    founder: bool,
}

impl Present {
    /// One that has not started has no name and is found by its address.
    fn of(
        listed: &ListedMember,
        expected: &[(MemberName, String)],
        token: &ClusterToken,
    ) -> Result<Self, LearnError> {
        let id = listed.id;
        let peer_url = listed.peer_urls.first().cloned().unwrap_or_default();
        let name = if listed.name.is_empty() {
            let found = expected.iter().find(|(_, url)| *url == peer_url);
            let nameless = || LearnError::Nameless {
                id,
                peer_url: peer_url.clone(),
            };
            found.map(|(name, _)| name.clone()).ok_or_else(nameless)?
        } else {
            let name = listed.name.clone();
            let bad = |_| LearnError::Name { id, name };
            listed.name.parse().map_err(bad)?
        };
        let founder = MemberId::of_first_member(&listed.peer_urls, token) == id;
        Ok(Self {
            name,
            peer_url,
            id,
            founder,
        })
    }
}

/// The founders: those who are still there, and as few of the other known addresses as it takes to make
/// `cluster_id`.
fn find_founders(
    token: &ClusterToken,
    cluster_id: ClusterId,
    present: &[Present],
    expected: &[(MemberName, String)],
) -> Result<InitialMembers, LearnError> {
    // Twice the seven members that a cluster may have: each may stand in for one that left.
    const MOST: usize = 14;
    let pair = |p: &Present| (p.name.clone(), p.peer_url.clone());
    let certain: InitialMembers = present.iter().filter(|p| p.founder).map(pair).collect();
    let others = present.iter().map(pair).chain(expected.iter().cloned());
    let mut doubtful: BTreeMap<String, MemberName> =
        others.map(|(name, url)| (url, name)).collect();
    doubtful.retain(|url, _| certain.iter().all(|(_, known)| known != url));
    if doubtful.len() > MOST {
        let count = doubtful.len();
        return Err(LearnError::TooMany { count });
    }
    let mut choices: Vec<u32> = (0..1_u32 << doubtful.len()).collect();
    choices.sort_by_key(|choice| choice.count_ones());
    for choice in choices {
        let mut founders = certain.clone();
        for (bit, (url, name)) in doubtful.iter().enumerate() {
            if choice >> bit & 1 == 1 {
                founders.push((name.clone(), url.clone()));
            }
        }
        if !founders.is_empty() && id::ids_of(&founders, token).1 == cluster_id {
            return Ok(founders);
        }
    }
    let token = token.clone();
    Err(LearnError::Founders { token, cluster_id })
}

/// The members in the order in which they are expected, then the others by name.
fn in_order_of(expected: &[(MemberName, String)], mut members: InitialMembers) -> InitialMembers {
    let place = |name: &MemberName| expected.iter().position(|(e, _)| e == name);
    members.sort_by_key(|(name, _)| (place(name).unwrap_or(usize::MAX), name.clone()));
    members
}

/// IDs as etcd prints them: no format for numbers holds all 64-bit ones everywhere.
mod hexadecimal {
    use crate::MemberId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(id: &MemberId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MemberId, D::Error> {
        let text = String::deserialize(from)?;
        let number = u64::from_str_radix(&text, 16);
        let bad = |_| D::Error::custom(format!("member ID {text:?} must be hexadecimal"));
        number.map(MemberId).map_err(bad)
    }
}
