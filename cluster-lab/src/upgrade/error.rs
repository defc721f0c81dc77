//! Why an upgrade cannot be, or did not come to its end.

use crate::{
    BlueprintError, DraftError, GuestError, ImportError, LabPlanError, ObserveError, RenewError,
    RotatingError, StateError, UpError, blueprint::PROGRAMS_DIR,
};
use artifacts::Version;
use host_exec::{FileError, HostName, RunError};
use k8s_bootstrap::{
    retire::RetireError, skew::UpgradeError as SkewUpgradeError, upgrade::ConfirmError,
};

/// An upgrade that cannot be, or that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// There is nothing to upgrade.
    #[error("there is no lab yet; `lab up --kubernetes {0}` makes one of that version")]
    NoLab(Version),
    /// Another upgrade has not ended.
    #[error("the upgrade from {from} to {to} has not ended; run `lab upgrade --to {to}` first")]
    Other {
        /// The version before.
        from: Version,
        /// The version that it goes to.
        to: Version,
    },
    /// Certificates are on their way from one authority to the next.
    #[error(transparent)]
    Rotating(#[from] RotatingError),
    /// The version.
    #[error(transparent)]
    Version(#[from] k8s_bootstrap::VersionError),
    /// The rules of version skew.
    #[error(transparent)]
    Skew(#[from] SkewUpgradeError),
    /// etcd first.
    #[error("{0}: `lab etcd upgrade --to VERSION` does that first")]
    Etcd(String),
    /// The lab is not as it has to be.
    #[error(
        "the lab is not well, and an upgrade would make that harder to mend: {0}; see `lab check`, and run `lab up`"
    )]
    NotWell(String),
    /// A machine that was made by an older version of this program.
    #[error(
        "{machine} does not see the programs of other versions ({PROGRAMS_DIR}): it was made by an older `lab`; \
        run `lab down`, then `lab up`"
    )]
    OldMachine {
        /// The machine.
        machine: HostName,
    },
    /// No member of etcd runs.
    #[error("no member of etcd is there to take a snapshot of")]
    NoMember,
    /// The snapshot.
    #[error("cannot take a snapshot of etcd first; nothing has been changed")]
    Snapshot(#[from] etcd_bootstrap::SnapshotError),
    /// A file of a machine.
    #[error(transparent)]
    File(#[from] FileError),
    /// A command on a machine.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The lab could not be worked out.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// What each crate wants told.
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// What is there could not be found out.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// What is to be done could not be worked out.
    #[error(transparent)]
    Plan(Box<LabPlanError>),
    /// A node could not be looked at.
    #[error(transparent)]
    Node(#[from] RetireError),
    /// Certificates of the new version could not be issued.
    #[error("cannot issue the certificates that go with the new version; run `lab upgrade` again")]
    Issue(#[from] pki::ApplyError),
    /// Certificates of the new version could not be brought to the machines.
    #[error(
        "cannot bring the certificates of the new version to the machines; run `lab upgrade` again"
    )]
    Certificates(#[source] Box<RenewError>),
    /// The programs of the version could not be had.
    #[error(transparent)]
    Up(Box<UpError>),
    /// The programs of the version could not be brought to the machines.
    #[error(
        "cannot send the programs of the new version to its machines; no machine has been upgraded"
    )]
    Send(#[from] GuestError),
    /// The images of the version could not be brought to the nodes.
    #[error(transparent)]
    Images(#[from] ImportError),
    /// A step did not come true, and was taken back.
    #[error(
        "step \"{step}\" failed and was taken back: the cluster is as it was before that step; mend the cause and \
        run `lab upgrade` again"
    )]
    TakenBack {
        /// The step.
        step: String,
        /// Why.
        #[source]
        cause: Box<StepError>,
    },
    /// A step did not come true, and could not be taken back either.
    #[error(
        "step \"{step}\" failed ({cause}), and so did the way back; the lab is in the middle of the upgrade: mend the \
        cause and run `lab upgrade` again"
    )]
    Stuck {
        /// The step.
        step: String,
        /// Why it failed.
        cause: Box<StepError>,
        /// Why it could not be taken back.
        #[source]
        back: Box<StepError>,
    },
}

/// Why a step did not come true.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The pods could not leave the node, or the node not be opened again.
    #[error(transparent)]
    Drain(#[from] RetireError),
    /// It could not be worked out or looked at.
    #[error(transparent)]
    Plan(#[from] LabPlanError),
    /// It could not be applied.
    #[error(transparent)]
    Apply(#[from] k8s_bootstrap::ApplyError),
    /// It was applied, and is not so.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
}

impl From<UpError> for UpgradeError {
    fn from(error: UpError) -> Self {
        Self::Up(Box::new(error))
    }
}

impl From<LabPlanError> for UpgradeError {
    fn from(error: LabPlanError) -> Self {
        Self::Plan(Box::new(error))
    }
}

impl From<StateError> for StepError {
    fn from(error: StateError) -> Self {
        Self::Plan(error.into())
    }
}
