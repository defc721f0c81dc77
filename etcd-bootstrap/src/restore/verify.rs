//! Whether the restored cluster is what was to be restored.

use super::RestoreOptions;
use crate::{
    ClusterSpec, Probe,
    health::health,
    maintenance::{CompareError, compare_hashes},
};
use futures::future::join_all;
use host_exec::{
    Condition,
    poll::{self, Attempt, Wait},
};
use std::{convert::Infallible, time::Duration};

/// How long members that have been ready may take until each answers everything in time: on a busy machine one was late.
const LIMIT: Duration = Duration::from_secs(30);

/// The restored members could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the restored members cannot be compared")]
pub struct VerifyError(#[from] CompareError);

/// The conditions of a restore that succeeded: all of [`health`](crate::health), among them the cluster ID that follows
/// from the new token; equal hashes on all members; and revisions that no client has seen before. While one of them is not
/// so it looks again, for 30 s at most.
///
/// # Errors
///
/// A member does not answer. A condition that is not so is *not* an error but part of the answer.
pub async fn verify(
    spec: &ClusterSpec,
    probe: &Probe,
    options: RestoreOptions,
) -> Result<Vec<Condition>, VerifyError> {
    let wait = Wait::new("restored members that are as they have to be", LIMIT);
    let look = || async {
        let seen = match once(spec, probe, options).await {
            Ok(conditions) => conditions,
            Err(error) => return Ok::<_, Infallible>(Attempt::NotYet(error.to_string())),
        };
        let bad = seen.iter().find(|condition| !condition.ok);
        let bad = bad.map(Condition::to_string);
        Ok(bad.map_or(Attempt::Ready(seen), Attempt::NotYet))
    };
    match poll::until(&wait, look).await {
        Ok(conditions) => Ok(conditions),
        // One more look tells more than that the time is over.
        Err(_) => once(spec, probe, options).await,
    }
}

async fn once(
    spec: &ClusterSpec,
    probe: &Probe,
    options: RestoreOptions,
) -> Result<Vec<Condition>, VerifyError> {
    let mut conditions = health(spec, probe).await;
    conditions.push(compare_hashes(spec, probe).await?.condition());
    let snapshot = u64::try_from(options.snapshot.revision).unwrap_or_default();
    let least = snapshot + options.bump_revision.unwrap_or_default();
    let asked = spec.members().iter().map(|member| async {
        let status = probe.status(&member.name).await;
        (member.name.clone(), status.map(|status| status.revision))
    });
    let revisions = join_all(asked).await;
    let shown = revisions.iter().map(|(member, revision)| match revision {
        Ok(revision) => format!("{member} {revision}"),
        Err(said) => format!("{member}: {said}"),
    });
    conditions.push(Condition {
        name: format!("all etcd members are at revision {least} or later"),
        ok: revisions
            .iter()
            .all(|(_, r)| r.as_ref().is_ok_and(|r| *r >= least)),
        evidence: shown.collect::<Vec<_>>().join(", "),
    });
    Ok(conditions)
}
