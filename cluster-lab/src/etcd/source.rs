//! What is restored: a file, or what a member has; and the copy of it that is kept with the lab until the restore ends.

use super::{
    EtcdRestoreError, KeptName, Restoring, RunningEtcd, api_servers::stop_units, schedule,
};
use crate::{Lab, StateDir, StateError, state::forget};
use etcd_bootstrap::{
    MemberName, StoredSnapshot, StoredSnapshotError, record_path, restore, snapshot,
};
use std::path::{Path, PathBuf};

/// What is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtcdSource {
    /// A snapshot on this machine.
    File(PathBuf),
    /// What this member has, where the others have lost theirs: a snapshot if it can still give one, else its store, which
    /// has no checksum.
    Member(MemberName),
    /// What a member has taken by its timer.
    Kept(KeptName),
}

/// A snapshot and what is known of it.
pub(super) struct Source {
    pub(super) stored: StoredSnapshot,
    pub(super) without_checksum: bool,
}

impl Lab {
    /// Keeps what is to be restored with the lab. What a killed run has left there is replaced.
    pub(super) async fn keep_source(
        &self,
        etcd: &RunningEtcd,
        source: &EtcdSource,
    ) -> Result<Source, EtcdRestoreError> {
        let kept = self.state().restoring();
        let member = match source {
            EtcdSource::File(path) => {
                let (from, to) = (path.clone(), kept);
                let stored = blocking(move || StoredSnapshot::copy(&from, &to)).await?;
                return Ok(Source {
                    stored,
                    without_checksum: false,
                });
            }
            EtcdSource::Kept(name) => {
                let stored = schedule::kept(etcd, name, &kept).await;
                return Ok(Source {
                    stored: stored.map_err(Box::new)?,
                    without_checksum: false,
                });
            }
            EtcdSource::Member(member) => member,
        };
        let host = etcd.hosts.get(member);
        let host = host.ok_or_else(|| EtcdRestoreError::Down(member.to_string()))?;
        // With a checksum, if the member still gives one: also without a majority, as long as it was not restarted since.
        if snapshot(&etcd.spec, member, host.as_ref(), &kept)
            .await
            .is_ok()
        {
            return Ok(Source {
                stored: stored(&kept).await?,
                without_checksum: false,
            });
        }
        stop_units(host.as_ref(), "stop etcd", &["etcd"]).await?;
        Ok(Source {
            stored: restore::salvage(&etcd.spec, member, host.as_ref(), &kept).await?,
            without_checksum: true,
        })
    }

    /// The snapshot of a restore that has begun, read to its end.
    pub(super) async fn kept_source(
        &self,
        restoring: &Restoring,
    ) -> Result<StoredSnapshot, EtcdRestoreError> {
        let kept = self.state().restoring();
        let path = kept.clone();
        let stored = blocking(move || StoredSnapshot::copy_of_store(&path)).await?;
        if stored.sha256.as_str() == restoring.sha256 {
            return Ok(stored);
        }
        let damaged = StateError::Damaged {
            path: kept,
            problem: format!(
                "it has the SHA-256 {}, and the snapshot that is being restored has {}; put a copy of that one there",
                stored.sha256, restoring.sha256
            ),
        };
        Err(damaged.into())
    }
}

/// Reads a snapshot that somebody named, on a thread that may block.
pub(super) async fn stored(path: &Path) -> Result<StoredSnapshot, StoredSnapshotError> {
    let path = path.to_owned();
    blocking(move || StoredSnapshot::read(&path)).await
}

/// Takes the copy away.
pub(super) fn forget_source(state: &StateDir) -> Result<(), StateError> {
    forget(&record_path(&state.restoring()))?;
    forget(&state.restoring())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|joined| std::panic::resume_unwind(joined.into_panic()))
}
