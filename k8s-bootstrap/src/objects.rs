//! The objects that a cluster has from its first day.

use crate::{
    ClusterSpec, ExpiringToken, NodeSpec, Role, Shape,
    component::kubelet::CONTROL_PLANE_TAINT,
    kubeadm,
    object::{Object, digest},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize as _;
use serde_json::{Value, json};
use time::{UtcOffset, format_description::well_known::Rfc3339};

/// The group that a bootstrap token stands for, kubeadm's.
pub(crate) const BOOTSTRAPPERS: &str = "system:bootstrappers:kubeadm:default-node-token";

/// The objects that every cluster has, in an order in which none needs a later one.
pub(crate) fn permanent(spec: &ClusterSpec, ca_pem: &str) -> Vec<Object> {
    let mut objects = bootstrap_rbac();
    objects.extend(
        pki::required_bindings(spec.version.version())
            .iter()
            .map(binding),
    );
    objects.extend(
        spec.nodes()
            .map(|(role, node)| node_object(spec, role, node)),
    );
    objects.extend(match spec.shape {
        Shape::Services => coredns(spec),
        Shape::StaticPods => kubeadm::permanent(spec, ca_pem),
    });
    objects.extend(metrics_server(spec));
    objects
}

/// What `kubectl top` and autoscalers ask, if there is to be one.
fn metrics_server(spec: &ClusterSpec) -> Vec<Object> {
    let template = include_str!("../manifests/metrics-server.yaml");
    let image = spec.addons.metrics_server.iter();
    image
        .flat_map(|image| parse(&substitute(template, &[("IMAGE", image.as_str())])))
        .collect()
}

/// The Secret that makes a bootstrap token valid
/// (<https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>).
///
/// Only nodes that have not joined need it; the controller manager removes it when it has expired.
pub(crate) fn token_secret(token: &ExpiringToken) -> Object {
    let expires = token.expires.to_offset(UtcOffset::UTC);
    let expires = expires
        .replace_nanosecond(0)
        .unwrap_or(expires)
        .format(&Rfc3339);
    let expires = expires.expect("a time of the years 0 to 9999 has an RFC 3339 form");
    let fields = [
        ("auth-extra-groups", BOOTSTRAPPERS),
        ("expiration", &expires),
        ("token-id", token.token.id()),
        ("token-secret", token.token.expose_secret()),
        ("usage-bootstrap-authentication", "true"),
        ("usage-bootstrap-signing", "true"),
    ];
    let data: serde_json::Map<String, Value> = fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), STANDARD.encode(value).into()))
        .collect();
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {
            "name": format!("bootstrap-token-{}", token.token.id()),
            "namespace": "kube-system",
        },
        "data": data,
    }))
}

fn bootstrap_rbac() -> Vec<Object> {
    let template = include_str!("../manifests/bootstrap-rbac.yaml");
    parse(&substitute(template, &[("BOOTSTRAPPERS", BOOTSTRAPPERS)]))
}

fn binding(required: &pki::RequiredBinding) -> Object {
    Object::new(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": required.name},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": required.cluster_role,
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": required.subject_kind,
            "name": required.subject_name,
        }],
    }))
}

/// A Node made before its kubelet starts, because a kubelet may not give itself these labels, and its pod
/// ranges come from the spec.
fn node_object(spec: &ClusterSpec, role: Role, node: &NodeSpec) -> Object {
    let pods = node.pods.both();
    // The kubelet writes these two as well, but a pod that arrives before it has seen its own Node with them
    // is refused for good ("Predicate NodeAffinity failed"), and its successor costs ten seconds.
    let mut labels =
        json!({"kubernetes.io/os": "linux", "kubernetes.io/hostname": node.name.as_str()});
    if role == Role::ControlPlane {
        labels[CONTROL_PLANE_TAINT] = json!("");
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = json!("");
    }
    let mut body = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name.as_str(), "labels": labels},
        "spec": {"podCIDR": pods[0], "podCIDRs": pods},
    });
    if role == Role::ControlPlane {
        body["spec"]["taints"] = json!([{"key": CONTROL_PLANE_TAINT, "effect": "NoSchedule"}]);
    }
    if spec.shape == Shape::StaticPods
        && let Some(annotations) = kubeadm::node_annotations(spec)
    {
        body["metadata"]["annotations"] = annotations;
    }
    Object::new(body)
}

fn coredns(spec: &ClusterSpec) -> Vec<Object> {
    let corefile = corefile(spec);
    let dns = spec.dns_service_address();
    let template = include_str!("../manifests/coredns.yaml");
    let text = substitute(
        template,
        &[
            // A changed Corefile makes new pods instead of a reload at some later time.
            ("COREFILE_DIGEST", &digest(corefile.as_bytes())),
            ("IMAGE", spec.images.coredns.as_str()),
            ("DNS_V4", &dns.v4.to_string()),
            ("DNS_V6", &dns.v6.to_string()),
        ],
    );
    let config = Object::new(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "data": {"Corefile": corefile},
    }));
    std::iter::once(config).chain(parse(&text)).collect()
}

/// kubeadm's Corefile. Without a name server to ask, names outside the cluster are refused at once, and
/// `loop`, which asks itself through the forwarder, has nothing to look for.
pub(crate) fn corefile(spec: &ClusterSpec) -> String {
    let domain = &spec.dns_domain;
    let forward = if spec.upstream_dns.is_empty() {
        String::new()
    } else {
        let servers: Vec<String> = spec.upstream_dns.iter().map(ToString::to_string).collect();
        let servers = servers.join(" ");
        format!("    forward . {servers} {{\n        max_concurrent 1000\n    }}\n    loop\n")
    };
    let cache = if spec.version.release().corefile_disables_cluster_cache {
        format!(" {{\n        disable success {domain}\n        disable denial {domain}\n    }}")
    } else {
        String::new()
    };
    format!(
        ".:53 {{\n    errors\n    health {{\n        lameduck 5s\n    }}\n    ready\n    \
         kubernetes {domain} in-addr.arpa ip6.arpa {{\n        pods insecure\n        \
         fallthrough in-addr.arpa ip6.arpa\n        ttl 30\n    }}\n    prometheus :9153\n\
         {forward}    cache 30{cache}\n    reload\n    loadbalance\n}}\n"
    )
}

/// Puts values into the places `${NAME}` of a manifest. Each value is of a type whose text needs no quoting
/// inside double quotes.
pub(crate) fn substitute(template: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        })
}

pub(crate) fn parse(text: &str) -> Vec<Object> {
    serde_norway::Deserializer::from_str(text)
        .map(|document| Object::new(Value::deserialize(document).expect("our manifests are YAML")))
        .collect()
}
