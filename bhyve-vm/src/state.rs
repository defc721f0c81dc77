//! The life of a VM: its states, and which may follow which.
//!
//! The truth is on the host and changes behind our back, so a state is something observed, not a type parameter.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a VM stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VmState {
    /// Nothing of it is on the host.
    Absent,
    /// Its specification is on the host, its disks are not.
    Defined,
    /// Its disks, seed and interfaces are being made.
    Provisioning,
    /// All is there; no node `/dev/vmm/NAME`, no process.
    Stopped,
    /// bhyve was asked to run and has not shown a sign of the guest.
    Starting,
    /// The guest runs.
    Running,
    /// It was asked to stop and has not ended.
    Stopping,
    /// bhyve ended because the guest rebooted, and is about to be run again.
    Rebooting,
    /// bhyve ended in a way that the guest did not ask for. Its node may still hold its memory.
    Crashed,
    /// A step of ours failed; nothing goes on by itself.
    Failed,
    /// Its parts are being removed.
    Deleting,
    /// The host does not answer, so nothing is known.
    Unknown,
}

/// What may be asked of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Make disks, seed and interfaces, or finish making them.
    Provision,
    /// Run it.
    Start,
    /// Have it stopped, by force in the end.
    Stop,
    /// Have the guest reboot.
    Reboot,
    /// Remove all of it.
    Destroy,
}

/// What is seen or done, by which a state becomes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateEvent {
    /// Its specification was written to the host.
    SpecWritten,
    /// Work on its disks, seed and interfaces began.
    ProvisionBegun,
    /// All of that is there.
    Provisioned,
    /// A supervisor was started.
    StartBegun,
    /// The guest gave a sign.
    GuestSeen,
    /// A stop was requested.
    StopBegun,
    /// bhyve ended, and is run again: after a reboot, asked for or not.
    RebootSeen,
    /// bhyve ended as it was meant to; the VM is stopped.
    Ended,
    /// bhyve ended in another way.
    CrashSeen,
    /// A step failed, or the restart budget is spent.
    GaveUp,
    /// Removing began.
    DestroyBegun,
    /// Nothing is left.
    Removed,
    /// The host does not answer.
    HostLost,
}

/// An event that cannot happen in a state: somebody else has a hand in it, or the state was read wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to a VM that is {state}; ask the host again")]
pub struct IllegalEvent {
    /// How it stood.
    pub state: VmState,
    /// What was seen.
    pub event: StateEvent,
}

/// A request that a VM cannot follow as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {request} a VM that is {state}; possible now: {}", names(.possible))]
pub struct IllegalRequest {
    /// How it stands.
    pub state: VmState,
    /// What was asked.
    pub request: Request,
    /// What could be asked instead.
    pub possible: Vec<Request>,
}

impl VmState {
    /// All states.
    pub const ALL: [Self; 12] = [
        Self::Absent,
        Self::Defined,
        Self::Provisioning,
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Rebooting,
        Self::Crashed,
        Self::Failed,
        Self::Deleting,
        Self::Unknown,
    ];

    /// The states that may come next. Any may become [`VmState::Unknown`], and that may turn out to be any.
    pub fn next(self) -> &'static [Self] {
        use VmState::*;
        match self {
            Absent => &[Defined, Unknown],
            Defined => &[Provisioning, Deleting, Unknown],
            Provisioning => &[Stopped, Failed, Deleting, Unknown],
            Stopped => &[Starting, Provisioning, Deleting, Unknown],
            Starting => &[
                Running, Stopping, Rebooting, Stopped, Crashed, Failed, Unknown,
            ],
            Running => &[Stopping, Rebooting, Stopped, Crashed, Failed, Unknown],
            Stopping => &[Stopped, Failed, Unknown],
            Rebooting => &[Starting, Stopping, Stopped, Crashed, Failed, Unknown],
            // A crash is followed by a start or, once the restart budget is spent, by a failure.
            Crashed => &[Starting, Stopped, Failed, Deleting, Unknown],
            Failed => &[Provisioning, Starting, Stopped, Deleting, Unknown],
            Deleting => &[Absent, Failed, Unknown],
            Unknown => &Self::ALL,
        }
    }

    /// The state after an event. A VM of which nothing is known ([`VmState::Unknown`]) has to be observed instead.
    ///
    /// # Errors
    ///
    /// The event cannot happen in this state.
    pub fn after(self, event: StateEvent) -> Result<Self, IllegalEvent> {
        use StateEvent::*;
        let to = match (self, event) {
            (Self::Unknown, _) => return Err(IllegalEvent { state: self, event }),
            (_, HostLost) => Self::Unknown,
            (Self::Absent, SpecWritten) => Self::Defined,
            (Self::Defined | Self::Stopped | Self::Failed, ProvisionBegun) => Self::Provisioning,
            (Self::Provisioning, Provisioned) => Self::Stopped,
            (Self::Stopped | Self::Rebooting | Self::Crashed | Self::Failed, StartBegun) => {
                Self::Starting
            }
            (Self::Starting, GuestSeen) => Self::Running,
            (Self::Starting | Self::Running | Self::Rebooting, StopBegun) => Self::Stopping,
            (Self::Starting | Self::Running, RebootSeen) => Self::Rebooting,
            (
                Self::Starting
                | Self::Running
                | Self::Stopping
                | Self::Rebooting
                | Self::Crashed
                | Self::Failed,
                Ended,
            ) => Self::Stopped,
            (Self::Starting | Self::Running | Self::Rebooting, CrashSeen) => Self::Crashed,
            (
                Self::Provisioning
                | Self::Starting
                | Self::Running
                | Self::Stopping
                | Self::Rebooting
                | Self::Crashed
                | Self::Deleting,
                GaveUp,
            ) => Self::Failed,
            (
                Self::Defined | Self::Provisioning | Self::Stopped | Self::Crashed | Self::Failed,
                DestroyBegun,
            ) => Self::Deleting,
            (Self::Deleting, Removed) => Self::Absent,
            _ => return Err(IllegalEvent { state: self, event }),
        };
        Ok(to)
    }

    /// What may be asked in this state.
    pub fn requests(self) -> &'static [Request] {
        use Request::*;
        match self {
            Self::Absent | Self::Defined => &[Provision, Destroy],
            Self::Provisioning => &[Provision, Destroy],
            Self::Stopped => &[Provision, Start, Destroy],
            Self::Starting | Self::Rebooting => &[Stop, Destroy],
            Self::Running => &[Stop, Reboot, Destroy],
            Self::Stopping | Self::Deleting => &[Destroy],
            Self::Crashed | Self::Failed => &[Provision, Start, Stop, Destroy],
            Self::Unknown => &[],
        }
    }

    /// Checks a request.
    ///
    /// # Errors
    ///
    /// The VM cannot follow it now; the error lists what it can.
    pub fn allow(self, request: Request) -> Result<(), IllegalRequest> {
        if self.requests().contains(&request) {
            return Ok(());
        }
        Err(IllegalRequest {
            state: self,
            request,
            possible: self.requests().to_vec(),
        })
    }
}

impl StateEvent {
    /// All events.
    pub const ALL: [Self; 13] = [
        Self::SpecWritten,
        Self::ProvisionBegun,
        Self::Provisioned,
        Self::StartBegun,
        Self::GuestSeen,
        Self::StopBegun,
        Self::RebootSeen,
        Self::Ended,
        Self::CrashSeen,
        Self::GaveUp,
        Self::DestroyBegun,
        Self::Removed,
        Self::HostLost,
    ];
}

impl fmt::Display for StateEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SpecWritten => "spec-written",
            Self::ProvisionBegun => "provision-begun",
            Self::Provisioned => "provisioned",
            Self::StartBegun => "start-begun",
            Self::GuestSeen => "guest-seen",
            Self::StopBegun => "stop-begun",
            Self::RebootSeen => "reboot-seen",
            Self::Ended => "ended",
            Self::CrashSeen => "crash-seen",
            Self::GaveUp => "gave-up",
            Self::DestroyBegun => "destroy-begun",
            Self::Removed => "removed",
            Self::HostLost => "host-lost",
        })
    }
}

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Defined => "defined",
            Self::Provisioning => "provisioning",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Rebooting => "rebooting",
            Self::Crashed => "crashed",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provision => "provision",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reboot => "reboot",
            Self::Destroy => "destroy",
        })
    }
}

fn names(requests: &[Request]) -> String {
    if requests.is_empty() {
        return "nothing, until the host answers".to_owned();
    }
    let names: Vec<String> = requests.iter().map(ToString::to_string).collect();
    names.join(", ")
}
