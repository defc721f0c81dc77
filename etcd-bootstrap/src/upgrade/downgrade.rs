//! Back by one minor (etcd.io, "Downgrading etcd clusters"): etcd rewrites its store first, then older members can open it.

use crate::{ClusterSpec, DowngradeAction, EtcdVersion, MemberName, Probe, RequestFailed};
use host_exec::poll::{self, Attempt, Wait, WaitError};
use std::{convert::Infallible, time::Duration};

/// etcd looks every 4 s whether it can rewrite its store (`monitorStorageVersion`).
const LIMIT: Duration = Duration::from_secs(60);

/// A downgrade that cannot be, or has not been prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DowngradeError {
    /// Only 3.6 and later can.
    #[error("etcd {from} cannot be downgraded to {to}: etcd can from 3.6 on, by one minor")]
    Path {
        /// The version before.
        from: EtcdVersion,
        /// The version that is asked for.
        to: EtcdVersion,
    },
    /// etcd refuses.
    #[error(transparent)]
    Request(#[from] RequestFailed),
    /// The stores were not rewritten in time. `cancel` takes it back.
    #[error(
        "the stores are not in the older format; `DowngradeAction::Cancel` takes the downgrade back"
    )]
    Storage(#[source] WaitError<Infallible>),
}

/// Has etcd validate and begin a downgrade to the minor of `to`, and waits until the stores of all members are in its
/// format: then [`plan`](super::plan) with `to` and members replaced one at a time. etcd ends it by itself when all run
/// the older version.
///
/// # Errors
///
/// Not one minor down, or before 3.6; etcd refuses; the stores are not rewritten in time.
pub async fn begin_downgrade(
    spec: &ClusterSpec,
    member: &MemberName,
    to: EtcdVersion,
    probe: &Probe,
) -> Result<(), DowngradeError> {
    let from = spec.version();
    if from.major != to.major || from.minor < 6 || to.minor + 1 != from.minor {
        return Err(DowngradeError::Path { from, to });
    }
    let minor = format!("{}.{}.0", to.major, to.minor);
    probe
        .downgrade(member, DowngradeAction::Validate, &minor)
        .await?;
    probe
        .downgrade(member, DowngradeAction::Enable, &minor)
        .await?;
    let wait = Wait::new(
        format!("store in the format of {minor} on all members"),
        LIMIT,
    );
    let minor = &minor;
    let look = || async move {
        for own in spec.members() {
            match probe.status(&own.name).await {
                Ok(status) if status.storage_version == *minor => {}
                Ok(status) => {
                    return Ok(Attempt::NotYet(format!(
                        "{} has {}",
                        own.name, status.storage_version
                    )));
                }
                Err(why) => return Ok(Attempt::NotYet(format!("{}: {why}", own.name))),
            }
        }
        Ok(Attempt::Ready(()))
    };
    poll::until(&wait, look)
        .await
        .map_err(DowngradeError::Storage)
}
