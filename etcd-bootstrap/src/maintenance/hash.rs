//! Whether all members hold the same keys.

use crate::{ClusterSpec, KvHash, MemberName, Probe, RequestFailed, Status};
use futures::future::{join_all, try_join_all};
use host_exec::{
    Condition,
    poll::{self, Attempt, Wait, WaitError},
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// A compaction goes through the members one after the other, and hashes differ meanwhile. It takes less than this.
const LIMIT: Duration = Duration::from_secs(10);

/// The hashes of all voting members at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HashComparison {
    /// The revision.
    pub revision: u64,
    /// What each member says.
    pub hashes: BTreeMap<MemberName, KvHash>,
}

/// The members could not be compared, which says nothing about what they hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A member does not say how it is.
    #[error("{member} does not tell its revision: {said}")]
    Status {
        /// The member.
        member: MemberName,
        /// What it said.
        said: String,
    },
    /// A member does not hash.
    #[error(transparent)]
    Request(#[from] RequestFailed),
    /// Compactions kept the members apart.
    #[error(transparent)]
    Wait(Box<WaitError<CompareError>>),
}

impl HashComparison {
    /// Whether all are the same.
    #[must_use]
    pub fn agree(&self) -> bool {
        let mut hashes = self.hashes.values();
        let first = hashes.next();
        hashes.all(|hash| Some(hash) == first)
    }

    /// The same as a named condition.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let hashes = self.hashes.iter();
        let hashes = hashes.map(|(member, hash)| format!("{member} {:08x}", hash.hash));
        Condition {
            name: format!(
                "all etcd members hold the same at revision {}",
                self.revision
            ),
            ok: self.agree(),
            evidence: hashes.collect::<Vec<_>>().join(", "),
        }
    }

    /// Whether the members have forgotten the same, without which hashes say nothing.
    fn is_comparable(&self) -> bool {
        let mut compacted = self.hashes.values().map(|hash| hash.compact_revision);
        let first = compacted.next();
        compacted.all(|revision| Some(revision) == first)
    }
}

/// Has every voting member hash its keys at the newest revision that all of them have.
///
/// # Errors
///
/// A member does not answer, or compactions follow each other so fast that no two members could be compared. Hashes that
/// differ are *not* an error but the answer.
pub async fn compare_hashes(
    spec: &ClusterSpec,
    probe: &Probe,
) -> Result<HashComparison, CompareError> {
    let wait = Wait::new("revision that all members have compacted to", LIMIT);
    let look = || async {
        let comparison = once(spec, probe).await?;
        Ok(if comparison.is_comparable() {
            Attempt::Ready(comparison)
        } else {
            Attempt::NotYet(comparison.condition().evidence)
        })
    };
    poll::until(&wait, look).await.map_err(|error| match error {
        WaitError::Failed(error) => error,
        timed_out => CompareError::Wait(Box::new(timed_out)),
    })
}

async fn once(spec: &ClusterSpec, probe: &Probe) -> Result<HashComparison, CompareError> {
    let asked = spec.members().iter().map(|member| async {
        let status = probe.status(&member.name).await;
        (member.name.clone(), status)
    });
    let mut voters: Vec<(MemberName, Status)> = Vec::new();
    for (member, status) in join_all(asked).await {
        match status {
            // A learner refuses.
            Ok(status) if status.is_learner => {}
            Ok(status) => voters.push((member, status)),
            Err(said) => return Err(CompareError::Status { member, said }),
        }
    }
    let revision = voters.iter().map(|(_, status)| status.revision).min();
    let revision = revision.unwrap_or_default();
    let hashes = voters.iter().map(|(member, _)| async move {
        let hash = probe.hash_kv(member, revision).await?;
        Ok::<_, RequestFailed>((member.clone(), hash))
    });
    Ok(HashComparison {
        revision,
        hashes: try_join_all(hashes).await?.into_iter().collect(),
    })
}
