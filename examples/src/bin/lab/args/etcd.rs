//! `lab etcd ...`.

use artifacts::Version;
use clap::Subcommand;
use cluster_lab::KeptName;
use std::path::PathBuf;

/// What is done with etcd.
#[derive(Debug, Subcommand)]
pub(crate) enum EtcdVerb {
    /// Say how each member stands: leader, term, index, sizes, alarms.
    Status,
    /// Take out a member whose data is lost, and have it come anew with nothing; its old data is renamed, not deleted.
    Replace {
        /// The member, such as `etcd-1`.
        member: String,
    },
    /// Have another member lead.
    MoveLeader {
        /// The member that is to lead, such as `etcd-1`; left out, any healthy one.
        to: Option<String>,
    },
    /// Have more or fewer members; `--dry-run` shows the quorum before and after each step.
    Member {
        #[command(subcommand)]
        verb: MemberVerb,
    },
    /// Take a snapshot: all that Kubernetes knows, its Secrets too, in one file.
    Snapshot {
        /// Where it goes; below the lab's directory unless given. What it is goes beside it, as FILE.json.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Restore it into a directory that is thrown away, as a proof that it can be.
        #[arg(long)]
        trial: bool,
        /// Take none, and fetch one that a member has taken by its timer, such as `etcd-1:2`.
        #[arg(long, value_name = "MEMBER:NUMBER", conflicts_with = "trial")]
        kept: Option<KeptName>,
    },
    /// List the snapshots that members have taken by their timers; 1 is the newest of each.
    Snapshots,
    /// Make etcd anew from a snapshot, with the API servers stopped meanwhile; without one, go on with a restore that began.
    Restore {
        /// The snapshot.
        #[arg(value_name = "FILE", conflicts_with_all = ["from_member", "kept"])]
        file: Option<PathBuf>,
        /// Take what this member has, where the others have lost their data. Its last writes may be lost.
        #[arg(long, value_name = "MEMBER", conflicts_with = "kept")]
        from_member: Option<String>,
        /// Take one that a member has taken by its timer, such as `etcd-1:2`.
        #[arg(long, value_name = "MEMBER:NUMBER")]
        kept: Option<KeptName>,
    },
    /// Give free pages of the stores back to the disks: one member at a time, the leader last.
    Defrag {
        /// Also where there is little to win.
        #[arg(long)]
        force: bool,
    },
    /// Get out of the alarm NOSPACE: compact, defragment, and take it back if there is room then.
    FreeSpace,
    /// Go to another version of etcd, one member at a time; or back, while a member still runs the old one.
    Upgrade {
        /// The version, such as 3.7.3.
        #[arg(long, value_name = "VERSION")]
        to: Version,
    },
    /// Go back to the minor before, from 3.6 on: etcd rewrites its stores, then one member at a time.
    Downgrade {
        /// The version, such as 3.6.16.
        #[arg(long, value_name = "VERSION", required_unless_present = "cancel")]
        to: Option<Version>,
        /// Take back a downgrade that has begun; members that went back come up again.
        #[arg(long, conflicts_with = "to")]
        cancel: bool,
    },
}

/// What is done with the number of members.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum MemberVerb {
    /// Two more, each on a machine of its own, as `lab up --etcd N` does: 1 to 3, 3 to 5.
    Add,
    /// Two fewer; the last ones leave, and their machines are removed.
    Remove,
}
