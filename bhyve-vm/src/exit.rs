//! Why bhyve ended, and what a supervisor does about it: two pure tables.

use crate::RestartPolicy;
use host_exec::Status;
use std::{fmt, time::Duration};

/// All that is known about the end of one run of bhyve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending<'a> {
    /// How the process ended; [`Status::Exited`] with 128 + signal is taken for the signal, as shells tell it.
    pub status: Status,
    /// How long it ran.
    pub ran_for: Duration,
    /// Whether the node `/dev/vmm/NAME` was seen during the run.
    pub node_existed: bool,
    /// What we asked for, if anything, before it ended.
    pub asked: Option<Asked>,
    /// What this run wrote to standard error.
    pub stderr: &'a str,
}

/// What we may have done to a running VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `SIGTERM`: the ACPI power button.
    PowerButton,
    /// `bhyvectl --force-poweroff`.
    ForcePowerOff,
    /// `SIGKILL`.
    Kill,
    /// `bhyvectl --destroy`.
    Destroy,
}

/// Why bhyve ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitCause {
    /// The guest rebooted.
    GuestReboot,
    /// The guest switched itself off, after our power button or by itself.
    GuestPowerOff,
    /// The guest halted its processors for good.
    GuestHalt,
    /// We ended it: forced power-off, kill or destroy.
    EndedByUs(Asked),
    /// `SIGTERM` came before the guest listened to ACPI, and ended bhyve like any program.
    EndedWhileBooting,
    /// The guest's processor gave up; the guest is broken, or what it runs on.
    TripleFault,
    /// The arguments or the file are wrong: the same again would fail again.
    BadConfiguration(Evidence),
    /// bhyve could not start or go on: something is missing or in use on the host.
    HostFault(Evidence),
    /// bhyve aborted by itself: an assertion, or an exit of the guest that it cannot handle.
    Aborted(Evidence),
    /// Somebody else killed it; most often the host was out of memory (`dmesg`: "was killed: failed to reclaim memory").
    Killed,
    /// A status or signal that bhyve(8) does not know, or reason unknown to bhyve itself (100).
    Unexpected(Status),
}

/// The line of standard error that says most; empty if there was none.
pub type Evidence = String;

/// What a supervisor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Run bhyve again after this pause. The node may stay: with a boot ROM bhyve takes it over.
    StartAgain {
        /// In seconds.
        after_s: u32,
    },
    /// Destroy the node and be done: the VM is stopped.
    Stop,
    /// Destroy the node, keep console and standard error, and report: the VM has failed.
    GiveUp,
}

/// A run that was shorter has not come out of starting up. bhyve opens all it needs within the first second.
pub const START_UP: Duration = Duration::from_secs(3);

/// Why bhyve ended (exit statuses: bhyve(8), EXIT STATUS, and its sources).
///
/// Status 1 means "powered off", but also a usage error and some faults at start; it is believed only of a VM
/// that came into being and outlived [`START_UP`], with no complaint of bhyve's own.
pub fn exit_cause(ending: &Ending<'_>) -> ExitCause {
    const SIGABRT: i32 = 6;
    const SIGKILL: i32 = 9;
    const SIGTERM: i32 = 15;
    let evidence = || evidence(ending.stderr);
    let status = match ending.status {
        Status::Exited(code @ 129..=192) => Status::Signalled(code - 128),
        status => status,
    };
    match (status, ending.asked) {
        (Status::Exited(0), _) => ExitCause::GuestReboot,
        (Status::Exited(1), _) if is_usage(ending.stderr) => {
            ExitCause::BadConfiguration(evidence())
        }
        (Status::Exited(1), Some(asked @ Asked::ForcePowerOff)) => ExitCause::EndedByUs(asked),
        (Status::Exited(1), _) if is_believable(ending) => ExitCause::GuestPowerOff,
        (Status::Exited(1), _) => ExitCause::HostFault(evidence()),
        (Status::Exited(2), _) => ExitCause::GuestHalt,
        (Status::Exited(3), _) => ExitCause::TripleFault,
        (Status::Exited(4), Some(asked @ Asked::Destroy)) => ExitCause::EndedByUs(asked),
        (Status::Exited(4), _) => ExitCause::HostFault(evidence()),
        // EX_USAGE and EX_OSERR of sysexits(3).
        (Status::Exited(64), _) => ExitCause::BadConfiguration(evidence()),
        (Status::Exited(71), _) => ExitCause::HostFault(evidence()),
        (Status::Signalled(SIGABRT), _) => ExitCause::Aborted(evidence()),
        (Status::Signalled(SIGKILL), Some(asked @ Asked::Kill)) => ExitCause::EndedByUs(asked),
        (Status::Signalled(SIGKILL), _) => ExitCause::Killed,
        (Status::Signalled(SIGTERM), _) => ExitCause::EndedWhileBooting,
        (status, _) => ExitCause::Unexpected(status),
    }
}

/// What to do after `cause`, when the VM was started again `restarts` times within the time of `policy`.
pub fn reaction(cause: &ExitCause, policy: &RestartPolicy, restarts: u32) -> Reaction {
    let spent = restarts >= policy.restarts;
    match cause {
        ExitCause::GuestPowerOff | ExitCause::GuestHalt => Reaction::Stop,
        ExitCause::EndedByUs(_) | ExitCause::EndedWhileBooting => Reaction::Stop,
        // Nothing changes these but a person.
        ExitCause::BadConfiguration(_) | ExitCause::HostFault(_) | ExitCause::Unexpected(_) => {
            Reaction::GiveUp
        }
        _ if spent => Reaction::GiveUp,
        ExitCause::GuestReboot => Reaction::StartAgain { after_s: 0 },
        ExitCause::TripleFault | ExitCause::Aborted(_) | ExitCause::Killed => {
            Reaction::StartAgain {
                after_s: policy.pause_s.saturating_mul(1 << restarts.min(16)),
            }
        }
    }
}

fn is_believable(ending: &Ending<'_>) -> bool {
    let complained = ending
        .stderr
        .lines()
        .any(|line| line.starts_with("bhyve: "));
    ending.node_existed && ending.ran_for >= START_UP && !complained
}

fn is_usage(stderr: &str) -> bool {
    stderr
        .lines()
        .any(|line| line.to_ascii_lowercase().starts_with("usage: "))
}

/// The last line that bhyve wrote under its name, or else the last line.
fn evidence(stderr: &str) -> Evidence {
    let lines = || stderr.lines().filter(|line| !line.trim().is_empty());
    let own = lines().rfind(|line| line.starts_with("bhyve: "));
    own.or_else(|| lines().next_back())
        .unwrap_or_default()
        .to_owned()
}

fn said(line: &str) -> &str {
    if line.is_empty() {
        "it said nothing"
    } else {
        line
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuestReboot => f.write_str("the guest rebooted"),
            Self::GuestPowerOff => f.write_str("the guest powered off"),
            Self::GuestHalt => f.write_str("the guest halted"),
            Self::EndedByUs(Asked::PowerButton) => f.write_str("ended by our power button"),
            Self::EndedByUs(Asked::ForcePowerOff) => f.write_str("powered off by force, by us"),
            Self::EndedByUs(Asked::Kill) => f.write_str("killed by us"),
            Self::EndedByUs(Asked::Destroy) => f.write_str("destroyed by us"),
            Self::EndedWhileBooting => {
                f.write_str("ended before the guest listened to the power button")
            }
            Self::TripleFault => f.write_str("triple fault: the guest's processor gave up"),
            Self::BadConfiguration(line) => write!(f, "wrong configuration: {}", said(line)),
            Self::HostFault(line) => write!(f, "bhyve could not run: {}", said(line)),
            Self::Aborted(line) => write!(f, "bhyve aborted: {}", said(line)),
            Self::Killed => f.write_str("killed from outside; see dmesg for a lack of memory"),
            Self::Unexpected(status) => write!(f, "unexpected {status}"),
        }
    }
}
