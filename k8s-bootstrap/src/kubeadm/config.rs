//! kubeadm's ClusterConfiguration.

use super::{
    args::{ExtraArgs, render},
    static_pod::extra_volumes,
};
use crate::{
    ClusterSpec, ConfigApi,
    component::{self, pki_file},
};
use serde_json::{Value, json};

/// The `ClusterConfiguration` of a cluster, in the version that kubeadm of its minor stores
/// (<https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/>). The spec has been checked.
pub fn cluster_configuration(spec: &ClusterSpec) -> Value {
    let api = spec.version.release().config_api;
    let extra = ExtraArgs::of(spec);
    let is_list = api == ConfigApi::V1Beta4;
    let arguments = |extra: &[(String, String)]| match extra {
        [] => json!({}),
        extra => json!({"extraArgs": render(extra, is_list)}),
    };
    let etcd: Vec<String> = spec
        .etcd_endpoints
        .iter()
        .map(|address| format!("https://{address}"))
        .collect();
    let mut config = json!({
        "apiVersion": api.api_version(),
        "kind": "ClusterConfiguration",
        "apiServer": arguments(&extra.apiserver),
        "certificatesDir": component::PKI,
        "clusterName": spec.cluster_name.as_str(),
        "controlPlaneEndpoint": endpoint(spec),
        "controllerManager": arguments(&extra.controller_manager),
        "dns": dns(spec),
        "etcd": {"external": {
            "caFile": pki_file("etcd/ca.crt"),
            "certFile": pki_file("apiserver-etcd-client.crt"),
            "endpoints": etcd,
            "keyFile": pki_file("apiserver-etcd-client.key"),
        }},
        "imageRepository": spec.images.repository.as_str(),
        "kubernetesVersion": format!("v{}", spec.version.version()),
        "networking": {
            "dnsDomain": spec.dns_domain.as_str(),
            "podSubnet": spec.pods.list(),
            "serviceSubnet": spec.services.list(),
        },
        "scheduler": arguments(&extra.scheduler),
    });
    let place = super::args::first(spec);
    let volumes = extra_volumes(place, &component::apiserver::component(place));
    if !volumes.is_empty() {
        config["apiServer"]["extraVolumes"] = volumes.into();
    }
    match api {
        ConfigApi::V1Beta3 => {
            config["apiServer"]["timeoutForControlPlane"] = "4m0s".into();
            config["featureGates"] = json!({"PublicKeysECDSA": true});
        }
        ConfigApi::V1Beta4 => {
            config["caCertificateValidityPeriod"] = "87600h0m0s".into();
            config["certificateValidityPeriod"] = "8760h0m0s".into();
            config["encryptionAlgorithm"] = "ECDSA-P256".into();
            config["proxy"] = json!({});
        }
    }
    config
}

/// The endpoint of the cluster without its scheme.
fn endpoint(spec: &ClusterSpec) -> String {
    let url = spec.api_endpoint.to_string();
    url.strip_prefix("https://").unwrap_or(&url).to_owned()
}

/// The name server's image, where it is not the one that kubeadm derives (`images.GetDNSImage`).
fn dns(spec: &ClusterSpec) -> Value {
    let mut dns = json!({});
    let image = spec.images.coredns.as_str();
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, ""));
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    let repository = spec.images.repository.as_str();
    // Only in the official registry the image lies one level deeper.
    let derived = match repository {
        "registry.k8s.io" => "registry.k8s.io/coredns".to_owned(),
        other => other.to_owned(),
    };
    if parent != derived {
        dns["imageRepository"] = parent.into();
    }
    if tag != spec.version.coredns() {
        dns["imageTag"] = tag.into();
    }
    dns
}
