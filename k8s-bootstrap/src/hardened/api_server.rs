//! The API server: who gets in, what is admitted, what is written down.

use super::{Anonymous, DIR, ENCRYPTION_CONFIG, LOG_DIR, is_hardened, server};
use crate::{
    component::{CA, Flags, Place},
    yaml,
};
use host_exec::File;
use serde_json::{Value, json};

/// Adds to the flags of an API server.
pub(crate) fn api_server(place: Place<'_>, flags: &mut Flags) {
    if !is_hardened(place) {
        return;
    }
    server(flags);
    audit_log(flags);
    match Anonymous::of(place) {
        Anonymous::HealthOnly { .. } => flags.set("authentication-config", path("authentication")),
        Anonymous::Nobody => flags.set("anonymous-auth", "false"),
        Anonymous::ByRoles => flags,
    };
    flags
        .set("admission-control-config-file", path("admission"))
        .set("enable-admission-plugins", admission_plugins(place))
        .set("encryption-provider-config", ENCRYPTION_CONFIG)
        // Kubelets have certificates of the cluster's authority, and are not believed without.
        .set("kubelet-certificate-authority", CA)
        // The default, said so that a change is seen.
        .set("request-timeout", "1m0s")
        // By default a token that was asked for an hour is good for a year.
        .set("service-account-extend-token-expiration", "false");
}

/// The files that these flags name, but for the one with the key, which is the caller's.
pub(crate) fn api_server_files(place: Place<'_>) -> Vec<File> {
    if !is_hardened(place) {
        return Vec::new();
    }
    let file = |name: &str, value: &Value| File::public(path(name), yaml::render(value));
    let mut files = vec![
        file("admission", &admission()),
        file("audit-policy", &audit_policy()),
    ];
    if let Anonymous::HealthOnly { api_version } = Anonymous::of(place) {
        files.push(file("authentication", &authentication(api_version)));
    }
    files
}

fn path(name: &str) -> String {
    format!("{DIR}/{name}.yaml")
}

/// The figures of the benchmark: 30 days, 10 files, 100 MB each.
fn audit_log(flags: &mut Flags) {
    flags
        .set("audit-log-maxage", "30")
        .set("audit-log-maxbackup", "10")
        .set("audit-log-maxsize", "100")
        .set("audit-log-path", format!("{LOG_DIR}/audit.log"))
        .set("audit-policy-file", path("audit-policy"));
}

/// Beside those that are on by default, ServiceAccount, NamespaceLifecycle and PodSecurity among them.
///
/// AlwaysPullImages has every pod ask the registry whether it may have its image; without a registry no pod would start.
fn admission_plugins(place: Place<'_>) -> String {
    let mut plugins = vec![
        "DenyServiceExternalIPs",
        "EventRateLimit",
        "NodeRestriction",
    ];
    if place.cluster.images.registry {
        plugins.insert(0, "AlwaysPullImages");
    }
    plugins.join(",")
}

/// `AdmissionConfiguration`, <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>.
///
/// Users' pods are held to the baseline of Pod Security unless their namespace says otherwise, and warned of what the
/// restricted level asks for. `kube-system` is exempt: kube-proxy and network plugins have to be privileged. The limits
/// of events are those of the documentation; what is over them is lost, and nothing else.
fn admission() -> Value {
    let limit = |kind: &str, qps: u32, burst: u32| json!({"type": kind, "qps": qps, "burst": burst, "cacheSize": 2000});
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {
                "name": "EventRateLimit",
                "configuration": {
                    "apiVersion": "eventratelimit.admission.k8s.io/v1alpha1",
                    "kind": "Configuration",
                    "limits": [limit("Namespace", 50, 100), limit("User", 10, 50)],
                },
            },
            {
                "name": "PodSecurity",
                "configuration": {
                    "apiVersion": "pod-security.admission.config.k8s.io/v1",
                    "kind": "PodSecurityConfiguration",
                    "defaults": {
                        "audit": "restricted",
                        "audit-version": "latest",
                        "enforce": "baseline",
                        "enforce-version": "latest",
                        "warn": "restricted",
                        "warn-version": "latest",
                    },
                    "exemptions": {"namespaces": ["kube-system"], "runtimeClasses": [], "usernames": []},
                },
            },
        ],
    })
}

/// `Policy`, <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>.
///
/// Who did what to which object and when, never with what words: a log with the bodies of requests is one more place
/// with everybody's secrets. Left out are health, and the leases by which components say that they live.
fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitManagedFields": true,
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*"]},
            {
                "level": "None",
                "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
                "userGroups": ["system:nodes"],
            },
            {
                "level": "None",
                "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
                "users": ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"],
            },
            {"level": "Metadata"},
        ],
    })
}

/// `AuthenticationConfiguration`, <https://kubernetes.io/docs/reference/access-authn-authz/authentication/>.
fn authentication(api_version: &str) -> Value {
    let paths = ["/healthz", "/livez", "/readyz"].map(|path| json!({"path": path}));
    json!({
        "apiVersion": api_version,
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": true, "conditions": paths},
        "jwt": [],
    })
}
