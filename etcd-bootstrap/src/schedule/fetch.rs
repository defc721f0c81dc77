//! A kept snapshot, brought here and checked.

use super::observe::kept;
use crate::{
    ClusterSpec, Damage, MemberName, StoredSnapshot, StoredSnapshotError,
    snapshot::{blocking, bring, store_part},
};
use host_exec::{DownloadError, Host, RunError};
use std::path::Path;

/// A kept snapshot could not be had. It stays where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The cluster has no timer, so nobody knows where its snapshots would be.
    #[error("the members of this cluster take no snapshots by a timer")]
    NoSchedule,
    /// There is none of this number.
    #[error("etcd member {member} has no snapshot {number}; it has {there}")]
    Missing {
        /// The member.
        member: MemberName,
        /// The number.
        number: u8,
        /// Those it has, in words.
        there: String,
    },
    /// It could not be brought here.
    #[error(transparent)]
    Fetch(#[from] DownloadError),
    /// It could not be stored here.
    #[error(transparent)]
    Store(#[from] StoredSnapshotError),
    /// The member cannot be asked what it has.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It is not what etcd has sent.
    #[error("snapshot {number} of etcd member {member} is not whole; take another one")]
    Damaged {
        /// The member.
        member: MemberName,
        /// The number.
        number: u8,
        /// What is wrong with it.
        #[source]
        source: Damage,
    },
}

/// Brings snapshot `number` of `member` (1 is the newest) into the file `to` of this machine, with mode 0600, and checks that
/// it is whole to the last bit before it gets that name. No more than a piece of it is in memory; it holds every Secret of a
/// cluster.
///
/// A snapshot that is taken meanwhile gives all numbers to other ones: look again if it matters which one came.
///
/// # Errors
///
/// There is no such snapshot, it cannot be brought here, or it was cut or changed at any place.
pub async fn fetch(
    spec: &ClusterSpec,
    member: &MemberName,
    number: u8,
    host: &dyn Host,
    to: &Path,
) -> Result<StoredSnapshot, FetchError> {
    let schedule = spec.schedule().ok_or(FetchError::NoSchedule)?;
    let there = kept(schedule, host).await?;
    let brought = match there.iter().find(|kept| kept.number == number) {
        Some(kept) => bring(host, &schedule.path(number), to, kept.bytes).await?,
        None => false,
    };
    if !brought {
        let there: Vec<_> = there.iter().map(|kept| kept.number.to_string()).collect();
        return Err(FetchError::Missing {
            member: member.clone(),
            number,
            there: match there.is_empty() {
                true => "none yet".to_owned(),
                false => there.join(", "),
            },
        });
    }
    let to = to.to_owned();
    let stored = blocking(move || store_part(&to)).await;
    stored.map_err(|error| match error {
        StoredSnapshotError::Damaged { source, .. } => FetchError::Damaged {
            member: member.clone(),
            number,
            source,
        },
        other => FetchError::Store(other),
    })
}
