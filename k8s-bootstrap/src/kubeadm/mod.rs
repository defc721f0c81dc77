//! What kubeadm leaves on machines and in the API, for [`Shape::StaticPods`](crate::Shape::StaticPods).
//!
//! The programs are defined once, in [`component`](crate::component); here their definitions become static pods, and
//! what differs from kubeadm's own flags becomes the `extraArgs` of the ClusterConfiguration, so that kubeadm would
//! write the same. Everything follows the sources of kubeadm (`cmd/kubeadm/app` of k8s.io/kubernetes 1.28.3, 1.36.3
//! and 1.37.2); `tests/it/kubeadm.rs` has kubeadm itself compare.
//!
//! # Where this differs from `kubeadm init`
//!
//! - A static pod has the annotation [`READS`], the digest of the files that its program reads at its start: the kubelet starts it
//!   anew when a certificate changes, which kubeadm leaves to the administrator.
//! - Our objects carry the annotation [`APPLIED`](crate::APPLIED).
//! - The API server has `--shutdown-watch-termination-grace-period`, an `extraArg` to kubeadm: without it, it takes all its
//!   30 s of grace to end.
//! - Where nodes have a balancer, the API server has `--shutdown-delay-duration` too, so that it is out of the balancers
//!   before it closes its port.
//! - Pod ranges are part of the spec, so the controller manager has `--allocate-node-cidrs=false`.
//! - The drivers of flexvolumes, which kubeadm mounts until 1.35, lie below `/var/lib/kubelet`, since `/usr` may be
//!   read-only.
//! - The kubelet's and kube-proxy's configurations have settings of ours (see [`component::kubelet`] and
//!   [`component::proxy`]). They count as the user's: as kubeadm does then, the ConfigMaps have no
//!   `kubeadm.kubernetes.io/component-config.hash`, and `kubeadm upgrade` keeps them.
//! - The Service of the name server has both families, and its Corefile forwards to the name servers of the spec.
//! - kube-proxy is not shown `/lib/modules` where nodes have none, and then it gets no modules of the kernel loaded.
//! - A kubelet has `--node-ip` with both families, as kubeadm's documentation of dual-stack asks for, and that of a
//!   control plane `--register-with-taints`: somebody may delete its Node. Both are `kubeletExtraArgs` to kubeadm.
//! - `kubelet.conf` names the pair that the kubelet renews from the beginning (kubeadm's last phase,
//!   `kubelet-finalize`, makes it so).
//! - Keys are ECDSA P-256, which the ClusterConfiguration says.
//!
//! [`component::kubelet`]: crate::component::kubelet
//! [`component::proxy`]: crate::component::proxy

mod addons;
mod args;
mod config;
mod handover;
mod kubelet;
mod objects;
mod running;
mod static_pod;

pub use config::cluster_configuration;
pub(crate) use handover::{WriteError, write};
pub(crate) use kubelet::{
    adapt as adapt_kubelet, api_url as kubelet_api_url, local_config as local_kubelet_config,
};
pub(crate) use objects::{node_annotations, permanent};
pub(crate) use running::{is_manifest, lacking, outdated};
pub use static_pod::READS;
pub(crate) use static_pod::manifests;

use crate::{ClusterSpec, Runtime, SupportedVersion};

/// Where the kubelet looks for static pods (kubeadm's `staticPodPath`).
pub const MANIFESTS: &str = "/etc/kubernetes/manifests";

/// The runtime's socket in kubeadm's words (`constants/constants_unix.go`).
pub(crate) fn socket(spec: &ClusterSpec) -> &'static str {
    match spec.runtime {
        Runtime::Containerd(_) => "unix:///var/run/containerd/containerd.sock",
        Runtime::Crio(_) => "unix:///var/run/crio/crio.sock",
    }
}

/// An image of Kubernetes itself, as kubeadm names it (`images.GetKubernetesImage`).
pub(crate) fn image(spec: &ClusterSpec, name: &str, version: SupportedVersion) -> String {
    format!("{}/{name}:v{}", spec.images.repository, version.version())
}
