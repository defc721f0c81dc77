//! What the cluster is made of, as far as there is a choice.

use super::DualAddress;
use crate::{ImageName, InterfaceName, NodePath};
use std::num::NonZeroU8;

/// Images of the cluster itself; the runtime pulls them or has them already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// What the names of kubeadm's own images begin with, usually `registry.k8s.io`.
    pub repository: ImageName,
    /// The container that holds a pod's namespaces.
    pub pause: ImageName,
    /// The cluster's name server.
    pub coredns: ImageName,
    /// A registry serves these, and those of users' pods; otherwise the runtime has them already. The hardened profile
    /// has pods ask it whether they may have their images (AlwaysPullImages), which needs one.
    pub registry: bool,
}

/// Which configuration format containerd reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerdMajor {
    /// containerd 1.6 and 1.7: configuration version 2, which 2.0 reads too.
    V1,
    /// containerd 2.1 and later: configuration version 3.
    V2,
}

/// The container runtime of every node. Its programs are there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containerd {
    /// The program, such as `/usr/bin/containerd`; its shim is looked for in the same directory first.
    pub program: NodePath,
    /// Its configuration format.
    pub major: ContainerdMajor,
    /// The OCI runtime, such as `/usr/bin/crun`. crun 1.8 does not work with containerd 2.
    pub oci_runtime: NodePath,
    /// For machines without CAP_SYS_RESOURCE, where a negative oom_score_adj cannot be written.
    pub restrict_oom_score_adj: bool,
}

/// CRI-O of the same minor as Kubernetes. Its programs are there already, pinns among them, in the `PATH` of services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crio {
    /// The program, such as `/usr/bin/crio`.
    pub program: NodePath,
    /// Its minor, as in 1.MINOR: that of Kubernetes.
    pub minor: u16,
    /// The OCI runtime, such as `/usr/bin/crun`; that of CRI-O's own packages is `/usr/libexec/crio/crun`, in older ones
    /// `/usr/bin/crio-crun`.
    pub oci_runtime: NodePath,
    /// The monitor that stays with each container, such as `/usr/bin/conmon`; that of CRI-O's own packages is
    /// `/usr/libexec/crio/conmon`, in older ones `/usr/bin/crio-conmon`. conmon-rs is another kind and does not serve.
    pub monitor: NodePath,
}

/// What starts containers on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// containerd.
    Containerd(Containerd),
    /// CRI-O.
    Crio(Crio),
}

impl Runtime {
    /// Where it and the kubelet meet.
    pub fn socket(&self) -> &'static str {
        match self {
            Self::Containerd(_) => "/run/containerd/containerd.sock",
            Self::Crio(_) => "/run/crio/crio.sock",
        }
    }

    /// The name of its unit.
    pub(crate) fn unit(&self) -> String {
        match self {
            Self::Containerd(_) => "containerd.service".to_owned(),
            Self::Crio(_) => "crio.service".to_owned(),
        }
    }
}

/// Who keeps the programs of the control plane running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// systemd, each program a service; kube-proxy too.
    Services,
    /// The kubelet, from static pods as kubeadm writes them, with all that kubeadm leaves in files and in the API:
    /// stock kubeadm of the same minor works on such a cluster.
    StaticPods,
}

/// How much the cluster trusts by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// kubeadm's defaults.
    Standard,
    /// The checks of the CIS benchmark that can be automated: Secrets encrypted at rest, an audit log, no profiling,
    /// TLS minimums, anonymous access to health only.
    Hardened,
}

/// A balancer of TCP in front of the API servers, on the loopback of every node: HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancer {
    /// The program, such as `/usr/sbin/haproxy`.
    pub program: NodePath,
    /// Its port on 127.0.0.1 of every node.
    pub port: u16,
}

/// An address that moves between the control planes (VRRP version 3, RFC 9568), for people: keepalived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The program, such as `/usr/sbin/keepalived`.
    pub program: NodePath,
    /// The address, on the network of the nodes.
    pub address: DualAddress,
    /// The interface of that network on every control plane.
    pub interface: InterfaceName,
    /// The number of the virtual router, which no other on this network has (VRID, RFC 9568, section 5.2.3).
    pub router_id: NonZeroU8,
}

/// What the cluster has beyond its own parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addons {
    /// The image of metrics-server, which `kubectl top` and autoscalers need; none leaves it out.
    pub metrics_server: Option<ImageName>,
}

/// Which cgroup hierarchy the nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// The old one; kubelets from 1.35 on refuse it unless told otherwise.
    V1,
    /// The unified one.
    V2,
}

/// What the control plane is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// The defaults of Kubernetes.
    Standard,
    /// A small cluster that has to be up soon: higher client rates of the controllers, less garbage collection.
    QuickStart,
}
