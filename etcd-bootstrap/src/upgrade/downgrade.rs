//! Back by one minor (etcd.io, "Downgrading etcd clusters"): etcd rewrites its store first, then older members can open it.

use super::{PathError, check_downgrade_path};
use crate::{ClusterSpec, DowngradeAction, EtcdVersion, MemberName, Probe, RequestFailed, Status};
use host_exec::poll::{self, Attempt, Wait, WaitError};
use std::{convert::Infallible, time::Duration};

/// etcd looks every 4 s whether it can rewrite its store (`monitorStorageVersion`), and every 5 s whether a downgrade is at
/// its end (`DowngradeCheckTime`).
const LIMIT: Duration = Duration::from_secs(60);

/// Three looks of the leader at the version of the cluster (`monitorVersionInterval`, 4 s).
const VALID_LIMIT: Duration = Duration::from_secs(12);

/// What etcd says to another version than the minor before, and to a cancellation without a downgrade (etcd's source,
/// `api/v3rpc/rpctypes/error.go`).
const INVALID: &str = "invalid downgrade target version";
const NONE: &str = "no inflight downgrade";

/// A downgrade that cannot be, has not been prepared, or does not end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DowngradeError {
    /// Only 3.6 and later can, by one minor.
    #[error(transparent)]
    Path(#[from] PathError),
    /// etcd refuses.
    #[error(transparent)]
    Request(#[from] RequestFailed),
    /// The stores were not rewritten in time.
    #[error(
        "the stores are not in the older format; upgrade to the version that the members run, which takes the downgrade back"
    )]
    Storage(#[source] WaitError<Infallible>),
    /// etcd has not ended the downgrade.
    #[error("all members run the older version, and etcd has not ended the downgrade")]
    End(#[source] WaitError<Infallible>),
}

/// Whether `target`, as etcd tells it (`3.6.0`), is the minor of `version`.
pub(super) fn is_of_minor(target: &str, version: EtcdVersion) -> bool {
    target == minor_of(version)
}

/// Whether a member runs the minor of `to`.
pub(super) fn runs_minor(status: &Status, to: EtcdVersion) -> bool {
    let runs = status.version.parse::<EtcdVersion>();
    runs.is_ok_and(|runs| (runs.major, runs.minor) == (to.major, to.minor))
}

/// Whether a member runs the minor of `to` already, or its store can be opened by it and stays so: while the downgrade is
/// under way, and beside a member of that minor, above whose version the cluster does not go. A leader of 3.5 ends the
/// downgrade before all members are older: it asks them for the version of the cluster, not for theirs
/// (`isMatchedVersions`, seen with 3.5.35).
pub(super) fn is_prepared(status: &Status, to: EtcdVersion, beside_older: bool) -> bool {
    let stays = beside_older || status.downgrade.as_deref() == Some(&minor_of(to));
    runs_minor(status, to) || stays && is_of_minor(&status.storage_version, to)
}

fn minor_of(version: EtcdVersion) -> String {
    format!("{}.{}.0", version.major, version.minor)
}

/// Has etcd validate and begin a downgrade to the minor of `to`, and waits until the stores of all members are in its
/// format: then members may be replaced one at a time. etcd ends it by itself when all run the older version.
/// [`plan_downgrade`](super::plan_downgrade) has all of that.
///
/// # Errors
///
/// Not one minor down, or before 3.6; etcd refuses; the stores are not rewritten in time. One that has begun already, or
/// that etcd has ended although only some members run the older version, is *not* an error.
pub async fn begin_downgrade(
    spec: &ClusterSpec,
    member: &MemberName,
    to: EtcdVersion,
    probe: &Probe,
) -> Result<(), DowngradeError> {
    check_downgrade_path(spec.version(), to)?;
    let minor = &minor_of(to);
    let (mut under_way, mut beside_older) = (false, false);
    for own in spec.members() {
        if let Ok(status) = probe.status(&own.name).await {
            under_way |= status.downgrade.as_deref() == Some(minor);
            beside_older |= runs_minor(&status, to);
        }
    }
    if !under_way && !beside_older {
        validate(member, minor, probe).await?;
        probe
            .downgrade(member, DowngradeAction::Enable, minor)
            .await?;
    }
    let what = format!("stores in the format of {minor} on all members");
    let look = || async move {
        for own in spec.members() {
            let seen = match probe.status(&own.name).await {
                Ok(status) if is_prepared(&status, to, beside_older) => continue,
                Ok(status) => format!("has {}", status.storage_version),
                Err(why) => format!("says {why}"),
            };
            return Ok(Attempt::NotYet(format!("{} {seen}", own.name)));
        }
        Ok(Attempt::Ready(()))
    };
    let wait = Wait::new(what, LIMIT);
    poll::until(&wait, look)
        .await
        .map_err(DowngradeError::Storage)
}

/// A cluster that was just formed or upgraded gets its version only when its leader looks next, and until then no older one
/// is the minor before (seen with 3.6.16, 2 s after its members were ready).
async fn validate(member: &MemberName, minor: &str, probe: &Probe) -> Result<(), DowngradeError> {
    let look = || async move {
        let action = DowngradeAction::Validate;
        match probe.downgrade(member, action, minor).await {
            Err(failed) if failed.said.contains(INVALID) => Ok(Attempt::NotYet(failed.said)),
            answer => answer.map(Attempt::Ready),
        }
    };
    let wait = Wait::new(format!("leave for a downgrade to {minor}"), VALID_LIMIT);
    poll::until(&wait, look).await.map_err(|error| match error {
        WaitError::Failed(failed) => failed.into(),
        WaitError::TimedOut { last, .. } => DowngradeError::Request(RequestFailed {
            member: member.clone(),
            what: "allow the downgrade",
            said: last,
        }),
    })
}

/// Has etcd take back a downgrade. Members that run the older version go on; they become the newer one by
/// [`plan`](super::plan), which begins with this.
///
/// # Errors
///
/// etcd refuses. That there is none is *not* an error.
pub async fn cancel_downgrade(member: &MemberName, probe: &Probe) -> Result<(), RequestFailed> {
    match probe.downgrade(member, DowngradeAction::Cancel, "").await {
        Err(failed) if failed.said.contains(NONE) => Ok(()),
        answer => answer,
    }
}

/// Waits until etcd has ended the downgrade.
///
/// # Errors
///
/// It has not within a minute.
pub async fn downgrade_ended(member: &MemberName, probe: &Probe) -> Result<(), DowngradeError> {
    let look = || async move {
        Ok(match probe.downgrades(member).await {
            Ok(false) => Attempt::Ready(()),
            Ok(true) => Attempt::NotYet("it is under way".into()),
            Err(why) => Attempt::NotYet(format!("{member} says {why}")),
        })
    };
    let wait = Wait::new("end of the downgrade of etcd", LIMIT);
    poll::until(&wait, look).await.map_err(DowngradeError::End)
}
