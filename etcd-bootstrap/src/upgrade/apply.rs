//! Doing what an [`UpgradePlan`] says.

use super::{
    DowngradeError, RaftSnapshotError, UpgradePlan, UpgradeStep, begin_downgrade, cancel_downgrade,
    downgrade_ended, raft_snapshot,
};
use crate::{
    ApplyError, ClusterSpec, EtcdVersion, Hosts, MemberName, MemberProgram, ObserveError,
    PlanError, Probe, RequestFailed, SnapshotError, SpecError, Tls, Unreachable,
    handover::give_lead, observe::ANSWER_TIMEOUT, probe::host_of, ready::wait_well, snapshot,
};
use host_exec::{EventSink, poll::WaitError};
use std::{convert::Infallible, error::Error as StdError, path::PathBuf, time::Duration};

/// The step under which an upgrade is reported.
pub const UPGRADE_STEP: &str = "etcd: upgrade";
/// How long all members have to be well before the next one is touched: after a restart etcd itself counts a peer as
/// connected only when it has been for 5 s (`HealthInterval`).
pub const SETTLE: Duration = Duration::from_secs(5);
/// How long that may take to be reached.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// What a [`Journal`] says when it cannot keep something.
pub type JournalError = Box<dyn StdError + Send + Sync>;

/// What an upgrade has kept by its caller, who gives it back to the next run in the specification.
pub trait Journal: Send + Sync {
    /// The file of this machine for the snapshot that is taken before anything changes. Its directory has to be there.
    ///
    /// # Errors
    ///
    /// There is no place for it; then nothing is begun.
    fn snapshot(&self) -> Result<PathBuf, JournalError>;

    /// Remembers what a member is to run from now on, before it is touched.
    ///
    /// # Errors
    ///
    /// It cannot be kept; then the member is not touched.
    fn begin(&self, member: &MemberName, program: &MemberProgram) -> Result<(), JournalError>;
}

/// An upgrade that stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The caller gave no host or no certificates for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The snapshot could not be taken, and nothing was begun.
    #[error("cannot take a snapshot of etcd first; nothing has been changed")]
    Snapshot(#[from] SnapshotError),
    /// The caller could not keep what it has to.
    #[error("cannot remember the upgrade; etcd member {member} was not touched")]
    Journal {
        /// The member whose turn it was.
        member: MemberName,
        /// The cause.
        #[source]
        source: JournalError,
    },
    /// The members did not write the snapshots of their raft logs, and nothing was begun.
    #[error("not every member has written a raft snapshot; no member has been changed")]
    RaftSnapshot(#[from] RaftSnapshotError),
    /// etcd did not begin, take back or end a downgrade.
    #[error(transparent)]
    Downgrade(#[from] DowngradeError),
    /// The leader did not hand over, and was not touched.
    #[error("the leader {leader} was not upgraded, since it does not hand over; the others are")]
    Leader {
        /// The leader.
        leader: MemberName,
        /// What it said.
        #[source]
        source: RequestFailed,
    },
    /// A member is not well with the new version.
    #[error(
        "etcd member {member} is not well as {to}, and the upgrade stops there: the others serve ({serving} of {members}); \
         mend the cause and upgrade again, or go back: upgrade to {from}, which is possible while a member runs it"
    )]
    Member {
        /// The member.
        member: MemberName,
        /// What it ran.
        from: EtcdVersion,
        /// What it was to run.
        to: EtcdVersion,
        /// How many others serve.
        serving: usize,
        /// How many there are.
        members: usize,
        /// The cause.
        #[source]
        source: Box<MemberError>,
    },
}

/// Why a member is not well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// Its specification is impossible.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// It must not be touched.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It could not be started.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// It runs and does not stay well, or says that it is another version.
    #[error(transparent)]
    Settle(#[from] WaitError<Infallible>),
}

/// Does the steps of `plan`, and returns the cluster as it is then: each member with the program it was given.
///
/// # Errors
///
/// The first step that fails. Members after it were not touched, and a cluster of three or more still serves.
pub async fn apply(
    spec: &ClusterSpec,
    plan: &UpgradePlan,
    to: &MemberProgram,
    hosts: &Hosts,
    tls: &Tls,
    journal: &dyn Journal,
    events: &dyn EventSink,
) -> Result<ClusterSpec, UpgradeError> {
    let mut spec = spec.clone();
    for step in &plan.steps {
        let member = step.member();
        events.started(member.as_str(), UPGRADE_STEP);
        let done = match step {
            UpgradeStep::Snapshot { member } => keep(&spec, member, hosts, journal).await,
            UpgradeStep::RaftSnapshot { member, entries } => {
                raft_snapshot::write(&spec, member, *entries, hosts, tls)
                    .await
                    .map_err(Into::into)
            }
            UpgradeStep::CancelDowngrade { member } => {
                let probe = patient(&spec, hosts, tls)?;
                let cancelled = cancel_downgrade(member, &probe).await;
                cancelled.map_err(|failed| DowngradeError::from(failed).into())
            }
            UpgradeStep::Downgrade { member, to } => {
                let probe = patient(&spec, hosts, tls)?;
                let begun = begin_downgrade(&spec, member, *to, &probe).await;
                begun.map_err(Into::into)
            }
            UpgradeStep::EndDowngrade { member } => {
                let probe = patient(&spec, hosts, tls)?;
                downgrade_ended(member, &probe).await.map_err(Into::into)
            }
            UpgradeStep::MoveLeader { from, to } => hand_over(&spec, from, to, hosts, tls).await,
            UpgradeStep::Replace { member, from, .. } => {
                let member = (member, *from);
                replace(&mut spec, member, to, hosts, tls, journal, events).await
            }
        };
        if let Err(error) = done {
            events.failed(member.as_str(), UPGRADE_STEP, &error.to_string());
            return Err(error);
        }
        events.done(member.as_str(), UPGRADE_STEP, &step.to_string());
    }
    Ok(spec)
}

/// For what takes an agreement of the members.
fn patient(spec: &ClusterSpec, hosts: &Hosts, tls: &Tls) -> Result<Probe, Unreachable> {
    Probe::new(spec, hosts, tls, spec.tuning().agreement_limit())
}

async fn keep(
    spec: &ClusterSpec,
    member: &MemberName,
    hosts: &Hosts,
    journal: &dyn Journal,
) -> Result<(), UpgradeError> {
    let host = host_of(hosts, member)?;
    let place = journal.snapshot();
    let place = place.map_err(|source| UpgradeError::Journal {
        member: member.clone(),
        source,
    })?;
    snapshot(spec, member, host.as_ref(), &place).await?;
    Ok(())
}

/// The leader of the plan need not lead any more: restarts of followers may have cost an election.
async fn hand_over(
    spec: &ClusterSpec,
    from: &MemberName,
    to: &MemberName,
    hosts: &Hosts,
    tls: &Tls,
) -> Result<(), UpgradeError> {
    let probe = patient(spec, hosts, tls)?;
    let moved = give_lead(spec, from, to, &probe).await;
    moved.map(drop).map_err(|source| UpgradeError::Leader {
        leader: from.clone(),
        source,
    })
}

async fn replace(
    spec: &mut ClusterSpec,
    (member, from): (&MemberName, EtcdVersion),
    to: &MemberProgram,
    hosts: &Hosts,
    tls: &Tls,
    journal: &dyn Journal,
    events: &dyn EventSink,
) -> Result<(), UpgradeError> {
    let remembered = journal.begin(member, to);
    remembered.map_err(|source| UpgradeError::Journal {
        member: member.clone(),
        source,
    })?;
    let Err(source) = reach(spec, member, to, hosts, tls, events).await else {
        return Ok(());
    };
    let probe = Probe::new(spec, hosts, tls, ANSWER_TIMEOUT)?;
    let mut serving = 0;
    for other in spec.members().iter().filter(|other| other.name != *member) {
        serving += usize::from(probe.client(&other.name).await.is_ready());
    }
    Err(UpgradeError::Member {
        member: member.clone(),
        from,
        to: to.version,
        serving,
        members: spec.members().len(),
        source: Box::new(source),
    })
}

/// The member as it is to be, by the same way as any state of the cluster: observed, planned, applied.
async fn reach(
    spec: &mut ClusterSpec,
    member: &MemberName,
    to: &MemberProgram,
    hosts: &Hosts,
    tls: &Tls,
    events: &dyn EventSink,
) -> Result<(), MemberError> {
    *spec = spec.clone().with_member_program(member, to.clone())?;
    let observed = crate::observe(spec, hosts, tls).await?;
    let plan = crate::plan(spec, &observed)?;
    crate::apply(spec, &plan, hosts, tls, events).await?;
    let probe = Probe::new(spec, hosts, tls, ANSWER_TIMEOUT).map_err(ApplyError::from)?;
    Ok(settle(spec, member, to.version, &probe).await?)
}

/// Waits until all members have been ready for [`SETTLE`] without a break, and the one in question says its version.
async fn settle(
    spec: &ClusterSpec,
    member: &MemberName,
    version: EtcdVersion,
    probe: &Probe,
) -> Result<(), WaitError<Infallible>> {
    let what = format!(
        "{} s in which all members of etcd are well",
        SETTLE.as_secs()
    );
    let look = || trouble(spec, member, version, probe);
    wait_well(what, SETTLE, SETTLE_LIMIT, look).await
}

/// What is not well, if anything.
async fn trouble(
    spec: &ClusterSpec,
    member: &MemberName,
    version: EtcdVersion,
    probe: &Probe,
) -> Option<String> {
    for other in spec.members() {
        let answer = probe.client(&other.name).await;
        if !answer.is_ready() {
            return Some(format!("{}: {answer}", other.name));
        }
    }
    let said = probe.status(member).await.map(|status| status.version);
    (said.as_deref() != Ok(&version.to_string())).then(|| format!("{member} says {said:?}"))
}
