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
    /// The last that the guest wrote to its console in this run, if that was recorded.
    pub console: &'a str,
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

/// What is to become of the VM when this run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is to run, as its restart policy allows.
    Run,
    /// It was asked to stop.
    Stop,
    /// It was asked to reboot: started again however the run ended.
    Again,
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
    /// The guest's kernel panicked, and then rebooted or switched itself off; with its words from the console.
    GuestPanic(Evidence),
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
    /// It ended, and nobody saw how: who waited for it was killed. [`exit_cause`] never says this.
    StatusLost,
}

/// The line of standard error or of the console that says most; empty if there was none.
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
/// that came into being, outlived [`START_UP`] or had its power button pressed, with no complaint of bhyve's own;
/// or if the guest's console said so. A reboot with a panic on the console is no reboot that anybody asked for.
pub fn exit_cause(ending: &Ending<'_>) -> ExitCause {
    let evidence = || evidence(ending.stderr);
    match (plain(ending.status), ending.asked) {
        (Status::Exited(0), _) => panicked(ending).unwrap_or(ExitCause::GuestReboot),
        (Status::Exited(1), asked) => status_1(ending, asked),
        (Status::Exited(2), _) => ExitCause::GuestHalt,
        (Status::Exited(3), _) => panicked(ending).unwrap_or(ExitCause::TripleFault),
        (Status::Exited(4), Some(asked @ Asked::Destroy)) => ExitCause::EndedByUs(asked),
        // EX_OSERR of sysexits(3); 126 and 127 are the shell's, which found no bhyve.
        (Status::Exited(4 | 71 | 126 | 127), _) => ExitCause::HostFault(evidence()),
        // EX_USAGE of sysexits(3).
        (Status::Exited(64), _) => ExitCause::BadConfiguration(evidence()),
        (Status::Signalled(signal), _) if FAULTS.contains(&signal) => {
            ExitCause::Aborted(evidence())
        }
        (Status::Signalled(SIGKILL), Some(asked @ Asked::Kill)) => ExitCause::EndedByUs(asked),
        (Status::Signalled(SIGKILL), _) => ExitCause::Killed,
        (Status::Signalled(SIGTERM), _) => ExitCause::EndedWhileBooting,
        (status, _) => ExitCause::Unexpected(status),
    }
}

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The signals by which a program ends itself on FreeBSD: ILL, ABRT, FPE, BUS, SEGV, SYS (signal(3)).
const FAULTS: [i32; 6] = [4, 6, 8, 10, 11, 12];

/// The status with shells' way to tell a signal taken back.
fn plain(status: Status) -> Status {
    match status {
        Status::Exited(code @ 129..=192) => Status::Signalled(code - 128),
        status => status,
    }
}

fn status_1(ending: &Ending<'_>, asked: Option<Asked>) -> ExitCause {
    if is_usage(ending.stderr) {
        return ExitCause::BadConfiguration(evidence(ending.stderr));
    }
    if let Some(asked @ Asked::ForcePowerOff) = asked {
        return ExitCause::EndedByUs(asked);
    }
    if let Some(panic) = panicked(ending) {
        return panic;
    }
    if is_believable(ending) {
        ExitCause::GuestPowerOff
    } else {
        ExitCause::HostFault(evidence(ending.stderr))
    }
}

/// What to do after `cause`, when the VM was started again `restarts` times within the time of `policy`.
///
/// A restart that was asked for does not count and knows no pause.
pub fn reaction(
    cause: &ExitCause,
    policy: &RestartPolicy,
    restarts: u32,
    wanted: Wanted,
) -> Reaction {
    let at_once = Reaction::StartAgain { after_s: 0 };
    match (cause, wanted) {
        // Nothing changes these but a person.
        (
            ExitCause::BadConfiguration(_) | ExitCause::HostFault(_) | ExitCause::Unexpected(_),
            _,
        ) => Reaction::GiveUp,
        (_, Wanted::Again) => at_once,
        (_, Wanted::Stop) => Reaction::Stop,
        (ExitCause::StatusLost, Wanted::Run) => Reaction::GiveUp,
        (ExitCause::GuestPowerOff | ExitCause::GuestHalt, Wanted::Run) => Reaction::Stop,
        (ExitCause::EndedByUs(_) | ExitCause::EndedWhileBooting, Wanted::Run) => Reaction::Stop,
        _ if restarts >= policy.restarts => Reaction::GiveUp,
        (ExitCause::GuestReboot, Wanted::Run) => at_once,
        (
            ExitCause::TripleFault
            | ExitCause::Aborted(_)
            | ExitCause::Killed
            | ExitCause::GuestPanic(_),
            Wanted::Run,
        ) => Reaction::StartAgain {
            after_s: policy.pause_s.saturating_mul(1 << restarts.min(16)),
        },
    }
}

fn is_believable(ending: &Ending<'_>) -> bool {
    // bhyve tells of old key names and the like under its name, and runs on.
    let complained = ending
        .stderr
        .lines()
        .any(|line| line.starts_with("bhyve: ") && !line.to_ascii_lowercase().contains("warning"));
    let lived = ending.ran_for >= START_UP || ending.asked == Some(Asked::PowerButton);
    ending.console.contains("reboot: Power down") || (ending.node_existed && lived && !complained)
}

/// Linux says this line last before it reboots, hangs or spins (panic(), `kernel.panic`).
fn panicked(ending: &Ending<'_>) -> Option<ExitCause> {
    let line = ending
        .console
        .lines()
        .rfind(|line| line.contains("Kernel panic - not syncing"))?;
    Some(ExitCause::GuestPanic(line.trim().to_owned()))
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

impl ExitCause {
    /// All words of [`ExitCause::word`].
    pub const WORDS: [&'static str; 13] = [
        "guest-rebooted",
        "guest-powered-off",
        "guest-halted",
        "guest-panicked",
        "ended-by-us",
        "ended-while-booting",
        "triple-fault",
        "bad-configuration",
        "host-fault",
        "aborted",
        "killed",
        "unexpected",
        "status-lost",
    ];

    /// The one word that a supervisor's log has for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::GuestReboot => "guest-rebooted",
            Self::GuestPowerOff => "guest-powered-off",
            Self::GuestHalt => "guest-halted",
            Self::GuestPanic(_) => "guest-panicked",
            Self::EndedByUs(_) => "ended-by-us",
            Self::EndedWhileBooting => "ended-while-booting",
            Self::TripleFault => "triple-fault",
            Self::BadConfiguration(_) => "bad-configuration",
            Self::HostFault(_) => "host-fault",
            Self::Aborted(_) => "aborted",
            Self::Killed => "killed",
            Self::Unexpected(_) => "unexpected",
            Self::StatusLost => "status-lost",
        }
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
            Self::GuestPanic(line) => write!(f, "the guest's kernel gave up: {}", said(line)),
            Self::StatusLost => f.write_str("ended unseen: who waited for bhyve was killed"),
            Self::TripleFault => f.write_str("triple fault: the guest's processor gave up"),
            Self::BadConfiguration(line) => write!(f, "wrong configuration: {}", said(line)),
            Self::HostFault(line) => write!(f, "bhyve could not run: {}", said(line)),
            Self::Aborted(line) => write!(f, "bhyve aborted: {}", said(line)),
            Self::Killed => f.write_str("killed from outside; see dmesg for a lack of memory"),
            Self::Unexpected(status) => write!(f, "unexpected {status}"),
        }
    }
}
