//! A copy of all that etcd holds, taken from one member while it serves.

use crate::{ClusterSpec, MemberName};
use host_exec::{Command, FileError, Host, RunError};
use serde::Deserialize;
use std::{fmt, path::Path, time::Duration};
use zeroize::Zeroizing;

/// Where the member keeps the copy until it has been fetched; not below its data.
const SCRATCH: &str = "/var/tmp/etcd-snapshot.db";
/// Some hundred MiB over a slow disk.
const LIMIT: Duration = Duration::from_secs(300);

/// A copy, as etcdutl restores it. `Debug` shows no byte of it: it holds every Secret of a cluster.
pub struct Snapshot {
    /// The database with its checksum at the end.
    pub bytes: Zeroizing<Vec<u8>>,
    /// What etcdutl says of it.
    pub status: SnapshotStatus,
}

/// What `etcdutl snapshot status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct SnapshotStatus {
    /// A hash over all keys.
    pub hash: u32,
    /// The revision of the store.
    pub revision: i64,
    /// How many keys, those of old revisions too.
    #[serde(rename = "totalKey")]
    pub total_keys: u64,
    /// The size of the database in bytes.
    #[serde(rename = "totalSize")]
    pub total_bytes: u64,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({:?})", self.status)
    }
}

/// No snapshot could be taken. The member goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The spec has no such member.
    #[error("etcd has no member {0}")]
    UnknownMember(MemberName),
    /// etcdctl or etcdutl failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The copy could not be fetched or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The copy vanished.
    #[error("the snapshot of {0} is gone before it was fetched; take it again")]
    Gone(MemberName),
    /// etcdutl says something else than its status.
    #[error("etcdutl of {member} does not tell the status of the snapshot")]
    Status {
        /// The member.
        member: MemberName,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Takes a snapshot of `member`, with the etcdctl and etcdutl beside its etcd. etcdctl compares what it has received
/// with the member's checksum, and etcdutl reads the whole.
///
/// # Errors
///
/// The member does not answer, or its disk is full.
pub async fn snapshot(
    spec: &ClusterSpec,
    member: &MemberName,
    host: &dyn Host,
) -> Result<Snapshot, SnapshotError> {
    let own = spec.member(member);
    let own = own.ok_or_else(|| SnapshotError::UnknownMember(member.clone()))?;
    let beside = |name: &str| {
        let path = spec.program().with_file_name(name);
        Command::new(path.to_string_lossy().into_owned()).timeout(LIMIT)
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let scratch = Path::new(SCRATCH);
    let endpoint = own.client_urls().into_iter().next().unwrap_or_default();
    let save = beside("etcdctl")
        .args(["--endpoints".to_owned(), endpoint])
        .args(["--cacert".to_owned(), text(&own.pki.client_ca)])
        .args(["--cert".to_owned(), text(&own.pki.server_certificate)])
        .args(["--key".to_owned(), text(&own.pki.server_key)])
        .args(["snapshot", "save", SCRATCH]);
    host.run(&save).await?;
    let status = beside("etcdutl").args(["snapshot", "status", SCRATCH, "--write-out", "json"]);
    let said = host.run(&status).await?;
    let bytes = host.read_file(scratch).await?;
    host.remove_file(scratch).await?;
    Ok(Snapshot {
        bytes: bytes
            .map(Zeroizing::new)
            .ok_or_else(|| SnapshotError::Gone(member.clone()))?,
        status: serde_json::from_str(&said.stdout_text()).map_err(|source| {
            SnapshotError::Status {
                member: member.clone(),
                source,
            }
        })?,
    })
}
