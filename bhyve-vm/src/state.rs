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
