//! What is remembered of upgrades: which versions a lab has beside the one that is asked for.

use artifacts::Version;
use serde::{Deserialize, Serialize};

/// The versions of a lab that has been upgraded, or is being so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrades {
    /// The Kubernetes version that the lab was made with. Its etcd and its images are still those that go with it.
    pub made_with: Version,
    /// The upgrade that has begun and not ended.
    pub under_way: Option<UnderWay>,
}

/// How far an upgrade has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnderWay {
    /// The version before.
    pub from: Version,
    /// The version afterwards.
    pub to: Version,
    /// How many of its steps have been begun; the last of them may not be finished. The steps follow from the two
    /// versions and the machines, which do not change meanwhile.
    pub begun: usize,
}

impl UnderWay {
    /// The upgrade that begins.
    pub(crate) fn new(from: Version, to: Version) -> Self {
        Self { from, to, begun: 0 }
    }
}
