//! ConfigMaps and rights that kubeadm's other commands rely on.

use super::{addons, cluster_configuration, socket};
use crate::{
    ClusterSpec, Object, Role,
    component::{Place, kubelet},
    objects::{BOOTSTRAPPERS, parse, substitute},
    yaml,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// All objects beside nodes, tokens and what both shapes have, in an order in which none needs a later one.
pub(crate) fn permanent(spec: &ClusterSpec, ca_pem: &str) -> Vec<Object> {
    // They are of the cluster's version, and some are made from its first node, which an upgrade may have at another.
    let mut spec = spec.clone();
    spec.control_planes
        .iter_mut()
        .for_each(|node| node.programs = None);
    let spec = &spec;
    let rights = substitute(
        include_str!("../../manifests/kubeadm-rbac.yaml"),
        &[("BOOTSTRAPPERS", BOOTSTRAPPERS)],
    );
    let mut objects = parse(&rights);
    objects.push(config_map(
        ("kube-system", "kubeadm-config"),
        "ClusterConfiguration",
        &cluster_configuration(spec),
    ));
    objects.push(config_map(
        ("kube-system", "kubelet-config"),
        "kubelet",
        &kubelet_config(spec),
    ));
    objects.push(config_map(
        ("kube-public", "cluster-info"),
        "kubeconfig",
        &cluster_info(spec, ca_pem),
    ));
    objects.extend(addons::coredns(spec));
    objects.extend(addons::kube_proxy(spec));
    objects
}

/// What kubeadm notes at a Node: the runtime's socket, until 1.33.
pub(crate) fn node_annotations(spec: &ClusterSpec) -> Option<Value> {
    let of_cluster = spec.version.release().node_local_cri_socket;
    (!of_cluster).then(|| json!({"kubeadm.alpha.kubernetes.io/cri-socket": socket(spec)}))
}

fn config_map((namespace, name): (&str, &str), key: &str, document: &Value) -> Object {
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: yaml::render(document)},
    }))
}

/// The configuration of all kubelets; what differs from node to node is in their own files.
fn kubelet_config(spec: &ClusterSpec) -> Value {
    let mut config = kubelet::config(Place {
        cluster: spec,
        node: &spec.control_planes[0],
        role: Role::ControlPlane,
    });
    if let Some(fields) = config.as_object_mut() {
        fields.remove("containerRuntimeEndpoint");
    }
    config
}

/// Where a node finds the API and what it is to trust; the controller manager signs it with each token.
fn cluster_info(spec: &ClusterSpec, ca_pem: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "cluster": {
                "certificate-authority-data": STANDARD.encode(ca_pem),
                "server": spec.api_endpoint.to_string(),
            },
            "name": "",
        }],
        "contexts": null,
        "current-context": "",
        "preferences": {},
        "users": null,
    })
}
