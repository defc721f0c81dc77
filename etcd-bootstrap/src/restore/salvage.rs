//! The store of a member that does not run: what is left when nobody took a snapshot.

use crate::{
    ClusterSpec, MemberName, StoredSnapshot, StoredSnapshotError, render,
    snapshot::{blocking, bring, name_part},
};
use host_exec::{Command, DownloadError, Host, RunError, systemd};
use std::{
    path::{Path, PathBuf},
    slice,
};

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
    /// A command failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] DownloadError),
    /// It could not be stored here.
    #[error(transparent)]
    Store(#[from] StoredSnapshotError),
}

/// Brings `member/snap/db` of a member that is stopped into the file `to` of this machine, with mode 0600. It has no checksum, and lacks what is in the write-ahead log alone:
/// prefer a snapshot ([`snapshot`](crate::snapshot)) of any age that is good enough, and say so to whoever asked.
///
/// # Errors
///
/// The member runs, or has no store.
pub async fn salvage(
    spec: &ClusterSpec,
    member: &MemberName,
    host: &dyn Host,
    to: &Path,
) -> Result<StoredSnapshot, SalvageError> {
    let own = spec.member(member);
    let own = own.ok_or_else(|| SalvageError::UnknownMember(member.clone()))?;
    let unit = render::unit_name();
    let mut units = systemd::states(host, slice::from_ref(&unit)).await?;
    if units.remove(&unit).unwrap_or_default().is_up() {
        return Err(SalvageError::Runs(member.clone()));
    }
    let path = own.data_dir.join("member/snap/db");
    let bytes = size(host, &path).await?;
    if !bring(host, &path, to, bytes).await? {
        return Err(SalvageError::NoStore {
            member: member.clone(),
            path,
        });
    }
    let to = to.to_owned();
    let stored = blocking(move || {
        name_part(&to)?;
        StoredSnapshot::copy_of_store(&to)
    });
    Ok(stored.await?)
}

/// `wc -c FILE`: `16384 /var/lib/etcd/member/snap/db`. 0 for what is not there, which shows later.
async fn size(host: &dyn Host, path: &Path) -> Result<u64, RunError> {
    let count = Command::new("wc").args(["-c", "--"]);
    let output = host.output(&count.arg(path.to_string_lossy())).await?;
    let text = output.stdout_text();
    let number = text.split_whitespace().next();
    Ok(number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default())
}
