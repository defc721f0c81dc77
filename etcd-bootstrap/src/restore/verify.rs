//! Whether the restored cluster is what was to be restored.

use super::RestoreOptions;
use crate::{
    ClusterSpec, Probe,
    health::health,
    maintenance::{CompareError, compare_hashes},
};
use futures::future::join_all;
use host_exec::Condition;

/// The restored members could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the restored members cannot be compared")]
pub struct VerifyError(#[from] CompareError);

/// The conditions of a restore that succeeded: all of [`health`](crate::health), among them the cluster ID that follows
/// from the new token; equal hashes on all members; and revisions that no client has seen before.
///
/// # Errors
///
/// A member does not answer. A condition that is not so is *not* an error but part of the answer.
pub async fn verify(
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
