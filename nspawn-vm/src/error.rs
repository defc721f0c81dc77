//! The errors of this crate: one type per operation.

use host_exec::{HostName, RunError, poll::WaitError};
use std::{io, path::PathBuf};

/// The host could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// A command that only looks failed.
    #[error("cannot look at the host's namespaces")]
    Run(#[from] RunError),
    /// The answer of a command is not what its manual says.
    #[error("cannot read the output of `{what}`")]
    Parse {
        /// The command.
        what: &'static str,
        /// What the parser says, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A directory could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A step of a plan failed. The next run finds out what is there and goes on from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The plan is of another group.
    #[error("{machine} is in the plan and not in the group; plan and apply the same group")]
    ForeignPlan {
        /// The machine of the plan.
        machine: HostName,
    },
    /// A file or directory could not be made.
    #[error("cannot make {}", .path.display())]
    Make {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The state directory cannot carry the machines.
    #[error(
        "{} is on an overlay file system, which cannot carry machines; choose a --state-dir on a disk (ext4, xfs, btrfs)",
        .path.display()
    )]
    OnOverlay {
        /// The state directory.
        path: PathBuf,
    },
    /// The network could not be built.
    #[error("cannot set up the network")]
    Network(#[source] RunError),
    /// A machine could not be started.
    #[error("{machine}: cannot start the machine; see {}", .console.display())]
    Start {
        /// The machine.
        machine: HostName,
        /// What it said.
        console: PathBuf,
        /// The cause.
        #[source]
        source: RunError,
    },
    /// A machine was started and did not come up.
    #[error("{machine}: systemd does not come up; the end of {}:\n{tail}", .console.display())]
    NotUp {
        /// The machine.
        machine: HostName,
        /// What it said, all boots.
        console: PathBuf,
        /// The last lines of it.
        tail: String,
        /// What was waited for.
        #[source]
        source: Box<WaitError<ObserveError>>,
    },
    /// A half-dead machine could not be ended.
    #[error("cannot end what is left of a machine")]
    Clear(#[from] DestroyError),
}

/// Something of a group could not be removed. All that could be is removed; run it again.
#[derive(Debug, thiserror::Error)]
#[error("could not remove everything: {}", .problems.join("; "))]
pub struct DestroyError {
    /// Each thing that is left, and why.
    pub problems: Vec<String>,
}
