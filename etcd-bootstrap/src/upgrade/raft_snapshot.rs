//! Having all members write a snapshot of their raft logs, without a restart.
//!
//! etcd writes one after `--snapshot-count` entries. A question for the alarms is such an entry (etcd's source,
//! `v3_server.go`, `Alarm`), and changes neither keys nor revision.

use crate::{
    ClusterSpec, Hosts, MemberName, MemberSpec, Probe, RequestFailed, Tls, Unreachable,
    probe::host_of,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use host_exec::{
    Command, Host, RunError,
    poll::{self, Attempt, Wait, WaitError},
};
use std::time::Duration;

/// How many questions are under way at a time: enough to share the `fsync` of an entry, and far from what hurts.
const AT_A_TIME: usize = 64;
/// The answer to one, when as many wait and the disk is slow.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);
/// etcd writes the file beside its other work.
const LIMIT: Duration = Duration::from_secs(30);

/// Not all members have a new snapshot of their raft log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaftSnapshotError {
    /// The caller gave no host or no certificates for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A member does not say how far it is.
    #[error("etcd member {member} does not tell its raft index: {said}")]
    Index {
        /// The member.
        member: MemberName,
        /// What it said.
        said: String,
    },
    /// The log could not be filled.
    #[error(transparent)]
    Request(#[from] RequestFailed),
    /// A member has written none.
    #[error(transparent)]
    Wait(#[from] WaitError<RunError>),
}

/// Fills the log, and waits until every member has a snapshot that covers what was in it before.
pub(super) async fn write(
    spec: &ClusterSpec,
    member: &MemberName,
    entries: u64,
    hosts: &Hosts,
    tls: &Tls,
) -> Result<(), RaftSnapshotError> {
    let patient = &Probe::new(spec, hosts, tls, QUESTION_LIMIT)?;
    let before = patient
        .status(member)
        .await
        .map_err(|said| RaftSnapshotError::Index {
            member: member.clone(),
            said,
        })?;
    stream::iter(0..entries)
        .map(|_| async move { patient.alarms(member).await.map(drop) })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    for own in spec.members() {
        let host = host_of(hosts, &own.name)?;
        covered(own, host.as_ref(), before.raft_index).await?;
    }
    Ok(())
}

async fn covered(
    member: &MemberSpec,
    host: &dyn Host,
    index: u64,
) -> Result<(), WaitError<RunError>> {
    let what = format!("raft snapshot of {} at index {index} or later", member.name);
    let look = || async {
        let newest = newest(member, host).await?;
        Ok(match newest {
            Some(newest) if newest >= index => Attempt::Ready(()),
            newest => Attempt::NotYet(format!("the newest is at {newest:?}")),
        })
    };
    poll::until(&Wait::new(what, LIMIT), look).await
}

/// The index of the newest snapshot. Their names are term and index in hexadecimal:
///
/// ```text
/// 0000000000000002-0000000000002715.snap
/// ```
async fn newest(member: &MemberSpec, host: &dyn Host) -> Result<Option<u64>, RunError> {
    let find = Command::new("find")
        .arg(member.data_dir.join("member/snap").display().to_string())
        .args(["-maxdepth", "1", "-name", "*.snap", "-printf", "%f\\n"]);
    let output = host.run(&find).await?;
    let text = output.stdout_text();
    let index = |name: &str| {
        let (_, index) = name.strip_suffix(".snap")?.split_once('-')?;
        u64::from_str_radix(index, 16).ok()
    };
    Ok(text.lines().filter_map(index).max())
}
