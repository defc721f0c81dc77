//! Why a lab could not be made smaller.

use crate::{EtcdError, FactsError, LabPlanError, StateError, VmError};
use host_exec::HostName;
use k8s_bootstrap::retire::{ResetError, RetireError};

/// A lab could not be made smaller. What was done stays; the next `up` goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShrinkError {
    /// The lab as it was could not be worked out or looked at.
    #[error(transparent)]
    Lab(#[from] LabPlanError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// This machine.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A node that does not go.
    #[error(
        "cannot take {node} out of the cluster; `lab node drain {node}` and its options do what needs consent, `lab up` \
         with the old number and `lab node uncordon {node}` keep it"
    )]
    Node {
        /// The node.
        node: HostName,
        /// Why.
        #[source]
        source: Box<RetireError>,
    },
    /// Services that do not end.
    #[error("cannot end what runs on {node}")]
    Reset {
        /// The node.
        node: HostName,
        /// Why.
        #[source]
        source: Box<ResetError>,
    },
    /// Members of etcd that do not go.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// A namespace that does not go.
    #[error(transparent)]
    Machine(#[from] nspawn_vm::DestroyError),
    /// A VM that does not go.
    #[error("cannot remove the VM of {machine}; run `lab up` again when the cause is mended")]
    Vm {
        /// The machine.
        machine: HostName,
        /// Why.
        #[source]
        source: Box<VmError>,
    },
}
