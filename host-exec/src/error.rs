//! The errors of [`Host`](crate::Host): one type per operation.

use crate::{HostName, Status};
use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

/// A command that could not be run, or that failed where it had to succeed.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {command}: {kind}")]
#[non_exhaustive]
pub struct RunError {
    /// Where it was to run.
    pub host: HostName,
    /// The command line, quoted for reading.
    pub command: String,
    /// What went wrong.
    pub kind: Box<RunErrorKind>,
}

/// What went wrong with a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// The program is not there.
    #[error("program not found")]
    NotFound,
    /// It could not be started, or its pipes broke.
    #[error("cannot run: {0}")]
    Io(io::Error),
    /// It ran longer than allowed and was killed.
    #[error("still running after {} s, killed; last output: {stderr_tail}", .after.as_secs())]
    TimedOut {
        /// The time it was given.
        after: Duration,
        /// The end of what it said until then.
        stderr_tail: String,
    },
    /// It ended with a status other than 0.
    #[error("{status}: {}", said(.stdout_tail, .stderr_tail))]
    Failed {
        /// How it ended.
        status: Status,
        /// The end of its standard output.
        stdout_tail: String,
        /// The end of its standard error.
        stderr_tail: String,
    },
    /// The host itself could not be reached (SSH down, machine not running).
    #[error("host unreachable: {0}")]
    Unreachable(String),
}

fn said<'a>(stdout: &'a str, stderr: &'a str) -> &'a str {
    match (stderr.is_empty(), stdout.is_empty()) {
        (false, _) => stderr,
        (true, false) => stdout,
        (true, true) => "it said nothing",
    }
}

/// A file that could not be read, written, examined or removed.
#[derive(Debug, thiserror::Error)]
#[error("{host}: cannot {operation} {}", .path.display())]
#[non_exhaustive]
pub struct FileError {
    /// The host that has the file.
    pub host: HostName,
    /// `read`, `write`, `examine` or `remove`.
    pub operation: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub kind: Box<FileErrorKind>,
}

/// The cause of a [`FileError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The remote command that does it failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A connection that could not be opened from a host.
#[derive(Debug, thiserror::Error)]
#[error("{host}: cannot connect to {address}")]
#[non_exhaustive]
pub struct DialError {
    /// The host from which it was tried.
    pub host: HostName,
    /// The other end.
    pub address: SocketAddr,
    /// The cause; `ErrorKind::TimedOut` when nothing answered in time.
    #[source]
    pub source: io::Error,
}
