//! kube-controller-manager: kubeadm's flags, without the allocation of pod ranges.

use super::{
    CA, Component, Flags, Gate, Place, SIGNER_CA, UnitOptions, files_in, kubelet, pki_file,
};
use crate::{NodePart, Shape, Tuning, hardened};

/// The flags whose files it reads again when they change: the signer's pair (`pkg/controller/certificates/signer`,
/// `ca_provider.go`) and the authorities of its own server's clients. What `--root-ca-file` names it publishes as it
/// was at the start, and its kubeconfig has everything embedded.
const FOLLOWED: [&str; 4] = [
    "client-ca-file",
    "cluster-signing-cert-file",
    "cluster-signing-key-file",
    "requestheader-client-ca-file",
];

pub(crate) const KUBECONFIG: &str = "/etc/kubernetes/controller-manager.conf";

/// The definition of the controller manager of a control plane.
///
/// Pod ranges are part of the spec and written on the Node objects, so `--allocate-node-cidrs` stays at its
/// default, false: the allocator's order is not predictable, and routes between nodes must match.
pub fn component(place: Place<'_>) -> Component {
    let arguments = flags(place).into_arguments();
    let (reads, follows) = files_in(&arguments, &FOLLOWED);
    Component {
        name: "kube-controller-manager",
        description: "Kubernetes controller manager",
        program: place.program("kube-controller-manager"),
        reads,
        follows,
        arguments,
        environment: Vec::new(),
        files: Vec::new(),
        // It looks for a healthy API by itself once a second. Started only then, it was no sooner at work: its
        // own start (0.1 to 0.4 s) then comes on top instead of the rest of the second.
        gate: spare_or(place, Gate::ApiAnswers),
        options: UnitOptions::default(),
    }
}

fn flags(place: Place<'_>) -> Flags {
    let spec = place.cluster;
    let signer = match spec.authority_rotates {
        true => SIGNER_CA,
        false => CA,
    };
    let mut flags = Flags::default();
    flags
        .set("authentication-kubeconfig", KUBECONFIG)
        .set("authorization-kubeconfig", KUBECONFIG)
        .set("bind-address", "127.0.0.1")
        .set("client-ca-file", CA)
        .set("cluster-name", spec.cluster_name.as_str())
        .set("cluster-signing-cert-file", signer)
        .set("cluster-signing-key-file", pki_file("ca.key"))
        .set("controllers", "*,bootstrapsigner,tokencleaner")
        .set("kubeconfig", KUBECONFIG)
        .set(
            "requestheader-client-ca-file",
            pki_file("front-proxy-ca.crt"),
        )
        .set("root-ca-file", CA)
        .set("service-account-private-key-file", pki_file("sa.key"))
        .set("use-service-account-credentials", "true");
    elect(place, &mut flags);
    if spec.shape == Shape::StaticPods {
        // As kubeadm has them where it is told the range of pods, and then against the allocation.
        flags
            .set("allocate-node-cidrs", "false")
            .set("cluster-cidr", spec.pods.list())
            .set("service-cluster-ip-range", spec.services.list());
        if place
            .version_of(NodePart::ControlPlane)
            .release()
            .flex_volume_mount
        {
            flags.set("flex-volume-plugin-dir", kubelet::VOLUME_PLUGINS);
        }
    }
    if spec.external_cloud_provider {
        // It leaves the routes, the balancers and the addresses of Nodes to a cloud-controller-manager.
        flags.set("cloud-provider", "external");
    }
    if spec.tuning == Tuning::QuickStart {
        // With the defaults (20 and 30) its controllers need 5 to 7 s to start one after another.
        flags
            .set("kube-api-burst", "2000")
            .set("kube-api-qps", "1000");
    }
    hardened::controller_manager(place, &mut flags);
    flags
}

/// Where it is not needed yet, it leaves the processors to the API servers and kubelets that are.
pub(super) fn spare_or(place: Place<'_>, gate: Gate) -> Gate {
    match place.is_spare() {
        true => Gate::Spare,
        false => gate,
    }
}

/// An election with one candidate only costs time; kubeadm always has one. Among several the default pause of 2 s
/// between two attempts is what a start waits for whose first attempt came too early.
pub(super) fn elect(place: Place<'_>, flags: &mut Flags) {
    let several = place.cluster.control_planes.len() > 1;
    let elects = several || place.cluster.shape == Shape::StaticPods;
    flags.set("leader-elect", elects.to_string());
    if several && place.cluster.tuning == Tuning::QuickStart {
        flags.set("leader-elect-retry-period", "500ms");
    }
}
