//! kube-proxy, as a service with a certificate of its own instead of a DaemonSet.

use super::{Component, Flags, Gate, Place, UnitOptions, paths};
use crate::{Tuning, yaml};
use host_exec::File;
use serde_json::{Value, json};

const CONFIG: &str = "/etc/kubernetes/kube-proxy-config.yaml";
pub(crate) const KUBECONFIG: &str = "/etc/kubernetes/kube-proxy.conf";
const HEALTH_PORT: u16 = 10256;

/// The definition of the proxy of any node.
pub fn component(place: Place<'_>) -> Component {
    let mut flags = Flags::default();
    flags.set("config", CONFIG);
    Component {
        name: "kube-proxy",
        description: "Kubernetes service proxy",
        program: place.program("kube-proxy"),
        arguments: flags.into_arguments(),
        environment: Vec::new(),
        files: vec![File::public(CONFIG, yaml::render(&config(place)))],
        reads: paths([KUBECONFIG]),
        follows: Vec::new(),
        // It asks for the addresses of its Node and, if there are none, again after growing pauses.
        gate: Gate::ApiPrepared,
        options: UnitOptions::default(),
    }
}

/// `KubeProxyConfiguration`, <https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/>.
pub(crate) fn config(place: Place<'_>) -> Value {
    let spec = place.cluster;
    let mode = place.version().release().proxy_mode.as_str();
    let mut config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": KUBECONFIG},
        "clusterCIDR": spec.pods.list(),
        // 0 leaves the kernel's own values: some of them cannot be written from a namespace.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpCloseWaitTimeout": "0s",
            "tcpEstablishedTimeout": "0s",
        },
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": format!("{}:{HEALTH_PORT}", place.node.address.v4),
        "hostnameOverride": place.node.name.as_str(),
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": mode,
    });
    if spec.tuning == Tuning::QuickStart {
        // The default of 1 s lets a Service wait for its first endpoint up to that long; it is meant for clusters
        // in which some endpoint always changes.
        config[mode] = json!({"minSyncPeriod": "100ms"});
    }
    config
}
