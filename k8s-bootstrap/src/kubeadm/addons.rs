//! The name server and the service proxy as kubeadm installs them (`phases/addons`).

use super::image;
use crate::{
    ClusterSpec, Object, Role,
    component::{Place, kubelet::CONTROL_PLANE_TAINT, proxy},
    objects::{corefile, parse, substitute},
    yaml,
};
use serde_json::{Value, json};

/// CoreDNS.
pub(super) fn coredns(spec: &ClusterSpec) -> Vec<Object> {
    let release = spec.version.release();
    let dns = spec.dns_service_address();
    let (alive, ready, ports) = if release.named_probe_ports {
        (
            "liveness-probe",
            "readiness-probe",
            "\n        - {containerPort: 8080, name: liveness-probe, protocol: TCP}\
             \n        - {containerPort: 8181, name: readiness-probe, protocol: TCP}",
        )
    } else {
        ("8080", "8181", "")
    };
    let text = substitute(
        include_str!("../../manifests/kubeadm-coredns.yaml"),
        &[
            ("IMAGE", spec.images.coredns.as_str()),
            ("TAINT", CONTROL_PLANE_TAINT),
            ("LIVENESS_PORT", alive),
            ("READINESS_PORT", ready),
            ("PROBE_PORTS", ports),
            ("DROPPED", release.coredns_dropped_capabilities),
            ("DNS_V4", &dns.v4.to_string()),
            ("DNS_V6", &dns.v6.to_string()),
        ],
    );
    let config = Object::new(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "data": {"Corefile": corefile(spec)},
    }));
    std::iter::once(config).chain(parse(&text)).collect()
}

/// kube-proxy, as a DaemonSet.
pub(super) fn kube_proxy(spec: &ClusterSpec) -> Vec<Object> {
    let (modules_mount, modules_volume) = if spec.has_kernel_modules {
        (
            "\n        - {name: lib-modules, mountPath: /lib/modules, readOnly: true}",
            "\n      - name: lib-modules\n        hostPath: {path: /lib/modules}",
        )
    } else {
        ("", "")
    };
    let text = substitute(
        include_str!("../../manifests/kubeadm-kube-proxy.yaml"),
        &[
            ("MODULES_MOUNT", modules_mount),
            ("MODULES_VOLUME", modules_volume),
            ("IMAGE", &image(spec, "kube-proxy", spec.version)),
            ("BOOTSTRAPPERS", crate::objects::BOOTSTRAPPERS),
        ],
    );
    let config = Object::new(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "kube-proxy",
            "namespace": "kube-system",
            "labels": {"app": "kube-proxy"},
        },
        "data": {
            "config.conf": yaml::render(&proxy_config(spec)),
            "kubeconfig.conf": yaml::render(&proxy_kubeconfig(spec)),
        },
    }));
    std::iter::once(config).chain(parse(&text)).collect()
}

/// That of a service, with kubeadm's paths and addresses, and nothing of one node.
fn proxy_config(spec: &ClusterSpec) -> Value {
    let mut config = proxy::config(Place {
        cluster: spec,
        node: &spec.control_planes[0],
        role: Role::ControlPlane,
    });
    config["bindAddress"] = "0.0.0.0".into();
    config["clientConnection"] = json!({"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"});
    if let Some(fields) = config.as_object_mut() {
        for of_node in [
            "healthzBindAddress",
            "hostnameOverride",
            "metricsBindAddress",
        ] {
            fields.remove(of_node);
        }
    }
    config
}

fn proxy_kubeconfig(spec: &ClusterSpec) -> Value {
    const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "cluster": {
                "certificate-authority": format!("{ACCOUNT}/ca.crt"),
                "server": spec.node_endpoint().to_string(),
            },
            "name": "default",
        }],
        "contexts": [{
            "context": {"cluster": "default", "namespace": "default", "user": "default"},
            "name": "default",
        }],
        "current-context": "default",
        "users": [{"name": "default", "user": {"tokenFile": format!("{ACCOUNT}/token")}}],
    })
}
