//! The errors of [`Host`](crate::Host): one type per operation.

use crate::{HostName, Status, escape};
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

impl RunError {
    /// The same with `name` for a constant script, which helps nobody who reads the error.
    pub(crate) fn naming_script(mut self, script: &str, name: &str) -> Self {
        self.command = self.command.replace(&*escape::quote(script), name);
        self
    }
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
    /// SSH reached the host and will not or may not log in. Waiting does not help.
    #[error("cannot log in: {0}")]
    Refused(LoginRefusal),
}

/// Why an SSH login was refused, by us or by the host, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// Nobody has looked at the host's key yet.
    #[error(
        "the host key of {address} is not known; it shows {shown}; compare that with the fingerprint that \
         'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' gives on the machine itself (another kind of key is in the \
         file of its name), then log in once by hand and accept it: {by_hand}"
    )]
    UnknownHostKey {
        /// The address or name under which known hosts would have it.
        address: String,
        /// Kind and fingerprint of the key that the host showed.
        shown: String,
        /// The command that asks a person about the key.
        by_hand: String,
    },
    /// The host's key is not in the only file of known hosts that counts.
    #[error(
        "{address} shows the host key {shown}, which is not in {}, the only file asked; either another machine answers \
         at this address or the file is of another time", .file.display()
    )]
    ForeignHostKey {
        /// The address or name that the file was asked for.
        address: String,
        /// Kind and fingerprint of the key that the host showed.
        shown: String,
        /// The file.
        file: PathBuf,
    },
    /// The host showed another key than the one that is known.
    #[error(
        "the host key of {address} has CHANGED: it shows {shown}, but {at} holds another; if the machine was installed \
         anew, compare the fingerprint on the machine itself and remove that line; if not, somebody else answers"
    )]
    ChangedHostKey {
        /// The address or name under which known hosts have it.
        address: String,
        /// Kind and fingerprint of the key that the host showed.
        shown: String,
        /// `FILE:LINE` of the key that was known.
        at: String,
    },
    /// The host does not let the user in.
    #[error(
        "{address} does not let {user} in ({methods}); load the key with ssh-add or name it, put its public half into \
         ~{user}/.ssh/authorized_keys there, and for root see PermitRootLogin in /etc/ssh/sshd_config there (FreeBSD \
         says no unless told otherwise)"
    )]
    PermissionDenied {
        /// The user who was to log in.
        user: String,
        /// The host's address or name.
        address: String,
        /// The ways to log in that the host offers, such as `publickey`.
        methods: String,
    },
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
