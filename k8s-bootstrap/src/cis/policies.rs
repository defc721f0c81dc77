//! 5: policies, which only the people of a cluster can judge; but for one, the default of Pod Security.

use super::{
    check::{Check, Duty::ControlPlane},
    rule::Rule,
};

#[rustfmt::skip]
pub(super) const CHECKS: &[Check] = &[
    Check::manual("5.1.1", "cluster-admin only where it is needed", "kubectl get clusterrolebindings -o wide"),
    Check::manual("5.1.2", "few may read Secrets", "roles with get, list or watch of secrets"),
    Check::manual("5.1.3", "few wildcards in roles", "roles with '*' in resources or verbs"),
    Check::manual("5.1.4", "few may make pods", "roles with create of pods"),
    Check::manual("5.1.5", "nobody uses the service accounts `default`", "automountServiceAccountToken of the accounts `default`"),
    Check::manual("5.1.6", "tokens only in pods that need them", "automountServiceAccountToken of pods and accounts"),
    Check::manual("5.1.7", "nobody in system:masters", "who holds super-admin.conf (before 1.29 admin.conf)"),
    Check::manual("5.1.8", "few may bind, escalate or impersonate", "roles with these verbs"),
    Check::manual("5.1.9", "few may make persistent volumes", "roles with create of persistentvolumes"),
    Check::manual("5.1.10", "few may use the proxy of nodes", "roles with nodes/proxy"),
    Check::manual("5.1.11", "few may approve certificates", "roles with certificatesigningrequests/approval"),
    Check::manual("5.1.12", "few may change webhooks", "roles with validating- and mutatingwebhookconfigurations"),
    Check::manual("5.1.13", "few may make tokens", "roles with serviceaccounts/token"),
    Check::judged("5.2.1", "a policy for pods is at work", ControlPlane, Rule::PodSecurity),
    Check::manual("5.2.2", "few privileged containers", "namespaces without pod-security.kubernetes.io/enforce, and kube-system"),
    Check::manual("5.2.3", "few pods in the host's process namespace", "the same"),
    Check::manual("5.2.4", "few pods in the host's IPC namespace", "the same"),
    Check::manual("5.2.5", "few pods in the host's network", "the same"),
    Check::manual("5.2.6", "few containers that gain privileges", "allowPrivilegeEscalation; the level `restricted` forbids it"),
    Check::manual("5.2.7", "few containers of root", "runAsNonRoot; the level `restricted` demands it"),
    Check::manual("5.2.8", "few containers with NET_RAW", "capabilities; the level `restricted` drops all"),
    Check::manual("5.2.9", "few containers with capabilities", "the same"),
    Check::manual("5.2.10", "few HostProcess containers of Windows", "windowsOptions.hostProcess"),
    Check::manual("5.2.11", "few volumes of the host", "hostPath; the level `baseline` forbids it"),
    Check::manual("5.2.12", "few ports of the host", "hostPort; the level `baseline` forbids it"),
    Check::manual("5.3.1", "the network enforces NetworkPolicy", "the bridge of this crate does not: examples/manifests/README.md says what can take the place"),
    Check::manual("5.3.2", "every namespace has a NetworkPolicy", "kubectl get networkpolicies -A"),
    Check::manual("5.4.1", "Secrets as files, not as environment", "secretKeyRef in pods"),
    Check::manual("5.4.2", "Secrets from outside", "whether a store outside the cluster is worth it"),
    Check::manual("5.5.1", "images of known origin", "ImagePolicyWebhook, or another admission of images"),
    Check::manual("5.6.1", "namespaces divide", "kubectl get namespaces"),
    Check::manual("5.6.2", "a seccomp profile for pods", "seccompProfile; seccompDefault of the kubelet gives the runtime's"),
    Check::manual("5.6.3", "security contexts for pods", "securityContext of pods"),
    Check::manual("5.6.4", "the namespace `default` is empty", "kubectl get all -n default"),
];
