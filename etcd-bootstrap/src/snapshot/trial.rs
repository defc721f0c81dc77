//! Restoring a snapshot into a directory that is thrown away: the proof that it can be restored.

use super::{SnapshotStatus, StoredSnapshot, beside_data, transfer_limit};
use crate::{
    ClusterSpec, EtcdutlError, MemberName,
    etcdutl::{Etcdutl, LIMIT, RestoreTo},
};
use host_exec::{Command, Host, Mode, RunError, UploadError, upload};
use std::path::Path;

/// A trial that failed: the snapshot is not good, or the host could not try it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The spec has no such member.
    #[error("etcd has no member {0}")]
    UnknownMember(MemberName),
    /// etcdutl cannot restore it.
    #[error("the snapshot cannot be restored")]
    Etcdutl(#[from] EtcdutlError),
    /// The place of the trial could not be made or removed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The snapshot could not be brought there.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// Restores `snapshot` on the host of `member` into a directory beside nothing of etcd's, with the etcdutl beside its
/// etcd, and removes that again. Says what the restored store is; the running member notices nothing. `without_checksum`
/// is for a copy of `member/snap/db`.
///
/// # Errors
///
/// The snapshot cannot be restored, etcdutl is of another minor, or the disk is full.
pub async fn try_restore(
    spec: &ClusterSpec,
    member: &MemberName,
    host: &dyn Host,
    snapshot: &StoredSnapshot,
    without_checksum: bool,
) -> Result<SnapshotStatus, TrialError> {
    let own = spec.member(member);
    let own = own.ok_or_else(|| TrialError::UnknownMember(member.clone()))?;
    let etcdutl = Etcdutl::beside(spec.program_of(own), host);
    etcdutl.require(spec.version_of(own)).await?;
    let place = &beside_data(own, ".trial");
    let remove = Command::new("rm")
        .args(["-rf", "--"])
        .arg(place.to_string_lossy())
        .timeout(LIMIT);
    host.run(&remove).await?;
    let to = RestoreTo {
        name: &own.name,
        peer_url: &own.peer_url(),
        initial_cluster: &[(own.name.clone(), own.peer_url())],
        token: spec.token(),
        data_dir: &place.join("data"),
        bump_revision: None,
        skip_hash_check: without_checksum,
    };
    let tried = trial(&etcdutl, host, place, snapshot, &to).await;
    // Also after a failure: it holds every Secret of the cluster.
    host.run(&remove).await?;
    tried
}

async fn trial(
    etcdutl: &Etcdutl<'_>,
    host: &dyn Host,
    place: &Path,
    snapshot: &StoredSnapshot,
    to: &RestoreTo<'_>,
) -> Result<SnapshotStatus, TrialError> {
    let file = place.join("snapshot.db");
    // The directory is for its owner alone before anything is in it.
    let make = Command::new("mkdir").args(["-m", "0700", "--"]);
    host.run(&make.arg(place.to_string_lossy())).await?;
    let limit = transfer_limit(snapshot.bytes);
    let (local, sha256) = (&snapshot.path, &snapshot.sha256);
    upload(host, local, &file, Mode::SECRET, sha256, limit).await?;
    etcdutl.restore(&file, to).await?;
    Ok(etcdutl.status(&to.data_dir.join("member/snap/db")).await?)
}
