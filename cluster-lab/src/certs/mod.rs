//! The life of a lab's certificates: what there is and until when, renewed and rotated while the lab runs.
//!
//! Which pair signs, who is trusted and which leaf is due are decisions of `pki`; who reads what again by himself is
//! known where the programs are defined (`etcd-bootstrap`, `k8s-bootstrap`). Here both go out to machines that serve.

mod changes;
mod gate;
mod holders;
mod plan;
mod ports;
mod record;
mod renew;
mod report;
mod roll;
mod rotate;
mod under_way;

pub(crate) use record::RotationRecord;
pub use renew::{RenewError, RenewalPlan, Renewed};
pub use report::{CertsReport, OnMachine, OnMachineState, Rotation};
pub(crate) use roll::Roll;
pub use roll::RollError;
pub use rotate::{PlannedPhase, RotateError, RotatePlan, RotateReport, RotateWish};
pub use under_way::RotatingError;
