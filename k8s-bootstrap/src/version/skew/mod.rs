//! Which versions may run side by side (<https://kubernetes.io/releases/version-skew-policy/>), and how a cluster
//! gets from one version to another without ever leaving these rules.
//!
//! [`check`] judges a cluster as it is, [`steps`] orders an upgrade, [`check_runtime`] judges a container runtime.
//! All are pure: whoever calls them has asked the machines. The rules count minors; patch releases of one minor go
//! with each other.

mod rules;
mod runtime;
mod steps;

pub use rules::{SkewError, check, check_etcd};
pub use runtime::{RuntimeName, RuntimeVersion, RuntimeWarning, check_runtime};
pub use steps::{Step, UpgradeError, steps};

use super::EtcdVersion;
use crate::{ClusterSpec, NodePart, Role, Shape};
use host_exec::HostName;
use pki::KubernetesVersion;
use std::fmt;

/// How much older than the newest API server a kubelet or a kube-proxy may be, in minors. It was 2 for kubelets
/// before 1.25, which are older than anything here.
pub const NODE_SKEW: u16 = 3;

/// A program of Kubernetes whose version counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// kubelet.
    Kubelet,
    /// kube-proxy.
    KubeProxy,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
        })
    }
}

/// What runs on one control plane beside its kubelet. Its controller manager and its scheduler speak to its own API
/// server, as kubeadm's do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlPlaneVersions {
    /// kube-apiserver.
    pub api_server: KubernetesVersion,
    /// kube-controller-manager.
    pub controller_manager: KubernetesVersion,
    /// kube-scheduler.
    pub scheduler: KubernetesVersion,
}

/// What runs on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVersions {
    /// The node.
    pub name: HostName,
    /// Its part of the control plane; a worker has none.
    pub control_plane: Option<ControlPlaneVersions>,
    /// kubelet.
    pub kubelet: KubernetesVersion,
    /// kube-proxy.
    pub kube_proxy: KubernetesVersion,
    /// The container runtime, where somebody asked it.
    pub runtime: Option<RuntimeVersion>,
}

impl NodeVersions {
    /// Every program with its version, the API server first.
    pub fn programs(&self) -> Vec<(Program, KubernetesVersion)> {
        let mut programs = Vec::new();
        if let Some(own) = self.control_plane {
            programs.push((Program::ApiServer, own.api_server));
            programs.push((Program::ControllerManager, own.controller_manager));
            programs.push((Program::Scheduler, own.scheduler));
        }
        programs.push((Program::Kubelet, self.kubelet));
        programs.push((Program::KubeProxy, self.kube_proxy));
        programs
    }
}

/// What runs in a cluster, in the middle of an upgrade too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterVersions {
    /// Who keeps the programs running: with static pods kube-proxy is a DaemonSet, one version for all nodes.
    pub shape: Shape,
    /// The oldest etcd member; none if nobody asked, and then nothing is said about it.
    pub etcd: Option<EtcdVersion>,
    /// The nodes, in the order in which they are upgraded.
    pub nodes: Vec<NodeVersions>,
}

impl ClusterVersions {
    /// What a spec asks for.
    pub fn of(spec: &ClusterSpec) -> Self {
        let nodes = spec.nodes().map(|(role, node)| {
            let version = |part| {
                let own = node.own_programs(part).map(|own| own.version);
                own.unwrap_or(spec.version).version()
            };
            let control_plane = version(NodePart::ControlPlane);
            let own = version(NodePart::Node);
            NodeVersions {
                name: node.name.clone(),
                control_plane: (role == Role::ControlPlane).then_some(ControlPlaneVersions {
                    api_server: control_plane,
                    controller_manager: control_plane,
                    scheduler: control_plane,
                }),
                kubelet: own,
                kube_proxy: match spec.shape {
                    Shape::Services => own,
                    Shape::StaticPods => spec.version.version(),
                },
                runtime: None,
            }
        });
        Self {
            shape: spec.shape,
            etcd: spec.etcd_version,
            nodes: nodes.collect(),
        }
    }

    /// Every API server with its node.
    fn api_servers(&self) -> impl Iterator<Item = (&HostName, KubernetesVersion)> {
        let nodes = self.nodes.iter();
        nodes.filter_map(|node| Some((&node.name, node.control_plane?.api_server)))
    }
}
