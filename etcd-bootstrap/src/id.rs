//! The IDs that etcd will give itself, computed before it starts.
//!
//! A statically formed cluster derives all its IDs from its configuration (etcd's source,
//! `server/etcdserver/api/membership`, `computeMemberID` and `genID`). Knowing them beforehand tells
//! our cluster from any other that answers at the same address.

use crate::{ClusterToken, MemberName};
use ring::digest;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The ID of a cluster; printed as etcd does, in hexadecimal without leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub u64);

/// The ID of a member; printed as etcd does, in hexadecimal without leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl ClusterId {
    /// Reads the hexadecimal form of the header `X-Etcd-Cluster-Id`; `None` if it is not one.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().map(Self)
    }

    /// The ID of the cluster whose first members have these IDs, in any order.
    #[must_use]
    pub fn of_members(ids: impl IntoIterator<Item = MemberId>) -> Self {
        let mut ids: Vec<u64> = ids.into_iter().map(|id| id.0).collect();
        ids.sort_unstable();
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
        Self(first_eight_bytes_of_sha1(&bytes))
    }
}

impl MemberId {
    /// The ID of a first member with these peer URLs. (One that is added later has another, which
    /// depends on the time, and only etcd can tell it.)
    #[must_use]
    pub fn of_first_member(peer_urls: &[String], token: &ClusterToken) -> Self {
        let mut urls: Vec<&str> = peer_urls.iter().map(String::as_str).collect();
        urls.sort_unstable();
        let text = urls.concat() + token.as_str();
        Self(first_eight_bytes_of_sha1(text.as_bytes()))
    }
}

/// The member and cluster IDs of a cluster that was given `initial_cluster`: name and peer URL of
/// each member, as in the setting of that name.
#[must_use]
pub fn ids_of(
    initial_cluster: &[(MemberName, String)],
    token: &ClusterToken,
) -> (BTreeMap<MemberName, MemberId>, ClusterId) {
    let id = |url: &String| MemberId::of_first_member(std::slice::from_ref(url), token);
    let members: BTreeMap<_, _> = initial_cluster
        .iter()
        .map(|(name, url)| (name.clone(), id(url)))
        .collect();
    let cluster = ClusterId::of_members(members.values().copied());
    (members, cluster)
}

fn first_eight_bytes_of_sha1(bytes: &[u8]) -> u64 {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let first = hash.as_ref().iter().take(8);
    first.fold(0, |number, byte| number << 8 | u64::from(*byte))
}
