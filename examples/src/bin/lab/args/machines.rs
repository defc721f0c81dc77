//! `lab node ...` and `lab vm ...`.

use super::OnArgs;
use clap::{Args, Subcommand};

/// What is done with a node.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeVerb {
    /// Keep new pods away, and move those that are there; PodDisruptionBudgets are honoured.
    Drain {
        /// The node, such as `worker-0`.
        node: String,
        #[command(flatten)]
        how: DrainArgs,
    },
    /// Take a node out of the cluster and clear its machine of it; the next `up` has it join anew.
    Reset {
        /// The node, such as `worker-0`.
        node: String,
        #[command(flatten)]
        how: DrainArgs,
    },
    /// Let a node take pods again.
    Uncordon {
        /// The node, such as `worker-0`.
        node: String,
    },
}

/// How a node is drained; the names are those of `kubectl drain`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DrainArgs {
    /// Also end pods that no controller makes again.
    #[arg(long)]
    pub(crate) force: bool,
    /// Also end pods with an emptyDir, whose contents are lost.
    #[arg(long)]
    pub(crate) delete_emptydir_data: bool,
    /// Seconds that each pod gets to end [default: its own].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) grace_period: Option<u64>,
    /// Seconds until the last pod must have gone.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) timeout: u64,
}

/// What is done with VMs.
#[derive(Debug, Subcommand)]
pub(crate) enum VmVerb {
    /// List the VMs of all labs on the host.
    List(OnArgs),
    /// Start a VM that rests.
    Start {
        /// The machine, such as `cp-0`.
        node: String,
    },
    /// Have a VM shut down, by force in the end.
    Stop {
        /// The machine, such as `cp-0`.
        node: String,
        /// Do not ask the guest.
        #[arg(long)]
        force: bool,
    },
    /// Have a VM shut down and start again.
    Reboot {
        /// The machine, such as `cp-0`.
        node: String,
    },
    /// Remove a VM with its disk; the next `up` makes it anew. Not one that holds a member of etcd.
    Destroy {
        /// The machine, such as `worker-0`.
        node: String,
    },
    /// Say how a VM stands, why, and what leads out of it.
    Explain {
        /// The machine, such as `cp-0`.
        node: String,
    },
}
