//! Why a rotation did not come to where it was to go.

use crate::{
    LabPlanError, ObserveError, RenewError, RotatingError, StateError, UpError, certs::gate::Late,
};
use host_exec::FileError;
use pki::rotation::{Phase, Rotated, RotationError};

/// A rotation did not come to where it was to go. It stays in the phase that it is in, which serves; the same command
/// goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The lab is not as it has to be.
    #[error(transparent)]
    Lab(Box<RenewError>),
    /// Two at a time would leave it open which of them a port does not believe.
    #[error(transparent)]
    Other(#[from] RotatingError),
    /// The store.
    #[error(transparent)]
    Store(#[from] RotationError),
    /// A phase did not arrive everywhere.
    #[error("`{phase}` of {rotated} has not arrived everywhere, and the next phase is not begun")]
    Gate {
        /// What is rotated.
        rotated: Rotated,
        /// The phase.
        phase: Phase,
        /// What is missing.
        #[source]
        source: Box<Late>,
    },
    /// Pods of the lab's own.
    #[error(
        "the lab's own pods that hold the old one are not new in time: {0}; look at `lab kubectl get pods -A`"
    )]
    Own(String),
    /// The name server.
    #[error(transparent)]
    Dns(Box<UpError>),
    /// A file of a machine.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lab could not be looked at.
    #[error(transparent)]
    Plan(Box<LabPlanError>),
    /// A machine or the API could not be looked at.
    #[error(transparent)]
    Observe(Box<ObserveError>),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store's plan.
    #[error("cannot plan the lab's certificates")]
    Pki(#[from] pki::PlanError),
    /// A certificate could not be issued.
    #[error("cannot issue the certificates of the lab")]
    Issue(#[from] pki::ApplyError),
}

impl From<RenewError> for RotateError {
    fn from(error: RenewError) -> Self {
        Self::Lab(Box::new(error))
    }
}

impl From<LabPlanError> for RotateError {
    fn from(error: LabPlanError) -> Self {
        Self::Plan(Box::new(error))
    }
}

impl From<ObserveError> for RotateError {
    fn from(error: ObserveError) -> Self {
        Self::Observe(Box::new(error))
    }
}
