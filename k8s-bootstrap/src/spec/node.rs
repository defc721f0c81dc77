//! A machine of the cluster.

use super::{DualAddress, DualNet, Route};
use crate::{NodePath, SupportedVersion};
use host_exec::HostName;

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs the API and its controllers, and no pods of users.
    ControlPlane,
    /// Runs pods.
    Worker,
}

/// Which programs of a node are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePart {
    /// All of them.
    All,
    /// kube-apiserver, kube-controller-manager and kube-scheduler.
    ControlPlane,
    /// kubelet and kube-proxy, which every node has.
    Node,
}

/// Programs of one node while they are not those of the cluster: an upgrade goes node by node, and on a control
/// plane in two parts, since no kubelet may be newer than an API server that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePrograms {
    /// Which programs these are; the others are those of the cluster.
    pub part: NodePart,
    /// The version of every Kubernetes program in `bin_dir`.
    pub version: SupportedVersion,
    /// Where they lie on the node.
    pub bin_dir: NodePath,
}

/// One machine of the cluster. Its role is the list of [`ClusterSpec`](super::ClusterSpec) that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// The host's name, and the Node object's.
    pub name: HostName,
    /// Where the other nodes reach it.
    pub address: DualAddress,
    /// The addresses of its pods.
    pub pods: DualNet,
    /// How it reaches the pods of the others.
    pub routes: Vec<Route>,
    /// Programs of its own, in the middle of an upgrade; usually those of the cluster.
    pub programs: Option<NodePrograms>,
}

impl NodeSpec {
    /// A node with the programs of the cluster, and without routes so far.
    pub fn new(name: HostName, address: DualAddress, pods: DualNet) -> Self {
        Self {
            name,
            address,
            pods,
            routes: Vec::new(),
            programs: None,
        }
    }

    /// The programs of its own that stand for `part`.
    pub(crate) fn own_programs(&self, part: NodePart) -> Option<&NodePrograms> {
        let own = self.programs.as_ref();
        own.filter(|own| own.part == NodePart::All || own.part == part)
    }
}
