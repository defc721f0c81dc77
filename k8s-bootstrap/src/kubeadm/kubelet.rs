//! The kubelet as kubeadm's packages and phases start it.

use super::{MANIFESTS, socket};
use crate::{
    Role,
    component::{
        Component, Flags, Place,
        kubelet::{CONFIG, CONTROL_PLANE_TAINT, KUBECONFIG},
    },
};
use host_exec::File;
use serde_json::Value;

/// Flags that differ from node to node (`phases/kubelet/flags.go`).
const FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
/// Configuration that differs from node to node (`phases/kubelet/config.go`).
const INSTANCE_CONFIG: &str = "/var/lib/kubelet/instance-config.yaml";
/// The drop-in of kubeadm's packages, in the administrator's place.
const DROP_IN: &str = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf";
/// Where `kubeadm join` leaves the token for the kubelet, which removes the file when it has joined.
const BOOTSTRAP_KUBECONFIG: &str = "/etc/kubernetes/bootstrap-kubelet.conf";

/// Moves the flags of a definition into kubeadm's files.
pub(crate) fn adapt(place: Place<'_>, mut kubelet: Component) -> Component {
    let release = place.version().release();
    let drop_in = drop_in(&kubelet.program);
    kubelet.arguments.clear();
    kubelet.files.push(File::public(FLAGS, flags(place)));
    kubelet.files.push(File::public(DROP_IN, drop_in));
    // A kubelet without the directory complains every second; hidden files are none of its pods.
    let keep = format!("{MANIFESTS}/.kubelet-keep");
    kubelet.files.push(File::public(keep, ""));
    if release.node_local_cri_socket {
        let text = format!("containerRuntimeEndpoint: \"{}\"\n", socket(place.cluster));
        kubelet.files.push(File::public(INSTANCE_CONFIG, text));
    }
    kubelet
}

/// `KubeletConfiguration` of one node, from that of the cluster: kubeadm merges the instance's into it.
pub(crate) fn local_config(place: Place<'_>, config: &mut Value) {
    config["staticPodPath"] = MANIFESTS.into();
    match config.as_object_mut() {
        Some(fields) if !place.version().release().node_local_cri_socket => {
            fields.remove("containerRuntimeEndpoint");
        }
        _ => config["containerRuntimeEndpoint"] = socket(place.cluster).into(),
    }
}

/// Where the kubelet finds the API: on a control plane its own API server, from 1.33 on (kubernetes#129956).
pub(crate) fn api_url(place: Place<'_>) -> pki::ApiUrl {
    let spec = place.cluster;
    let is_local = place.role == Role::ControlPlane
        && place.version().release().control_plane_kubelet_local_mode;
    let own = pki::ApiUrl::of_address(place.node.address.v4.into(), spec.api_port);
    match own {
        Ok(own) if is_local => own,
        _ => spec.node_endpoint(),
    }
}

/// The name is not overridden: a node's name is its host name.
fn flags(place: Place<'_>) -> String {
    let release = place.version().release();
    let mut flags = Flags::default();
    if !release.node_local_cri_socket {
        flags.set("container-runtime-endpoint", socket(place.cluster));
    }
    if release.pod_infra_container_image_flag {
        flags.set(
            "pod-infra-container-image",
            place.cluster.images.pause.as_str(),
        );
    }
    if place.role == Role::ControlPlane {
        flags.set(
            "register-with-taints",
            format!("{CONTROL_PLANE_TAINT}:NoSchedule"),
        );
    }
    flags.set("node-ip", place.node.address.list());
    let flags = flags.into_arguments().join(" ");
    format!("KUBELET_KUBEADM_ARGS=\"{flags}\"\n")
}

/// `10-kubeadm.conf` of the Debian package, with the program of this node.
fn drop_in(program: &str) -> String {
    format!(
        "[Service]\n\
         Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig={BOOTSTRAP_KUBECONFIG} --kubeconfig={KUBECONFIG}\"\n\
         Environment=\"KUBELET_CONFIG_ARGS=--config={CONFIG}\"\n\
         EnvironmentFile=-{FLAGS}\n\
         EnvironmentFile=-/etc/default/kubelet\n\
         ExecStart=\n\
         ExecStart={program} $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n"
    )
}
