//! What members say.

use crate::{ClusterId, MemberId};
use serde::{Deserialize, Serialize};

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
