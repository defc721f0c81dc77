//! A plan as data.

use crate::MemberName;
use serde::Serialize;
use std::{fmt, path::PathBuf};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Step {
    /// Write these files of a member.
    WriteFiles {
        /// The member.
        member: MemberName,
        /// The files, in this order.
        paths: Vec<PathBuf>,
    },
    /// Have its systemd read the unit again.
    ReloadUnits {
        /// The member.
        member: MemberName,
    },
    /// Start its service, and wait for its peer port before the next start.
    Start {
        /// The member.
        member: MemberName,
        /// Ask the running members before, whether they know it as joined: its data directory is empty
        /// and others have a log, and nobody could say so while the plan was made.
        confirm_new: bool,
    },
    /// Have its service started at boot.
    Enable {
        /// The member.
        member: MemberName,
    },
    /// Wait until these take reads and writes.
    WaitReady {
        /// The members.
        members: Vec<MemberName>,
    },
    /// Wait until these have taken reads and writes for some seconds without a break. One that ends again and again is
    /// ready between two ends, and restarting another one then would cost the majority.
    WaitSteady {
        /// The members.
        members: Vec<MemberName>,
    },
    /// Stop its service, write these files and start it again: what it runs on reads them only at its start.
    /// They are written while it is stopped, so that a run killed here leaves a difference to be seen.
    ///
    /// One of several that leads at that moment hands over the lead first, to a member that is ready: to one that no later
    /// step restarts if there is one, else to the one whose turn comes last.
    Restart {
        /// The member.
        member: MemberName,
        /// The files because of which it is restarted, and any other that differs.
        paths: Vec<PathBuf>,
    },
}

/// What has to be done, in four phases. Empty when nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// Files and units; all members at the same time.
    pub prepare: Vec<Step>,
    /// Starts, and restarts of members that never were in a majority; one after the other, gated.
    pub start: Vec<Step>,
    /// Enable, and wait for the members; at the same time.
    pub settle: Vec<Step>,
    /// Restarts, one at a time, each after all others are ready.
    pub roll: Vec<Step>,
}

impl Plan {
    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps().next().is_none()
    }

    /// Whether nothing is changed by it: all that is left is to wait for members that did not answer for a moment. So it is
    /// with an empty one.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        self.steps()
            .all(|step| matches!(step, Step::WaitReady { .. } | Step::WaitSteady { .. }))
    }

    /// All steps, in the order of their phases.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.prepare
            .iter()
            .chain(&self.start)
            .chain(&self.settle)
            .chain(&self.roll)
    }
}

impl Step {
    /// The member concerned; `None` for a wait for several.
    #[must_use]
    pub fn member(&self) -> Option<&MemberName> {
        match self {
            Self::WriteFiles { member, .. }
            | Self::ReloadUnits { member }
            | Self::Start { member, .. }
            | Self::Enable { member }
            | Self::Restart { member, .. } => Some(member),
            Self::WaitReady { .. } | Self::WaitSteady { .. } => None,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |paths: &[PathBuf]| {
            let paths = paths.iter().map(|path| path.display().to_string());
            paths.collect::<Vec<_>>().join(" ")
        };
        let names = |members: &[MemberName]| {
            let names: Vec<&str> = members.iter().map(MemberName::as_str).collect();
            names.join(" ")
        };
        match self {
            Self::WriteFiles { member, paths } => write!(f, "{member}: write {}", list(paths)),
            Self::ReloadUnits { member } => write!(f, "{member}: reload systemd"),
            Self::Start {
                member,
                confirm_new: false,
            } => write!(f, "{member}: start etcd"),
            Self::Start {
                member,
                confirm_new: true,
            } => {
                write!(f, "{member}: start etcd, if the others never saw it join")
            }
            Self::Enable { member } => write!(f, "{member}: start etcd at boot"),
            Self::WaitReady { members } => write!(f, "wait until ready: {}", names(members)),
            Self::WaitSteady { members } => {
                write!(
                    f,
                    "wait until ready for 3 s without a break: {}",
                    names(members)
                )
            }
            Self::Restart { member, paths } => {
                write!(f, "{member}: restart etcd with {}", list(paths))
            }
        }
    }
}
