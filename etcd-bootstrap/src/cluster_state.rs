//! What the observed facts mean for the cluster as a whole. Pure.

use crate::{ClusterSpec, MemberName, MemberState, Observed, PeerAnswer};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where a cluster stands.
///
/// | state | meant |
/// |---|---|
/// | nothing | no member has a log, and none runs |
/// | half-formed | some have started; nobody ever saw a majority |
/// | formed | a majority of voters takes reads and writes |
/// | no quorum | it was formed, or may have been, and has no majority now |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterState {
    /// It never ran.
    Nothing,
    /// It waits for a majority for the first time, and holds nothing yet.
    HalfFormed,
    /// It serves.
    Formed,
    /// It does not serve, and may hold data.
    NoQuorum,
}

/// Why members must not be made to start anew: the cluster may hold data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "etcd member {member} may hold data ({evidence}), so it must not start anew; bring the members up, or restore a snapshot"
)]
pub struct MayHoldData {
    /// The member.
    pub member: MemberName,
    /// What speaks for it.
    pub evidence: String,
}

impl Observed {
    /// Where the cluster stands.
    #[must_use]
    pub fn cluster_state(&self, spec: &ClusterSpec) -> ClusterState {
        let voters = spec.history().members().len();
        let healthy = self.members.iter();
        let healthy = healthy.filter(|(name, own)| spec.is_member(name) && own.client.is_ready());
        let nothing = |state: Option<MemberState>| {
            matches!(state, Some(MemberState::Absent | MemberState::NotAdded))
        };
        if healthy.count() > voters / 2 {
            ClusterState::Formed
        } else if self
            .members
            .keys()
            .all(|name| nothing(self.state(spec, name)))
        {
            ClusterState::Nothing
        } else if self.never_formed().is_ok() {
            ClusterState::HalfFormed
        } else {
            ClusterState::NoQuorum
        }
    }

    /// The versions that the members run, and who runs each: a mix while an upgrade is under way, or forgotten.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<String, Vec<MemberName>> {
        let mut versions: BTreeMap<String, Vec<MemberName>> = BTreeMap::new();
        for (name, member) in &self.members {
            if let Some(status) = member.client.status() {
                let own = versions.entry(status.version.clone()).or_default();
                own.push(name.clone());
            }
        }
        versions
    }

    /// Whether nothing was ever written, so that all members may start anew with another token: each one either has no
    /// log, or runs and says itself that it knows of no decided version and of nobody who has joined.
    ///
    /// # Errors
    ///
    /// The first member of which that is not certain. One that is stopped and has a log is one: its log may say
    /// anything.
    pub fn never_formed(&self) -> Result<(), MayHoldData> {
        for (name, member) in &self.members {
            let evidence = match &member.peer {
                _ if member.client.status().is_some() => "it serves clients".to_owned(),
                PeerAnswer::Serving { formed: true, .. } => "it knows a formed cluster".to_owned(),
                PeerAnswer::Serving { members, .. } => {
                    match members.iter().any(|listed| !listed.client_urls.is_empty()) {
                        true => "it has seen a member join".to_owned(),
                        false => continue,
                    }
                }
                PeerAnswer::Silent(why) if member.has_wal => {
                    format!("it has a write-ahead log and says nothing: {why}")
                }
                PeerAnswer::Silent(_) => continue,
            };
            let member = name.clone();
            return Err(MayHoldData { member, evidence });
        }
        Ok(())
    }
}
