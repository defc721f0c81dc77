//! Doing what a [`MaintenancePlan`] says.

use super::{MaintenancePlan, MaintenanceStep};
use crate::{ClusterSpec, MemberName, Probe, RequestFailed, WaitReadyError, wait_ready};
use host_exec::EventSink;
use std::time::Duration;

/// The step under which maintenance is reported.
pub const MAINTENANCE_STEP: &str = "etcd: maintenance";
/// For the time-out of a probe that defragments: etcd takes about 10 s per GiB on a good disk, and 8 GiB are the most that
/// its authors advise.
pub const DEFRAG_LIMIT: Duration = Duration::from_secs(300);

/// Maintenance that stopped. What was done before stays; plan again to go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintainError {
    /// A member is not ready before its turn, or not again after it.
    #[error("the sweep stops at {member}; members after it were not touched")]
    Health {
        /// The member whose turn it was.
        member: MemberName,
        /// Who is not ready.
        #[source]
        source: WaitReadyError,
    },
    /// A member refused.
    #[error("maintenance stops here")]
    Request(#[from] RequestFailed),
    /// There is still no room, so the alarm stays.
    #[error(
        "the store of {member} has {db_bytes} bytes after compaction and defragmentation, and {at_most_bytes} are the \
         most to go on: the alarm stays; delete keys, or give more room (--quota-backend-bytes, at most 8 GiB)"
    )]
    StillFull {
        /// The member.
        member: MemberName,
        /// The size of its store.
        db_bytes: u64,
        /// The most that is little enough.
        at_most_bytes: u64,
    },
}

/// Does the steps of `plan` in their order, and stops at the first that fails. `probe` asks and has a short time-out,
/// `patient` is the one for defragmentation ([`DEFRAG_LIMIT`]).
///
/// # Errors
///
/// A member is not ready around its turn, refuses, or has no room afterwards.
pub async fn maintain(
    spec: &ClusterSpec,
    plan: &MaintenancePlan,
    probe: &Probe,
    patient: &Probe,
    events: &dyn EventSink,
) -> Result<(), MaintainError> {
    for step in &plan.steps {
        let member = step.member();
        events.started(member.as_str(), MAINTENANCE_STEP);
        match one(spec, step, probe, patient, events).await {
            Ok(said) => events.done(member.as_str(), MAINTENANCE_STEP, &said),
            Err(error) => {
                events.failed(member.as_str(), MAINTENANCE_STEP, &error.to_string());
                return Err(error);
            }
        }
    }
    Ok(())
}

async fn one(
    spec: &ClusterSpec,
    step: &MaintenanceStep,
    probe: &Probe,
    patient: &Probe,
    events: &dyn EventSink,
) -> Result<String, MaintainError> {
    match step {
        MaintenanceStep::Compact { member, revision } => {
            patient.compact(member, *revision).await?;
            Ok(format!("compacted to revision {revision}"))
        }
        MaintenanceStep::Defragment {
            member, db_bytes, ..
        } => {
            let health = |source| MaintainError::Health {
                member: member.clone(),
                source,
            };
            let all = voters(spec, probe).await;
            let ready = || wait_ready(spec, &all, probe, spec.ready_limit(), events);
            ready().await.map_err(health)?;
            patient.defragment(member).await?;
            ready().await.map_err(health)?;
            let now = size_of(member, probe).await?;
            Ok(format!("{db_bytes} bytes before, {now} now"))
        }
        MaintenanceStep::CheckSize {
            member,
            at_most_bytes,
        } => {
            let db_bytes = size_of(member, probe).await?;
            if db_bytes > *at_most_bytes {
                return Err(MaintainError::StillFull {
                    member: member.clone(),
                    db_bytes,
                    at_most_bytes: *at_most_bytes,
                });
            }
            Ok(format!("{db_bytes} bytes"))
        }
        MaintenanceStep::Disarm { member, alarm } => {
            probe.disarm(member, *alarm).await?;
            Ok(format!("{} is gone", alarm.kind))
        }
    }
}

/// All members but learners, which never say that they are ready.
async fn voters(spec: &ClusterSpec, probe: &Probe) -> Vec<MemberName> {
    let names = spec.members().iter().map(|member| member.name.clone());
    let asked = names.map(|name| async {
        let learner = probe.status(&name).await.is_ok_and(|s| s.is_learner);
        (!learner).then_some(name)
    });
    let voters = futures::future::join_all(asked).await;
    voters.into_iter().flatten().collect()
}

async fn size_of(member: &MemberName, probe: &Probe) -> Result<u64, RequestFailed> {
    let status = probe.status(member).await;
    status
        .map(|s| s.db_size_bytes)
        .map_err(|said| RequestFailed {
            member: member.clone(),
            what: "tell its size",
            said,
        })
}
