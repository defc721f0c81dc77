//! A kept snapshot, brought here and checked.

use super::observe::kept;
use crate::{ClusterSpec, Damage, MemberName, check_whole};
use host_exec::{FileError, Host, RunError};
use zeroize::Zeroizing;

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
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
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

/// Reads snapshot `number` of `member` (1 is the newest), and checks that it is whole to the last bit. The bytes hold every
/// Secret of a cluster.
///
/// A snapshot that is taken meanwhile gives all numbers to other ones: look again if it matters which one came.
///
/// # Errors
///
/// There is no such snapshot, it cannot be read, or it was cut or changed at any place.
pub async fn fetch(
    spec: &ClusterSpec,
    member: &MemberName,
    number: u8,
    host: &dyn Host,
) -> Result<Zeroizing<Vec<u8>>, FetchError> {
    let schedule = spec.schedule().ok_or(FetchError::NoSchedule)?;
    let Some(bytes) = host.read_file(&schedule.path(number)).await? else {
        let there = kept(schedule, host).await?;
        let there: Vec<_> = there.iter().map(|kept| kept.number.to_string()).collect();
        return Err(FetchError::Missing {
            member: member.clone(),
            number,
            there: match there.is_empty() {
                true => "none yet".to_owned(),
                false => there.join(", "),
            },
        });
    };
    let bytes = Zeroizing::new(bytes);
    check_whole(&bytes).map_err(|source| FetchError::Damaged {
        member: member.clone(),
        number,
        source,
    })?;
    Ok(bytes)
}
