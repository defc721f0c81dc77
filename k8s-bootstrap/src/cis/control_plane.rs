//! 1.2 to 3.2: arguments of the control plane and of etcd.

use super::{
    check::{
        Benchmark, Check,
        Duty::{ControlPlane, Etcd},
    },
    facts::Program::{self, ApiServer, ControllerManager, Scheduler},
    rule::{Rule, Test},
};

/// The suites of 1.2.29 in 1.12, which drops those with CBC.
pub(super) const STRONG: Test = Test::Among(&[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
]);

/// A flag of the API server.
const fn api(tests: &'static [(&'static str, Test)]) -> Rule {
    Rule::Flags(ApiServer, tests)
}

const fn member(tests: &'static [(&'static str, Test)]) -> Rule {
    Rule::Flags(Program::Etcd, tests)
}

#[rustfmt::skip]
pub(super) const API_SERVER: &[Check] = &[
    Check::judged("1.2.1", "anonymous requests get no further than health", ControlPlane, Rule::Anonymous),
    Check::automated("1.2.2", "no file of tokens", ControlPlane, api(&[("token-auth-file", Test::Absent)])),
    Check::judged("1.2.3", "Services take no external addresses", ControlPlane, api(&[("enable-admission-plugins", Test::Has("DenyServiceExternalIPs"))])),
    Check::automated("1.2.4", "a client certificate for kubelets", ControlPlane, api(&[("kubelet-client-certificate", Test::Given), ("kubelet-client-key", Test::Given)])),
    Check::automated("1.2.5", "kubelets are believed by their certificate", ControlPlane, api(&[("kubelet-certificate-authority", Test::Given)])),
    Check::automated("1.2.6", "not everything is allowed", ControlPlane, api(&[("authorization-mode", Test::Given), ("authorization-mode", Test::Lacks("AlwaysAllow"))])),
    Check::automated("1.2.7", "nodes are authorized as nodes", ControlPlane, api(&[("authorization-mode", Test::Has("Node"))])),
    Check::automated("1.2.8", "roles authorize", ControlPlane, api(&[("authorization-mode", Test::Has("RBAC"))])),
    Check::judged("1.2.9", "admission limits the rate of events", ControlPlane, api(&[("enable-admission-plugins", Test::Has("EventRateLimit"))])),
    Check::automated("1.2.10", "not everything is admitted", ControlPlane, api(&[("enable-admission-plugins", Test::Lacks("AlwaysAdmit"))])),
    Check::judged("1.2.11", "pods ask the registry for every image", ControlPlane, api(&[("enable-admission-plugins", Test::Has("AlwaysPullImages"))])),
    Check::automated("1.2.12", "admission gives pods a service account", ControlPlane, api(&[("disable-admission-plugins", Test::Lacks("ServiceAccount"))])),
    Check::automated("1.2.13", "admission guards namespaces that end", ControlPlane, api(&[("disable-admission-plugins", Test::Lacks("NamespaceLifecycle"))])),
    Check::automated("1.2.14", "kubelets change what is theirs alone", ControlPlane, api(&[("enable-admission-plugins", Test::Has("NodeRestriction"))])),
    Check::automated("1.2.15", "no profiling of the API server", ControlPlane, api(&[("profiling", Test::Is("false"))])),
    Check::automated("1.2.16", "an audit log", ControlPlane, api(&[("audit-log-path", Test::Given)])),
    Check::automated("1.2.17", "the audit log keeps 30 days", ControlPlane, api(&[("audit-log-maxage", Test::AtLeast(30))])),
    Check::automated("1.2.18", "the audit log keeps 10 files", ControlPlane, api(&[("audit-log-maxbackup", Test::AtLeast(10))])),
    Check::automated("1.2.19", "the audit log's files grow to 100 MB", ControlPlane, api(&[("audit-log-maxsize", Test::AtLeast(100))])),
    Check::judged("1.2.20", "a time limit for requests", ControlPlane, api(&[("request-timeout", Test::Given), ("request-timeout", Test::IsNot("0"))])),
    Check::automated("1.2.21", "tokens of deleted service accounts are dead", ControlPlane, api(&[("service-account-lookup", Test::IsOrAbsent("true"))])),
    Check::automated("1.2.22", "a key of its own for service accounts", ControlPlane, api(&[("service-account-key-file", Test::Given)])),
    Check::automated("1.2.23", "a client certificate for etcd", ControlPlane, api(&[("etcd-certfile", Test::Given), ("etcd-keyfile", Test::Given)])),
    Check::automated("1.2.24", "a certificate for the API", ControlPlane, api(&[("tls-cert-file", Test::Given), ("tls-private-key-file", Test::Given)])),
    Check::automated("1.2.25", "an authority for clients", ControlPlane, api(&[("client-ca-file", Test::Given)])),
    Check::automated("1.2.26", "etcd is believed by its certificate", ControlPlane, api(&[("etcd-cafile", Test::Given)])),
    Check::judged("1.2.27", "Secrets are encrypted at rest", ControlPlane, api(&[("encryption-provider-config", Test::Given)])),
    Check::judged("1.2.28", "by a strong provider", ControlPlane, Rule::Encryption),
    Check::judged("1.2.29", "strong ciphers of the API server", ControlPlane, api(&[("tls-cipher-suites", STRONG)])),
    Check::automated("1.2.30", "tokens of service accounts end when they say", ControlPlane, api(&[("service-account-extend-token-expiration", Test::Is("false"))]))
        .of(Benchmark::V1_11, Benchmark::V1_12),
];

#[rustfmt::skip]
pub(super) const CONTROLLERS: &[Check] = &[
    Check::judged("1.3.1", "a number of ended pods that are kept", ControlPlane, Rule::Flags(ControllerManager, &[("terminated-pod-gc-threshold", Test::AtLeast(1))])),
    Check::automated("1.3.2", "no profiling of the controller manager", ControlPlane, Rule::Flags(ControllerManager, &[("profiling", Test::Is("false"))])),
    Check::automated("1.3.3", "each controller has its own identity", ControlPlane, Rule::Flags(ControllerManager, &[("use-service-account-credentials", Test::Is("true"))])),
    Check::automated("1.3.4", "a key to sign tokens of service accounts", ControlPlane, Rule::Flags(ControllerManager, &[("service-account-private-key-file", Test::Given)])),
    Check::automated("1.3.5", "pods get the authority's certificate", ControlPlane, Rule::Flags(ControllerManager, &[("root-ca-file", Test::Given)])),
    Check::automated("1.3.6", "kubelets renew their serving certificates", ControlPlane, Rule::Flags(ControllerManager, &[("feature-gates", Test::Lacks("RotateKubeletServerCertificate=false"))])),
    Check::automated("1.3.7", "the controller manager listens on the loopback", ControlPlane, Rule::Flags(ControllerManager, &[("bind-address", Test::Is("127.0.0.1"))])),
    Check::automated("1.4.1", "no profiling of the scheduler", ControlPlane, Rule::Flags(Scheduler, &[("profiling", Test::Is("false"))])),
    Check::automated("1.4.2", "the scheduler listens on the loopback", ControlPlane, Rule::Flags(Scheduler, &[("bind-address", Test::Is("127.0.0.1"))])),
];

#[rustfmt::skip]
pub(super) const ETCD: &[Check] = &[
    Check::automated("2.1", "a certificate for clients of etcd", Etcd, member(&[("cert-file", Test::Given), ("key-file", Test::Given)])),
    Check::automated("2.2", "clients of etcd show a certificate", Etcd, member(&[("client-cert-auth", Test::Is("true"))])),
    Check::automated("2.3", "no certificate of its own making for clients", Etcd, member(&[("auto-tls", Test::IsOrAbsent("false"))])),
    Check::automated("2.4", "a certificate between members", Etcd, member(&[("peer-cert-file", Test::Given), ("peer-key-file", Test::Given)])),
    Check::automated("2.5", "members show each other a certificate", Etcd, member(&[("peer-client-cert-auth", Test::Is("true"))])),
    Check::automated("2.6", "no certificate of its own making between members", Etcd, member(&[("peer-auto-tls", Test::IsOrAbsent("false"))])),
    Check::judged("2.7", "an authority for clients of etcd", Etcd, member(&[("trusted-ca-file", Test::Given)])),
];

#[rustfmt::skip]
pub(super) const AUTHENTICATION: &[Check] = &[
    Check::manual("3.1.1", "users have no client certificates", "who holds admin.conf and super-admin.conf: they cannot be revoked"),
    Check::manual("3.1.2", "users have no tokens of service accounts", "kubectl get secrets -A --field-selector type=kubernetes.io/service-account-token"),
    Check::manual("3.1.3", "users have no bootstrap tokens", "kubectl get secrets -n kube-system --field-selector type=bootstrap.kubernetes.io/token"),
    Check::judged("3.2.1", "an audit policy", ControlPlane, api(&[("audit-policy-file", Test::Given)])),
    Check::manual("3.2.2", "the audit policy covers what counts", "the file of --audit-policy-file: Secrets at most as metadata; changes, exec and port-forward written down"),
];
