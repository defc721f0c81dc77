//! The store of a member that does not run: what is left when nobody took a snapshot.

use crate::{ClusterSpec, MemberName, render};
use host_exec::{FileError, Host, RunError, systemd};
use std::{path::PathBuf, slice};
use zeroize::Zeroizing;

/// The store of a member could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalvageError {
    /// The spec has no such member.
    #[error("etcd has no member {0}")]
    UnknownMember(MemberName),
    /// It runs, and its store changes while it is read.
    #[error("etcd member {0} runs: stop it first, or take a snapshot of it, which has a checksum")]
    Runs(MemberName),
    /// There is no store.
    #[error("etcd member {member} has no {}; take another member", .path.display())]
    NoStore {
        /// The member.
        member: MemberName,
        /// Where it would be.
        path: PathBuf,
    },
    /// systemd does not answer.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reads `member/snap/db` of a member that is stopped. It has no checksum, and lacks what is in the write-ahead log alone:
/// prefer a snapshot ([`snapshot`](crate::snapshot)) of any age that is good enough, and say so to whoever asked.
///
/// # Errors
///
/// The member runs, or has no store.
pub async fn salvage(
    spec: &ClusterSpec,
    member: &MemberName,
    host: &dyn Host,
) -> Result<Zeroizing<Vec<u8>>, SalvageError> {
    let own = spec.member(member);
    let own = own.ok_or_else(|| SalvageError::UnknownMember(member.clone()))?;
    let unit = render::unit_name();
    let mut units = systemd::states(host, slice::from_ref(&unit)).await?;
    if units.remove(&unit).unwrap_or_default().is_up() {
        return Err(SalvageError::Runs(member.clone()));
    }
    let path = own.data_dir.join("member/snap/db");
    let store = host.read_file(&path).await?.map(Zeroizing::new);
    store.ok_or_else(|| SalvageError::NoStore {
        member: member.clone(),
        path,
    })
}
