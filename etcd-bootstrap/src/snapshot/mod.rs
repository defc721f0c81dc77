//! A copy of all that etcd holds, taken from one member while it serves.

mod stored;
mod trial;
mod whole;

pub use stored::{SnapshotRecord, StoredSnapshot, StoredSnapshotError, record_path};
pub use trial::{TrialError, try_restore};
pub use whole::{Damage, check_whole};

use crate::{
    ClusterId, ClusterSpec, EtcdVersion, EtcdutlError, MemberName, MemberSpec,
    etcdutl::{Etcdutl, LIMIT},
};
use host_exec::{Command, FileError, Host, RunError};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// A place beside the data of a member and not below it, whose name is the directory's with `suffix`. Nobody but root can
/// make anything there, as anybody can where temporary files go.
fn beside_data(member: &MemberSpec, suffix: &str) -> PathBuf {
    let mut place = member.data_dir.clone().into_os_string();
    place.push(suffix);
    place.into()
}

/// A copy, as etcdutl restores it. `Debug` shows no byte of it: it holds every Secret of a cluster.
pub struct Snapshot {
    /// The database with its checksum at the end, which was compared.
    pub bytes: Zeroizing<Vec<u8>>,
    /// What etcdutl says of it.
    pub status: SnapshotStatus,
    /// The cluster it is of.
    pub cluster_id: ClusterId,
    /// The version of etcd that made it.
    pub version: EtcdVersion,
    /// The member that made it.
    pub member: MemberName,
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
    /// etcdctl failed: the member does not answer, or its disk is full.
    #[error(transparent)]
    Run(#[from] RunError),
    /// etcdutl failed or says something else than a status.
    #[error(transparent)]
    Etcdutl(#[from] EtcdutlError),
    /// The copy could not be fetched or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The copy vanished.
    #[error("the snapshot of {0} is gone before it was fetched; take it again")]
    Gone(MemberName),
    /// What came is not what etcd sent.
    #[error("the snapshot of {member} is not whole; take it again")]
    Damaged {
        /// The member.
        member: MemberName,
        /// What is wrong with it.
        #[source]
        source: Damage,
    },
}

/// Takes a snapshot of `member`, with the etcdctl and etcdutl beside its etcd. etcdctl streams it into a file whose name
/// ends with `.part`, which gets its own name when it is complete and synced; etcdutl reads the whole; and the checksum
/// that etcd puts at its end is compared here, after the way to this machine.
///
/// # Errors
///
/// The member does not answer, its disk is full, or what arrives is not what was sent.
pub async fn snapshot(
    spec: &ClusterSpec,
    member: &MemberName,
    host: &dyn Host,
) -> Result<Snapshot, SnapshotError> {
    let own = spec.member(member);
    let own = own.ok_or_else(|| SnapshotError::UnknownMember(member.clone()))?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (program, version) = (spec.program_of(own), spec.version_of(own));
    let scratch = &beside_data(own, ".snapshot.db");
    let endpoint = own.client_urls().into_iter().next().unwrap_or_default();
    let save = Command::new(text(&program.with_file_name("etcdctl")))
        .timeout(LIMIT)
        .args(["--endpoints".to_owned(), endpoint])
        .args(["--cacert".to_owned(), text(&own.pki.client_ca)])
        .args(["--cert".to_owned(), text(&own.pki.server_certificate)])
        .args(["--key".to_owned(), text(&own.pki.server_key)])
        .args(["snapshot".to_owned(), "save".to_owned(), text(scratch)]);
    host.run(&save).await?;
    let status = Etcdutl::beside(program, host).status(scratch).await?;
    let bytes = host.read_file(scratch).await?.map(Zeroizing::new);
    host.remove_file(scratch).await?;
    let bytes = bytes.ok_or_else(|| SnapshotError::Gone(member.clone()))?;
    check_whole(&bytes).map_err(|source| SnapshotError::Damaged {
        member: member.clone(),
        source,
    })?;
    Ok(Snapshot {
        bytes,
        status,
        cluster_id: spec.cluster_id(),
        version,
        member: member.clone(),
    })
}
