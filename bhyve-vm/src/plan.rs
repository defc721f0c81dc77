//! What is done on the host, as data: each step can be shown, and says exactly what is run.
//!
//! Nothing here does anything; [`fleet::apply`](crate::fleet::apply) does.

use crate::image::Digest;
use crate::{HostPath, VmName, ZfsDataset};
use host_exec::{Command, Contents, File, Mode, Stdin};
use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZeroU32, time::Duration};

/// Where the root disk of a VM comes from and where it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootVolume {
    /// The dataset of the image, whose snapshot `@ready` is cloned.
    pub image: ZfsDataset,
    /// The VM's own volume; a disk of the specification has its [`ZfsDataset::device`].
    pub dataset: ZfsDataset,
    /// Its size, in MiB: at least that of the image. The guest grows into it.
    pub size_mib: NonZeroU32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is for.
    pub what: String,
    /// What is done.
    pub action: Action,
    /// What takes it back, for steps that make something.
    pub undo: Option<Command>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Runs a command that has to succeed.
    Run(Command),
    /// Runs a command that may find nothing left to do.
    Try(Command),
    /// Runs a command again until it succeeds; the plan ends here if the time is over first. For what others let go
    /// of a moment after they ended, such as a file system.
    Insist {
        /// The command.
        command: Command,
        /// For how long.
        limit: Duration,
    },
    /// Runs a command that has to print exactly this line; the plan ends here if it does not.
    Require {
        /// The question.
        command: Command,
        /// The answer.
        line: String,
    },
    /// Waits for a condition; the plan ends here if the time is over first.
    Await {
        /// What is waited for.
        condition: Condition,
        /// For how long.
        limit: Duration,
    },
    /// Waits for a condition and goes on in any case: the next step is the answer to time running out.
    Allow {
        /// What is waited for.
        condition: Condition,
        /// For how long.
        limit: Duration,
    },
    /// Writes a whole file, with its mode from the first byte.
    Write(File),
    /// Sends a local file of the caller's, which is checked there before it gets its name.
    Upload {
        /// Its SHA-256 checksum.
        sha256: Digest,
        /// Its size.
        bytes: u64,
        /// Where to.
        to: HostPath,
        /// Its permission bits.
        mode: Mode,
    },
}

/// Something that becomes true on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A path exists.
    Exists(String),
    /// A path exists no more.
    Gone(String),
    /// No process has the title that bhyve gives itself.
    Ended(VmName),
}

impl Condition {
    /// The question of the host: succeeds, with status 0, if it is so.
    pub fn question(&self) -> Command {
        match self {
            Self::Exists(path) => command(&["test", "-e", path]),
            Self::Gone(path) => command(&["test", "!", "-e", path]),
            // pgrep(1) has no way to succeed without a match, and POSIX no way to say "not" but a shell's.
            Self::Ended(name) => command(&[
                "sh",
                "-c",
                "! pgrep -fx \"$1\" >/dev/null",
                "sh",
                &title(name),
            ]),
        }
    }
}

/// The ZFS user property that marks a dataset as ours, with the name of its VM (zfs(8), "User Properties").
pub const OWNER_PROPERTY: &str = "lab:owner";

pub(crate) fn step(what: impl Into<String>, action: Action) -> Step {
    Step {
        what: what.into(),
        action,
        undo: None,
    }
}

/// A step that runs a command.
pub(crate) fn run(what: impl Into<String>, words: &[&str]) -> Step {
    step(what, Action::Run(command(words)))
}

impl Step {
    /// The same with what takes it back.
    pub(crate) fn undone_by(mut self, words: &[&str]) -> Self {
        self.undo = Some(command(words));
        self
    }
}

pub(crate) fn command(words: &[&str]) -> Command {
    let (program, args) = words.split_first().unwrap_or((&"true", &[]));
    Command::new(*program).args(args.iter().copied())
}

/// The node of a VM (vmm(4)).
pub(crate) fn node(name: &VmName) -> String {
    format!("/dev/vmm/{name}")
}

/// The title that bhyve gives its process (setproctitle(3)).
pub(crate) fn title(name: &VmName) -> String {
    format!("bhyve: {name}")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.action)?;
        match &self.undo {
            Some(undo) => write!(f, " (undo: {undo})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(command) => write!(f, "{command}{}", input(command)),
            Self::Try(command) => write!(f, "{command} (may find nothing)"),
            Self::Insist { command, limit } => {
                write!(
                    f,
                    "{command} (again until it succeeds, or fail after {} s)",
                    limit.as_secs()
                )
            }
            Self::Require { command, line } => write!(f, "{command} (must print {line:?})"),
            Self::Await { condition, limit } => {
                write!(f, "until {condition}, or fail after {} s", limit.as_secs())
            }
            Self::Allow { condition, limit } => {
                write!(f, "until {condition}, or go on after {} s", limit.as_secs())
            }
            Self::Write(file) => write!(f, "{}", written(file)),
            Self::Upload {
                sha256,
                bytes,
                to,
                mode,
            } => write!(f, "{to}, mode {mode}, {bytes} bytes, SHA-256 {sha256}"),
        }
    }
}

fn input(command: &Command) -> String {
    match command.input() {
        Stdin::Bytes(bytes) => format!(" < {} bytes", bytes.len()),
        _ => String::new(),
    }
}

fn written(file: &File) -> String {
    let (path, bytes) = (file.path.display(), file.contents.bytes().len());
    let secret = match file.contents {
        Contents::Public(_) => "",
        Contents::Secret(_) => ", secret",
    };
    format!("{path}, mode {}, {bytes} bytes{secret}", file.mode)
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(f, "{path} exists"),
            Self::Gone(path) => write!(f, "{path} is gone"),
            Self::Ended(name) => write!(f, "no process is titled {:?}", title(name)),
        }
    }
}
