//! The certificates of a Kubernetes cluster with external etcd, as data.
//!
//! Follows kubeadm's set (kubernetes.io, "PKI certificates and requirements") with two additions:
//! etcd peers have their own authority, and kube-proxy has a client certificate, because it runs
//! as a service here and not as a pod with a token.

use crate::request::Purpose;
use crate::version::KubernetesVersion;

/// The certificate authorities of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaRole {
    /// Signs the API server, its users and the kubelets.
    Kubernetes,
    /// Signs the API server towards aggregated APIs.
    FrontProxy,
    /// Signs etcd's servers and their clients.
    Etcd,
    /// Signs etcd's members towards each other. A client of etcd is no peer, so it has its own.
    EtcdPeer,
}

impl CaRole {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 4] = [
        Self::Kubernetes,
        Self::FrontProxy,
        Self::Etcd,
        Self::EtcdPeer,
    ];

    /// The subject, kubeadm's where kubeadm has this authority.
    #[must_use]
    pub const fn common_name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::FrontProxy => "front-proxy-ca",
            Self::Etcd => "etcd-ca",
            Self::EtcdPeer => "etcd-peer-ca",
        }
    }

    /// The name in the store and in plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::FrontProxy => "front-proxy",
            Self::Etcd => "etcd",
            Self::EtcdPeer => "etcd-peer",
        }
    }
}

/// The leaves of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeafRole {
    /// The API server's serving certificate.
    ApiServer,
    /// The API server as a client of kubelets.
    ApiServerKubeletClient,
    /// The API server as a client of etcd.
    ApiServerEtcdClient,
    /// The API server as a client of aggregated APIs.
    FrontProxyClient,
    /// The controller manager as a client of the API.
    ControllerManager,
    /// The scheduler as a client of the API.
    Scheduler,
    /// The administrator, once the binding of its group exists.
    Admin,
    /// The administrator against an empty API (KEP-4214), from 1.29.
    SuperAdmin,
    /// A kubelet as a client of the API; TLS bootstrap gives it one, so it is not issued here by
    /// default.
    Kubelet,
    /// kube-proxy as a client of the API.
    KubeProxy,
    /// etcd towards its clients.
    EtcdServer,
    /// etcd towards its peers, in both directions.
    EtcdPeer,
    /// Whoever asks etcd for its health.
    EtcdHealthcheckClient,
}

/// Which machines get a leaf of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One for the whole cluster, kept by whoever runs it.
    Cluster,
    /// One for each control plane.
    ControlPlane,
    /// One for each etcd member.
    EtcdMember,
    /// One for each machine with a kubelet.
    Node,
}

/// How the common name is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonName {
    /// Always this.
    Fixed(&'static str),
    /// This, followed by the machine's name.
    NodeWithPrefix(&'static str),
}

/// Which alternative names a leaf has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AltNameRule {
    /// None: the leaf only dials.
    None,
    /// The machine, the `kubernetes` service under its four names, the first service addresses,
    /// every host of an API URL, and what the spec adds.
    ApiServer,
    /// The machine, `localhost` and both loopback addresses.
    EtcdMember,
}

/// Groups from a version on; the last point that is not later than the cluster's version counts.
pub type GroupsSince = (KubernetesVersion, &'static [&'static str]);

/// Where a leaf lies on its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Two PEM files: this path with `.crt` (0644) and `.key` (0600).
    Pair(&'static str),
    /// A kubeconfig (0600) that holds certificate and key.
    Kubeconfig(&'static str),
    /// Nowhere: whoever runs the cluster keeps it.
    Operator,
}

/// All that is fixed about a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The role described.
    pub role: LeafRole,
    /// The name in the store and in plans, kubeadm's file name where there is one.
    pub name: &'static str,
    /// Which authority signs it.
    pub signer: CaRole,
    /// The subject's common name.
    pub common_name: CommonName,
    /// The subject's groups by version.
    pub groups: &'static [GroupsSince],
    /// What it may be used for.
    pub purpose: Purpose,
    /// Its alternative names.
    pub alt_names: AltNameRule,
    /// Who gets one.
    pub scope: Scope,
    /// Where it lies.
    pub placement: Placement,
    /// The first version that knows the role.
    pub since: KubernetesVersion,
    /// Whether a cluster's set holds it without being asked.
    pub by_default: bool,
}

const ANY: KubernetesVersion = KubernetesVersion::new(1, 0, 0);
const V1_29: KubernetesVersion = KubernetesVersion::new(1, 29, 0);
const NO_GROUP: &[&str] = &[];
const MASTERS: &[&str] = &["system:masters"];
const CLUSTER_ADMINS: &[&str] = &["kubeadm:cluster-admins"];

const NEVER: &[GroupsSince] = &[];
/// etcd's clients carried `system:masters` for no reason until kubernetes#120521 and #119859.
const MASTERS_UNTIL_1_29: &[GroupsSince] = &[(ANY, MASTERS), (V1_29, NO_GROUP)];
/// kubernetes#121305.
const ADMIN: &[GroupsSince] = &[(ANY, MASTERS), (V1_29, CLUSTER_ADMINS)];
/// kubernetes#121837 in 1.29.0, then #138957 in these patch releases of four branches at once.
const KUBELET_CLIENT: &[GroupsSince] = &[
    (ANY, MASTERS),
    (V1_29, CLUSTER_ADMINS),
    (KubernetesVersion::new(1, 33, 12), NO_GROUP),
    (KubernetesVersion::new(1, 34, 0), CLUSTER_ADMINS),
    (KubernetesVersion::new(1, 34, 8), NO_GROUP),
    (KubernetesVersion::new(1, 35, 0), CLUSTER_ADMINS),
    (KubernetesVersion::new(1, 35, 5), NO_GROUP),
    (KubernetesVersion::new(1, 36, 0), CLUSTER_ADMINS),
    (KubernetesVersion::new(1, 36, 1), NO_GROUP),
];

/// A client of the API on a control plane, of no group and any version: what most rows share.
const CLIENT: Profile = Profile {
    role: LeafRole::ControllerManager,
    name: "controller-manager",
    signer: CaRole::Kubernetes,
    common_name: CommonName::Fixed("system:kube-controller-manager"),
    groups: NEVER,
    purpose: Purpose::Client,
    alt_names: AltNameRule::None,
    scope: Scope::ControlPlane,
    placement: Placement::Kubeconfig("/etc/kubernetes/controller-manager.conf"),
    since: ANY,
    by_default: true,
};

/// The table of roles, one row each.
pub const PROFILES: &[Profile] = &[
    Profile {
        role: LeafRole::ApiServer,
        name: "apiserver",
        common_name: CommonName::Fixed("kube-apiserver"),
        purpose: Purpose::Server,
        alt_names: AltNameRule::ApiServer,
        placement: Placement::Pair("/etc/kubernetes/pki/apiserver"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::ApiServerKubeletClient,
        name: "apiserver-kubelet-client",
        common_name: CommonName::Fixed("kube-apiserver-kubelet-client"),
        groups: KUBELET_CLIENT,
        placement: Placement::Pair("/etc/kubernetes/pki/apiserver-kubelet-client"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::ApiServerEtcdClient,
        name: "apiserver-etcd-client",
        signer: CaRole::Etcd,
        common_name: CommonName::Fixed("kube-apiserver-etcd-client"),
        groups: MASTERS_UNTIL_1_29,
        placement: Placement::Pair("/etc/kubernetes/pki/apiserver-etcd-client"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::FrontProxyClient,
        name: "front-proxy-client",
        signer: CaRole::FrontProxy,
        common_name: CommonName::Fixed("front-proxy-client"),
        placement: Placement::Pair("/etc/kubernetes/pki/front-proxy-client"),
        ..CLIENT
    },
    CLIENT,
    Profile {
        role: LeafRole::Scheduler,
        name: "scheduler",
        common_name: CommonName::Fixed("system:kube-scheduler"),
        placement: Placement::Kubeconfig("/etc/kubernetes/scheduler.conf"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::Admin,
        name: "admin",
        common_name: CommonName::Fixed("kubernetes-admin"),
        groups: ADMIN,
        scope: Scope::Cluster,
        placement: Placement::Kubeconfig("/etc/kubernetes/admin.conf"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::SuperAdmin,
        name: "super-admin",
        common_name: CommonName::Fixed("kubernetes-super-admin"),
        groups: &[(V1_29, MASTERS)],
        scope: Scope::Cluster,
        placement: Placement::Kubeconfig("/etc/kubernetes/super-admin.conf"),
        since: V1_29,
        ..CLIENT
    },
    Profile {
        role: LeafRole::Kubelet,
        name: "kubelet",
        common_name: CommonName::NodeWithPrefix("system:node:"),
        groups: &[(ANY, &["system:nodes"])],
        scope: Scope::Node,
        placement: Placement::Kubeconfig("/etc/kubernetes/kubelet.conf"),
        by_default: false,
        ..CLIENT
    },
    Profile {
        role: LeafRole::KubeProxy,
        name: "kube-proxy",
        common_name: CommonName::Fixed("system:kube-proxy"),
        scope: Scope::Node,
        placement: Placement::Kubeconfig("/etc/kubernetes/kube-proxy.conf"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::EtcdServer,
        name: "etcd-server",
        signer: CaRole::Etcd,
        common_name: CommonName::NodeWithPrefix(""),
        purpose: Purpose::ServerAndClient,
        alt_names: AltNameRule::EtcdMember,
        scope: Scope::EtcdMember,
        placement: Placement::Pair("/etc/etcd/pki/server"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::EtcdPeer,
        name: "etcd-peer",
        signer: CaRole::EtcdPeer,
        common_name: CommonName::NodeWithPrefix(""),
        purpose: Purpose::ServerAndClient,
        alt_names: AltNameRule::EtcdMember,
        scope: Scope::EtcdMember,
        placement: Placement::Pair("/etc/etcd/pki/peer"),
        ..CLIENT
    },
    Profile {
        role: LeafRole::EtcdHealthcheckClient,
        name: "etcd-healthcheck-client",
        signer: CaRole::Etcd,
        common_name: CommonName::Fixed("kube-etcd-healthcheck-client"),
        groups: MASTERS_UNTIL_1_29,
        scope: Scope::Cluster,
        placement: Placement::Operator,
        ..CLIENT
    },
];

impl LeafRole {
    /// The row of [`PROFILES`] about this role.
    #[must_use]
    pub fn profile(self) -> &'static Profile {
        PROFILES
            .iter()
            .find(|profile| profile.role == self)
            .expect("a test walks every role through the table")
    }
}

impl Profile {
    /// The groups that this role has in a version.
    #[must_use]
    pub fn groups(&self, version: KubernetesVersion) -> &'static [&'static str] {
        let reached = self
            .groups
            .iter()
            .rev()
            .find(|(since, _)| *since <= version);
        reached.map_or(NO_GROUP, |(_, groups)| groups)
    }
}

/// A cluster role binding that identities of this table need before they can do their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredBinding {
    /// The binding's name, kubeadm's.
    pub name: &'static str,
    /// `Group` or `User`.
    pub subject_kind: &'static str,
    /// The group or user.
    pub subject_name: &'static str,
    /// The cluster role that is bound.
    pub cluster_role: &'static str,
}

/// The bindings that must be made in a cluster of this version, because the certificates carry no
/// built-in right: without them `kubectl` with admin.conf, or `kubectl logs` and `exec`, are
/// forbidden.
#[must_use]
pub fn required_bindings(version: KubernetesVersion) -> Vec<RequiredBinding> {
    let mut bindings = Vec::new();
    if LeafRole::Admin.profile().groups(version) == CLUSTER_ADMINS {
        bindings.push(RequiredBinding {
            name: "kubeadm:cluster-admins",
            subject_kind: "Group",
            subject_name: "kubeadm:cluster-admins",
            cluster_role: "cluster-admin",
        });
    }
    if LeafRole::ApiServerKubeletClient
        .profile()
        .groups(version)
        .is_empty()
    {
        bindings.push(RequiredBinding {
            name: "kubeadm:apiserver-kubelet-client",
            subject_kind: "User",
            subject_name: "kube-apiserver-kubelet-client",
            cluster_role: "system:kubelet-api-admin",
        });
    }
    bindings
}
