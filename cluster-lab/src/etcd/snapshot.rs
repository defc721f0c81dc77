//! A snapshot of etcd, kept on this machine.

use super::source::stored;
use crate::{Lab, LabPlanError, StateError, state::make_dir};
use etcd_bootstrap::{
    SnapshotError, SnapshotRecord, StoredSnapshotError, TrialError, snapshot, try_restore,
};
use host_exec::EventSink;
use std::path::{Path, PathBuf};
use time::macros::format_description;

/// The step under which a snapshot is reported.
const STEP: &str = "etcd: snapshot";

/// A snapshot that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdSnapshot {
    /// Where it is; its record is beside it.
    pub path: PathBuf,
    /// What it is.
    pub record: SnapshotRecord,
}

/// No snapshot could be taken or kept. etcd goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdSnapshotError {
    /// The lab could not be looked at.
    #[error(transparent)]
    Lab(#[from] LabPlanError),
    /// No machine of etcd runs.
    #[error("no machine of etcd runs; `lab up` starts them")]
    NoMember,
    /// No member gave one; this is what the last one said.
    #[error("no member of etcd gives a snapshot")]
    Snapshot(#[from] SnapshotError),
    /// It cannot be restored.
    #[error("the snapshot was taken and kept, and cannot be restored")]
    Trial(#[from] TrialError),
    /// What was kept cannot be read again.
    #[error(transparent)]
    Store(#[from] StoredSnapshotError),
    /// The place for it could not be made.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Lab {
    /// Where a snapshot is kept that nobody named a place for: below the lab's directory, by the moment of now.
    pub fn etcd_snapshot_path(&self) -> PathBuf {
        let form = format_description!("[year][month][day]T[hour][minute][second]Z");
        let now = self.now.to_offset(time::UtcOffset::UTC);
        let now = now.format(form).expect("a moment has these parts");
        self.state().snapshots().join(format!("etcd-{now}.db"))
    }

    /// Takes a snapshot of etcd from the first member that gives one, and keeps it at `to` with its record. With `trial`
    /// it is also restored into a directory that is thrown away.
    ///
    /// # Errors
    ///
    /// No member gives one, it cannot be kept, or the trial fails.
    pub async fn etcd_snapshot(
        &self,
        to: &Path,
        trial: bool,
        events: &dyn EventSink,
    ) -> Result<EtcdSnapshot, EtcdSnapshotError> {
        let etcd = self.running_etcd().await?;
        events.started("", STEP);
        let own = self.state().snapshots();
        if to.parent() == Some(&own) {
            make_dir(&own)?;
        }
        let record = first(&etcd, to).await?;
        if let Some(host) = etcd.hosts.get(&record.member).filter(|_| trial) {
            let (member, stored) = (&record.member, stored(to).await?);
            try_restore(&etcd.spec, member, host.as_ref(), &stored, false).await?;
        }
        let said = format!("revision {} from {}", record.status.revision, record.member);
        events.done("", STEP, &said);
        Ok(EtcdSnapshot {
            path: to.to_owned(),
            record,
        })
    }
}

/// Any member will do; one that does not answer is no reason to have none.
async fn first(etcd: &super::RunningEtcd, to: &Path) -> Result<SnapshotRecord, EtcdSnapshotError> {
    let mut failed = EtcdSnapshotError::NoMember;
    for (member, host) in &etcd.hosts {
        match snapshot(&etcd.spec, member, host.as_ref(), to).await {
            Ok(record) => return Ok(record),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}
