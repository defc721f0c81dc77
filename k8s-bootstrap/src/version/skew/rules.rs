//! The rules, and which of them a cluster breaks.

use super::{ClusterVersions, NODE_SKEW, NodeVersions, Program, check_runtime};
use crate::{EtcdVersion, SupportedVersion, VersionError};
use host_exec::HostName;
use pki::KubernetesVersion;

/// The rule that versions break, with the programs that break it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkewError {
    /// Nothing to compare with.
    #[error("no node has an API server; name at least one control plane")]
    NoApiServer,
    /// API servers further apart than one minor.
    #[error(
        "kube-apiserver of {newer} is {newest} and that of {older} is {oldest}, but API servers may be one minor \
         apart at most; bring {older} up to it minor by minor"
    )]
    ApiServersApart {
        /// The node with the newest.
        newer: HostName,
        /// Its version.
        newest: KubernetesVersion,
        /// The node with the oldest.
        older: HostName,
        /// Its version.
        oldest: KubernetesVersion,
    },
    /// A program newer than an API server that it speaks to.
    #[error(
        "{program} of {node} is {version}, newer than kube-apiserver of {server}, which is {api_server}; upgrade \
         every API server first, or give {node} {program} 1.{}", .api_server.minor
    )]
    NewerThanApiServer {
        /// The program.
        program: Program,
        /// Its node.
        node: HostName,
        /// Its version.
        version: KubernetesVersion,
        /// The node of the API server.
        server: HostName,
        /// The API server's version.
        api_server: KubernetesVersion,
    },
    /// A program too old for an API server that it speaks to.
    #[error(
        "{program} of {node} is {version}, too old for kube-apiserver of {server}, which is {api_server}: \
         it may be older by at most {at_most} in the minor; upgrade {program} of {node} to 1.{} or later first",
        .api_server.minor - .at_most
    )]
    TooOldForApiServer {
        /// The program.
        program: Program,
        /// Its node.
        node: HostName,
        /// Its version.
        version: KubernetesVersion,
        /// The node of the API server.
        server: HostName,
        /// The API server's version.
        api_server: KubernetesVersion,
        /// How many minors are allowed.
        at_most: u16,
    },
    /// kube-proxy and the kubelet of one node too far apart.
    #[error(
        "kube-proxy of {node} is {kube_proxy} and its kubelet {kubelet}, but they may be {NODE_SKEW} minors apart at \
         most; upgrade the older one"
    )]
    ProxyApartFromKubelet {
        /// The node.
        node: HostName,
        /// The version of kube-proxy.
        kube_proxy: KubernetesVersion,
        /// The version of the kubelet.
        kubelet: KubernetesVersion,
    },
    /// An etcd that this Kubernetes is not tested with and may misbehave on.
    #[error(
        "etcd is {etcd}, but Kubernetes {kubernetes} needs {floor} or later; upgrade etcd first"
    )]
    EtcdBelowFloor {
        /// The oldest member.
        etcd: EtcdVersion,
        /// The Kubernetes that asks for more.
        kubernetes: KubernetesVersion,
        /// What it asks for.
        floor: EtcdVersion,
    },
    /// CRI-O of another minor than the kubelet.
    #[error(
        "CRI-O of {node} is {crio} and its kubelet {kubelet}, but CRI-O has to be of the same minor; install CRI-O \
         1.{}", .kubelet.minor
    )]
    CrioMinor {
        /// The node.
        node: HostName,
        /// The version of CRI-O.
        crio: super::RuntimeVersion,
        /// The version of the kubelet.
        kubelet: KubernetesVersion,
    },
    /// containerd without the CRI of today.
    #[error(
        "containerd of {node} is {containerd}, but a kubelet {kubelet} needs {} or later (CRI v1); install a newer \
         containerd",
        super::RuntimeVersion::CONTAINERD_FLOOR
    )]
    ContainerdBelowFloor {
        /// The node.
        node: HostName,
        /// The version of containerd.
        containerd: super::RuntimeVersion,
        /// The version of the kubelet.
        kubelet: KubernetesVersion,
    },
    /// A version for which this crate has no rules.
    #[error(transparent)]
    Version(#[from] VersionError),
}

/// Says whether these versions may run together.
///
/// - API servers are one minor apart at most.
/// - A controller manager or scheduler is not newer than its API server, and one minor older at most.
/// - A kubelet or kube-proxy is not newer than the oldest API server, since any may answer it, and [`NODE_SKEW`]
///   minors older than the newest at most; the two of one node are as far apart at most.
/// - etcd is not below the floor of the newest API server.
/// - The runtime goes with the kubelet: [`check_runtime`].
///
/// # Errors
///
/// The first rule that is broken. Versions of one minor that differ in the patch are *not* an error, nor is an etcd
/// or a runtime that nobody asked.
pub fn check(cluster: &ClusterVersions) -> Result<(), SkewError> {
    refuse_other_majors(cluster)?;
    let oldest = cluster.api_servers().min_by_key(|(_, version)| *version);
    let newest = cluster.api_servers().max_by_key(|(_, version)| *version);
    let (Some(oldest), Some(newest)) = (oldest, newest) else {
        return Err(SkewError::NoApiServer);
    };
    if newest.1.minor - oldest.1.minor > 1 {
        return Err(SkewError::ApiServersApart {
            newer: newest.0.clone(),
            newest: newest.1,
            older: oldest.0.clone(),
            oldest: oldest.1,
        });
    }
    if let Some(etcd) = cluster.etcd {
        check_etcd(etcd, SupportedVersion::unsupported(newest.1)?)?;
    }
    for node in &cluster.nodes {
        check_control_plane(node)?;
        for (program, version) in [
            (Program::Kubelet, node.kubelet),
            (Program::KubeProxy, node.kube_proxy),
        ] {
            not_newer(program, node, version, oldest)?;
            not_older(program, node, version, newest, NODE_SKEW)?;
        }
        if node.kubelet.minor.abs_diff(node.kube_proxy.minor) > NODE_SKEW {
            return Err(SkewError::ProxyApartFromKubelet {
                node: node.name.clone(),
                kube_proxy: node.kube_proxy,
                kubelet: node.kubelet,
            });
        }
        if let Some(runtime) = node.runtime {
            check_runtime(
                &node.name,
                SupportedVersion::unsupported(node.kubelet)?,
                runtime,
            )?;
        }
    }
    Ok(())
}

/// The rules count minors of Kubernetes 1.
fn refuse_other_majors(cluster: &ClusterVersions) -> Result<(), SkewError> {
    let programs = cluster.nodes.iter().flat_map(NodeVersions::programs);
    for (_, version) in programs.filter(|(_, version)| version.major != 1) {
        SupportedVersion::unsupported(version)?;
    }
    Ok(())
}

/// Says whether an etcd is new enough for a Kubernetes version: the oldest member counts.
///
/// # Errors
///
/// [`SkewError::EtcdBelowFloor`].
pub fn check_etcd(etcd: EtcdVersion, kubernetes: SupportedVersion) -> Result<(), SkewError> {
    let floor = kubernetes.etcd_floor();
    if etcd < floor {
        let kubernetes = kubernetes.version();
        return Err(SkewError::EtcdBelowFloor {
            etcd,
            kubernetes,
            floor,
        });
    }
    Ok(())
}

fn check_control_plane(node: &NodeVersions) -> Result<(), SkewError> {
    let Some(own) = node.control_plane else {
        return Ok(());
    };
    let api_server = (&node.name, own.api_server);
    for (program, version) in [
        (Program::ControllerManager, own.controller_manager),
        (Program::Scheduler, own.scheduler),
    ] {
        not_newer(program, node, version, api_server)?;
        not_older(program, node, version, api_server, 1)?;
    }
    Ok(())
}

fn not_newer(
    program: Program,
    node: &NodeVersions,
    version: KubernetesVersion,
    (server, api_server): (&HostName, KubernetesVersion),
) -> Result<(), SkewError> {
    if version.minor <= api_server.minor {
        return Ok(());
    }
    Err(SkewError::NewerThanApiServer {
        program,
        node: node.name.clone(),
        version,
        server: server.clone(),
        api_server,
    })
}

fn not_older(
    program: Program,
    node: &NodeVersions,
    version: KubernetesVersion,
    (server, api_server): (&HostName, KubernetesVersion),
    at_most: u16,
) -> Result<(), SkewError> {
    if version.minor.saturating_add(at_most) >= api_server.minor {
        return Ok(());
    }
    Err(SkewError::TooOldForApiServer {
        program,
        node: node.name.clone(),
        version,
        server: server.clone(),
        api_server,
        at_most,
    })
}
