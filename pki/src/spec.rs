//! What a cluster needs, and the items that follow from it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::{AltNames, ApiUrl, HostName, NameError, check_address};
use crate::request::{LeafRequest, Life, RequestError, Subject};
use crate::role::{AltNameRule, CaRole, CommonName, LeafRole, PROFILES, Profile, Scope};
use crate::version::KubernetesVersion;
use crate::x509::{KeyError, KeySpec};

/// A machine as certificates name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeNames {
    /// Its host name, which is also its name in Kubernetes or etcd.
    pub name: HostName,
    /// The addresses under which others dial it. etcd also compares them with the address that
    /// a peer dials from, so every network between members counts.
    pub ips: Vec<IpAddr>,
    /// Where clients on this machine reach the API, when that differs from the cluster's URL.
    pub api_server_url: Option<ApiUrl>,
}

/// A cluster as certificates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkiSpec {
    /// The cluster's name in kubeconfigs.
    pub cluster_name: HostName,
    /// Decides the groups of some identities, to the patch.
    pub kubernetes_version: KubernetesVersion,
    /// The DNS domain of services, mostly `cluster.local`.
    pub dns_domain: HostName,
    /// The first address of each service range: the service `kubernetes`.
    pub api_service_ips: Vec<IpAddr>,
    /// More names and addresses under which the API is dialled.
    pub api_extra_names: AltNames,
    /// Where clients reach the API. Its host, and those of each machine's own URL, become
    /// alternative names of the API servers.
    pub api_server_url: ApiUrl,
    /// The machines with an API server. The first one gets the super-administrator's file.
    pub control_planes: Vec<NodeNames>,
    /// The machines with a kubelet; a control plane that has one is listed here too.
    pub nodes: Vec<NodeNames>,
    /// The members of etcd.
    pub etcd_members: Vec<NodeNames>,
    /// How long authorities live.
    pub authority_life: Life,
    /// How long leaves live.
    pub leaf_life: Life,
    /// Which kubelets get client certificates from here instead of by TLS bootstrapping.
    pub kubelet_clients: KubeletClients,
    /// The kind of all keys, kubeadm's `encryptionAlgorithm`. A leaf of another kind is made anew; authorities and the
    /// service account key keep theirs until they are rotated.
    pub key: KeySpec,
}

/// Which kubelets get client certificates from the store. The others ask the cluster (TLS bootstrapping).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubeletClients {
    /// None: every API server is started by something else than a kubelet.
    None,
    /// Those of control planes, which start the API servers and so cannot ask them first.
    ControlPlanes,
    /// All.
    All,
}

/// A spec that no set of certificates can fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Two machines of one list share a name.
    #[error("{list} holds `{name}` twice; give each machine its own name")]
    DuplicateNode {
        /// The field of the spec.
        list: &'static str,
        /// The repeated name.
        name: HostName,
    },
    /// A machine that others must dial has no address.
    #[error("`{name}` in {list} has no address; give at least one")]
    NoAddress {
        /// The field of the spec.
        list: &'static str,
        /// The machine.
        name: HostName,
    },
    /// An address that no certificate can hold.
    #[error("{field} of `{name}`")]
    Address {
        /// The field of the spec.
        field: &'static str,
        /// The machine, or the cluster.
        name: HostName,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// No service address although there is an API server.
    #[error("api_service_ips is empty; give the first address of each service range")]
    NoServiceAddress,
    /// A kind of key that this build does not draw.
    #[error("key")]
    Key(#[source] KeyError),
    /// Leaves would have to outlive their authorities.
    #[error("leaf_life is not shorter than authority_life; every leaf would outlive its authority")]
    LeafLife,
    /// A leaf that cannot be asked for.
    #[error("certificate {item}")]
    Request {
        /// The leaf.
        item: ItemId,
        /// What is wrong with it.
        #[source]
        source: RequestError,
    },
}

/// Whose leaf it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The cluster's.
    Cluster,
    /// One machine's.
    Node(HostName),
}

/// One thing in the store: a pair of files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemId {
    /// An authority.
    Authority(CaRole),
    /// The key pair that signs service account tokens; no certificate.
    ServiceAccount,
    /// A leaf.
    Leaf {
        /// What it is for.
        role: LeafRole,
        /// Whose it is.
        owner: Owner,
    },
}

impl ItemId {
    /// A leaf of the whole cluster, as the administrator's.
    #[must_use]
    pub fn cluster(role: LeafRole) -> Self {
        Self::Leaf {
            role,
            owner: Owner::Cluster,
        }
    }

    /// A leaf of one machine.
    #[must_use]
    pub fn node(role: LeafRole, name: &HostName) -> Self {
        Self::Leaf {
            role,
            owner: Owner::Node(name.clone()),
        }
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(role) => write!(f, "ca/{}", role.name()),
            Self::ServiceAccount => f.write_str("service-account"),
            Self::Leaf {
                role,
                owner: Owner::Cluster,
            } => {
                write!(f, "cluster/{}", role.profile().name)
            }
            Self::Leaf {
                role,
                owner: Owner::Node(name),
            } => {
                write!(f, "node/{name}/{}", role.profile().name)
            }
        }
    }
}

/// A text that names no item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no item of a store; give ca/AUTHORITY, cluster/ROLE or node/MACHINE/ROLE, such as cluster/admin, or \
     service-account"
)]
pub struct InvalidItem(String);

impl std::str::FromStr for ItemId {
    type Err = InvalidItem;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let profile = |name: &str| PROFILES.iter().find(|profile| profile.name == name);
        let of_cluster = |scope| scope == Scope::Cluster;
        let found = match text.split('/').collect::<Vec<_>>()[..] {
            ["service-account"] => Some(Self::ServiceAccount),
            ["ca", name] => {
                let role = CaRole::ALL.into_iter().find(|role| role.name() == name);
                role.map(Self::Authority)
            }
            ["cluster", name] => profile(name)
                .filter(|profile| of_cluster(profile.scope))
                .map(|profile| Self::cluster(profile.role)),
            ["node", machine, name] => profile(name)
                .filter(|profile| !of_cluster(profile.scope))
                .zip(HostName::new(machine).ok())
                .map(|(profile, machine)| Self::node(profile.role, &machine)),
            _ => None,
        };
        found.ok_or_else(|| InvalidItem(text.to_owned()))
    }
}

impl serde::Serialize for ItemId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A leaf of the cluster's set with its signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedLeaf {
    /// Which one.
    pub id: ItemId,
    /// Who signs it.
    pub signer: CaRole,
    /// What it says.
    pub request: LeafRequest,
}

impl PkiSpec {
    /// Every leaf of the cluster's set, in the order of [`PROFILES`].
    ///
    /// # Errors
    /// [`SpecError`] with the first contradiction of the spec.
    pub fn leaves(&self) -> Result<Vec<WantedLeaf>, SpecError> {
        self.check()?;
        let mut leaves = Vec::new();
        for profile in PROFILES {
            if profile.since > self.kubernetes_version {
                continue;
            }
            match profile.scope {
                Scope::Cluster => leaves.push(self.leaf(profile, None)?),
                Scope::ControlPlane => self.extend(&mut leaves, profile, &self.control_planes)?,
                Scope::EtcdMember => self.extend(&mut leaves, profile, &self.etcd_members)?,
                Scope::Node => self.extend(&mut leaves, profile, &self.nodes)?,
            }
        }
        Ok(leaves)
    }

    /// Whether a machine has a leaf of this role.
    pub(crate) fn wants(&self, profile: &Profile, node: &NodeNames) -> bool {
        let is_control_plane = || self.control_planes.iter().any(|cp| cp.name == node.name);
        profile.by_default
            || match self.kubelet_clients {
                KubeletClients::None => false,
                KubeletClients::ControlPlanes => is_control_plane(),
                KubeletClients::All => true,
            }
    }

    fn extend(
        &self,
        leaves: &mut Vec<WantedLeaf>,
        profile: &Profile,
        nodes: &[NodeNames],
    ) -> Result<(), SpecError> {
        for node in nodes.iter().filter(|node| self.wants(profile, node)) {
            leaves.push(self.leaf(profile, Some(node))?);
        }
        Ok(())
    }

    fn leaf(&self, profile: &Profile, node: Option<&NodeNames>) -> Result<WantedLeaf, SpecError> {
        let id = node.map_or_else(
            || ItemId::cluster(profile.role),
            |node| ItemId::node(profile.role, &node.name),
        );
        let common_name = match (profile.common_name, node) {
            (CommonName::NodeWithPrefix(prefix), Some(node)) => format!("{prefix}{}", node.name),
            (CommonName::Fixed(name) | CommonName::NodeWithPrefix(name), _) => name.to_owned(),
        };
        let names = match (profile.alt_names, node) {
            (AltNameRule::ApiServer, Some(node)) => self.api_server_names(node)?,
            (AltNameRule::EtcdMember, Some(node)) => etcd_names(node)?,
            _ => AltNames::default(),
        };
        let request = Subject::new(&common_name, profile.groups(self.kubernetes_version))
            .and_then(|subject| LeafRequest::new(subject, profile.purpose, names, self.leaf_life))
            .map(|request| request.with_key(self.key))
            .map_err(|source| SpecError::Request {
                item: id.clone(),
                source,
            })?;
        Ok(WantedLeaf {
            id,
            signer: profile.signer,
            request,
        })
    }

    fn api_server_names(&self, node: &NodeNames) -> Result<AltNames, SpecError> {
        let bad = |field| {
            move |source| SpecError::Address {
                field,
                name: node.name.clone(),
                source,
            }
        };
        let service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut dns: Vec<HostName> = service
            .into_iter()
            .map(HostName::new)
            .chain([HostName::new(&format!(
                "kubernetes.default.svc.{}",
                self.dns_domain
            ))])
            .collect::<Result<_, _>>()
            .map_err(bad("dns_domain, for the API server"))?;
        if !dns.contains(&node.name) {
            dns.push(node.name.clone());
        }
        let service_ips = self.api_service_ips.clone();
        let names =
            AltNames::new(dns, service_ips).map_err(bad("api_service_ips, for the API server"))?;
        let own = AltNames::new(Vec::new(), node.ips.clone()).map_err(bad("ips"))?;
        // Not those at which other control planes call themselves: then one more would change all certificates.
        let callers = self.nodes.iter().chain([node]);
        let urls = callers.filter_map(|node| node.api_server_url.as_ref());
        let dialled = urls.chain([&self.api_server_url]);
        let names = names.union(&own).union(&self.api_extra_names);
        Ok(dialled.fold(names, |names, url| names.union(&url.alt_names())))
    }

    fn check(&self) -> Result<(), SpecError> {
        if !self.key.is_drawn_here() {
            return Err(SpecError::Key(KeyError::Feature(self.key)));
        }
        if self.leaf_life >= self.authority_life {
            return Err(SpecError::LeafLife);
        }
        if !self.control_planes.is_empty() && self.api_service_ips.is_empty() {
            return Err(SpecError::NoServiceAddress);
        }
        check_nodes("control_planes", &self.control_planes)?;
        check_nodes("nodes", &self.nodes)?;
        check_nodes("etcd_members", &self.etcd_members)
    }
}

fn etcd_names(node: &NodeNames) -> Result<AltNames, SpecError> {
    let bad = |source| SpecError::Address {
        field: "ips",
        name: node.name.clone(),
        source,
    };
    let own = AltNames::new(vec![node.name.clone()], node.ips.clone()).map_err(bad)?;
    let localhost = HostName::new("localhost").map_err(bad)?;
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    Ok(own.union(&AltNames::new(vec![localhost], loopback.into()).map_err(bad)?))
}

fn check_nodes(list: &'static str, nodes: &[NodeNames]) -> Result<(), SpecError> {
    for (index, node) in nodes.iter().enumerate() {
        let name = node.name.clone();
        if nodes[..index].iter().any(|earlier| earlier.name == name) {
            return Err(SpecError::DuplicateNode { list, name });
        }
        if node.ips.is_empty() {
            return Err(SpecError::NoAddress { list, name });
        }
        for address in &node.ips {
            check_address(*address).map_err(|source| SpecError::Address {
                field: list,
                name: node.name.clone(),
                source,
            })?;
        }
    }
    Ok(())
}
