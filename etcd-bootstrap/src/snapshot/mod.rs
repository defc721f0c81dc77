//! A copy of all that etcd holds, taken from one member while it serves.

mod stored;
mod trial;
mod whole;

pub(crate) use stored::{name_part, part_path, store_part};

pub use stored::{SnapshotRecord, StoredSnapshot, StoredSnapshotError, record_path};
pub use trial::{TrialError, try_restore};
pub use whole::{Damage, check_whole};

use crate::{
    ClusterSpec, EtcdutlError, MemberName, MemberSpec,
    etcdutl::{Etcdutl, LIMIT},
};
use host_exec::{Command, DownloadError, FileError, Host, RunError, download};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// A place beside the data of a member and not below it, whose name is the directory's with `suffix`. Nobody but root can
/// make anything there, as anybody can where temporary files go.
fn beside_data(member: &MemberSpec, suffix: &str) -> PathBuf {
    let mut place = member.data_dir.clone().into_os_string();
    place.push(suffix);
    place.into()
}

/// What `etcdutl snapshot status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotStatus {
    /// A hash over all keys.
    pub hash: u32,
    /// The revision of the store.
    pub revision: i64,
    /// How many keys: those of old revisions too in 3.5, only the present ones later.
    #[serde(rename = "totalKey")]
    pub total_keys: u64,
    /// The size of the database in bytes.
    #[serde(rename = "totalSize")]
    pub total_bytes: u64,
}

/// The slowest link on which a snapshot still arrives in time, in bytes per second.
const SLOWEST: u64 = 1 << 20;

/// How long so many bytes may take from machine to machine.
pub(crate) fn transfer_limit(bytes: u64) -> Duration {
    Command::DEFAULT_TIMEOUT + Duration::from_secs(bytes / SLOWEST)
}

/// No snapshot could be taken. The member goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The spec has no such member.
    #[error("etcd has no member {0}")]
    UnknownMember(MemberName),
    /// etcdctl failed: the member does not answer, or its disk is full.
    #[error(transparent)]
    Run(#[from] RunError),
    /// etcdutl failed or says something else than a status.
    #[error(transparent)]
    Etcdutl(#[from] EtcdutlError),
    /// The copy could not be removed from the member's machine.
    #[error(transparent)]
    File(#[from] FileError),
    /// The copy could not be fetched.
    #[error(transparent)]
    Fetch(#[from] DownloadError),
    /// The copy vanished.
    #[error("the snapshot of {0} is gone before it was fetched; take it again")]
    Gone(MemberName),
    /// What came is not what etcd sent, or could not be written.
    #[error(transparent)]
    Store(#[from] StoredSnapshotError),
}

/// Takes a snapshot of `member`, with the etcdctl and etcdutl beside its etcd, into the file `to` of this machine, with
/// its record beside it ([`record_path`]), both with mode 0600. No more than a piece of it is in memory here.
///
/// etcdctl streams it into a file of the member's machine, whose name ends with `.part` until it is complete and synced;
/// etcdutl reads the whole; from there it is streamed into `to` with `.part` behind its name; and the checksum that etcd
/// puts at its end is compared here, after the way to this machine, before it gets its own name. What was at `to` before
/// is whole until then.
///
/// # Errors
///
/// The member does not answer, its disk or ours is full, or what arrives is not what was sent.
pub async fn snapshot(
    spec: &ClusterSpec,
    member: &MemberName,
    host: &dyn Host,
    to: &Path,
) -> Result<SnapshotRecord, SnapshotError> {
    let own = spec.member(member);
    let own = own.ok_or_else(|| SnapshotError::UnknownMember(member.clone()))?;
    // Files are written by absolute paths alone; a person may have named one beside her.
    let to = &std::path::absolute(to).map_err(|source| StoredSnapshotError::Io {
        what: "write",
        path: to.to_owned(),
        source,
    })?;
    let scratch = beside_data(own, ".snapshot.db");
    let saved = save(spec, own, host, &scratch).await;
    let fetched = match saved {
        Ok(status) => fetch(member, host, &scratch, status, to).await,
        Err(error) => Err(error),
    };
    // Also after a failure: it holds every Secret of the cluster.
    let removed = host.remove_file(&scratch).await;
    let status = fetched?;
    removed?;
    let (cluster_id, version) = (spec.cluster_id(), spec.version_of(own));
    let (to, member) = (to.to_owned(), member.clone());
    let stored = blocking(move || {
        let stored = stored::store_part(&to)?;
        let record = SnapshotRecord {
            status,
            sha256: stored.sha256.to_string(),
            cluster_id,
            version,
            member,
        };
        stored::write_record(&to, &record)?;
        Ok::<_, StoredSnapshotError>(record)
    });
    Ok(stored.await?)
}

async fn save(
    spec: &ClusterSpec,
    own: &MemberSpec,
    host: &dyn Host,
    scratch: &Path,
) -> Result<SnapshotStatus, SnapshotError> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let program = spec.program_of(own);
    let endpoint = own.client_urls().into_iter().next().unwrap_or_default();
    let save = Command::new(text(&program.with_file_name("etcdctl")))
        .timeout(LIMIT)
        .args(["--endpoints".to_owned(), endpoint])
        .args(["--cacert".to_owned(), text(&own.pki.client_ca)])
        .args(["--cert".to_owned(), text(&own.pki.server_certificate)])
        .args(["--key".to_owned(), text(&own.pki.server_key)])
        .args(["snapshot".to_owned(), "save".to_owned(), text(scratch)]);
    host.run(&save).await?;
    Ok(Etcdutl::beside(program, host).status(scratch).await?)
}

async fn fetch(
    member: &MemberName,
    host: &dyn Host,
    scratch: &Path,
    status: SnapshotStatus,
    to: &Path,
) -> Result<SnapshotStatus, SnapshotError> {
    match bring(host, scratch, to, status.total_bytes).await? {
        true => Ok(status),
        false => Err(SnapshotError::Gone(member.clone())),
    }
}

/// Brings a file of `bytes` bytes of a member's machine to the part of `to`; false if there is no such file. After a failure
/// no part is left.
pub(crate) async fn bring(
    host: &dyn Host,
    from: &Path,
    to: &Path,
    bytes: u64,
) -> Result<bool, DownloadError> {
    let brought = download(host, from, &part_path(to), transfer_limit(bytes)).await;
    Ok(brought.inspect_err(|_| forget_part(to))?.is_some())
}

/// Work that waits for a disk, on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|joined| std::panic::resume_unwind(joined.into_panic()))
}

/// Takes away what came of a snapshot that failed; the failure is what has to be told.
fn forget_part(to: &Path) {
    let _ = fs::remove_file(part_path(to));
}
