//! A cluster made anew from a snapshot: another cluster, with a token of its own, on the same machines.
//!
//! Every member is made from the same file (etcd.io, "Disaster recovery"). The old data is not removed: in the data
//! directory, `member` becomes `member.before-TOKEN`, all within one file system. How far a member has come is seen in
//! that directory, so that a run that was killed is finished by the next:
//!
//! | `restore-TOKEN` | `restore-TOKEN/member` | the member is |
//! |---|---|---|
//! | no | | untouched |
//! | yes | yes | staged: made, and not yet in its place |
//! | yes | no | swapped: what `member` holds was made from the snapshot |
//!
//! The empty `restore-TOKEN` stays, as the receipt that this token has been used. etcd warns of it at each start and goes
//! on ("found invalid file under data directory").
//!
//! What uses etcd must be stopped by the caller before, and started after: an API server that remembers revisions from
//! the time before would show what is not there. `--bump-revision` with `--mark-compacted` makes every client that was
//! not stopped list everything again, which Kubernetes needs.

mod apply;
mod observe;
mod plan;
mod salvage;
mod verify;

pub use apply::{RESTORE_STEP, RestoreError, apply};
pub use observe::{Found, ObserveRestoreError, Observed, Stage, observe};
pub use plan::{RestorePlan, RestoreRefused, RestoreStep, plan};
pub use salvage::{SalvageError, salvage};
pub use verify::{VerifyError, verify};

use crate::{ClusterToken, MemberSpec, SnapshotStatus};
use std::path::PathBuf;

/// By how much revisions grow where Kubernetes is restored: the number of its documentation ("Restoring an etcd
/// cluster"), more than any cluster writes between a snapshot and its loss.
pub const KUBERNETES_BUMP: u64 = 1_000_000_000;

/// What is restored, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreOptions {
    /// What a trial ([`try_restore`](crate::try_restore)) said of the snapshot.
    pub snapshot: SnapshotStatus,
    /// By how much the revision grows, with everything before marked as compacted; `None` leaves revisions as they are.
    pub bump_revision: Option<u64>,
    /// Whether the snapshot is a copy of `member/snap/db`, which has no checksum, and may lack the last writes.
    pub without_checksum: bool,
}

/// The paths of one member in a restore with the token of its new cluster.
pub(crate) struct Places {
    /// Where its data is.
    pub(crate) live: PathBuf,
    /// Where its data of before goes.
    pub(crate) before: PathBuf,
    /// Where its new data is made.
    pub(crate) staging: PathBuf,
    /// The same before it is complete.
    pub(crate) unfinished: PathBuf,
    /// The snapshot.
    pub(crate) snapshot: PathBuf,
}

impl Places {
    pub(crate) fn of(member: &MemberSpec, token: &ClusterToken) -> Self {
        let below = |name: String| member.data_dir.join(name);
        Self {
            live: below("member".into()),
            before: below(format!("member.before-{token}")),
            staging: below(format!("restore-{token}")),
            unfinished: below(format!("restore-{token}.part")),
            snapshot: below(format!("restore-{token}.db")),
        }
    }
}
