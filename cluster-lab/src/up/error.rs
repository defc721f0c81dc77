//! Why a lab could not be brought up.

use crate::{
    DraftError, EtcdError, EtcdScheduleError, ImportError, LabPlanError, MaterialError,
    ObserveError, ShrinkError, StateError, guest::GuestError, preflight::PreflightError,
    supplies::SupplyError,
};
use bhyve_vm::fleet;
use etcd_bootstrap::certificates;
use host_exec::{HostName, poll::WaitError};
use k8s_bootstrap::preflight;
use std::convert::Infallible;

/// A lab that could not be brought up. What was done stays; the next `up` goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpError {
    /// This machine lacks something. Nothing was touched.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The lab is impossible. Nothing was touched.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Programs and images.
    #[error(transparent)]
    Supplies(#[from] SupplyError),
    /// Certificates.
    #[error("cannot issue the certificates of the lab")]
    Pki(#[from] pki::ApplyError),
    /// Certificates that members of etcd could not use.
    #[error(transparent)]
    EtcdCertificates(#[from] certificates::CheckCertificatesError),
    /// Certificates, read back.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// Machines that are to go.
    #[error(transparent)]
    Shrink(#[from] Box<ShrinkError>),
    /// Machines and networks.
    #[error(transparent)]
    Machines(#[from] nspawn_vm::ApplyError),
    /// The VMs.
    #[error("cannot make the machines of the lab")]
    Vms(#[source] Box<fleet::FleetApplyError>),
    /// A guest that runs and does not answer.
    #[error(
        "{machine} does not answer; `lab vm explain {machine}` and `lab console {machine}` say how far it has come"
    )]
    Contact {
        /// The machine.
        machine: HostName,
        /// What was last seen.
        #[source]
        source: WaitError<host_exec::RunError>,
    },
    /// Names and firewall of a machine.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// Images beyond those that the lab was made with.
    #[error(transparent)]
    Images(Box<ImportError>),
    /// What is there could not be found out.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// etcd or Kubernetes could not be planned.
    #[error(transparent)]
    Plan(Box<LabPlanError>),
    /// etcd.
    #[error("cannot bring up etcd")]
    Etcd(#[from] etcd_bootstrap::ApplyError),
    /// Members of etcd that come in.
    #[error(transparent)]
    EtcdMembers(Box<EtcdError>),
    /// The timers of etcd's snapshots.
    #[error(transparent)]
    EtcdSchedule(#[from] EtcdScheduleError),
    /// Machines on which Kubernetes cannot run as they are. Nothing of it was put on them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unfit(Vec<preflight::Finding>),
    /// They could not be asked.
    #[error(transparent)]
    Look(#[from] preflight::LookError),
    /// Kubernetes.
    #[error("cannot bring up Kubernetes")]
    Kubernetes(#[source] Box<k8s_bootstrap::ApplyError>),
    /// The name server is available, and its service does not lead a node to it.
    #[error(
        "the lab's name server does not answer its nodes; look at `lab logs worker-0 kube-proxy`"
    )]
    Dns(#[source] WaitError<Infallible>),
    /// No token could be drawn.
    #[error("cannot draw a bootstrap token or a key")]
    Random(#[from] pki::RandomError),
}

impl From<ImportError> for UpError {
    fn from(error: ImportError) -> Self {
        Self::Images(Box::new(error))
    }
}

impl From<LabPlanError> for UpError {
    fn from(error: LabPlanError) -> Self {
        Self::Plan(Box::new(error))
    }
}

impl From<EtcdError> for UpError {
    fn from(error: EtcdError) -> Self {
        Self::EtcdMembers(Box::new(error))
    }
}

impl From<fleet::FleetApplyError> for UpError {
    fn from(error: fleet::FleetApplyError) -> Self {
        Self::Vms(Box::new(error))
    }
}

impl From<ShrinkError> for UpError {
    fn from(error: ShrinkError) -> Self {
        Self::Shrink(Box::new(error))
    }
}

impl From<k8s_bootstrap::ApplyError> for UpError {
    fn from(error: k8s_bootstrap::ApplyError) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}
