//! Which file of the set lies where on which machine: data; whoever reaches the machines writes.

use crate::name::{ApiUrl, HostName};
use crate::role::{CaRole, LeafRole, PROFILES, Placement, Profile, Scope};
use crate::spec::{ItemId, NodeNames, PkiSpec};
use crate::store::{KEY_MODE, PUBLIC_MODE};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// A certificate, or the public key of the service account pair.
    Public(ItemId),
    /// A key.
    Key(ItemId),
    /// A kubeconfig with certificate and key embedded.
    Kubeconfig {
        /// The leaf that is embedded.
        id: ItemId,
        /// The cluster's name.
        cluster_name: HostName,
        /// Where the API is reached.
        server_url: ApiUrl,
    },
}

/// A file of a machine. `Store::contents` gives its bytes. All belong to root; etcd's directory
/// may be given to the user that etcd runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// The absolute path on the machine.
    pub path: String,
    /// The permission bits; 0600 for everything that holds a key.
    pub mode: u32,
    /// What it holds.
    pub content: FileContent,
}

/// The spec has no such machine in the list that was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not among {list} of the spec")]
pub struct UnknownNode {
    /// The name asked for.
    pub name: String,
    /// The spec's field.
    pub list: &'static str,
}

fn public(path: &str, id: ItemId) -> NodeFile {
    NodeFile {
        path: path.to_owned(),
        mode: PUBLIC_MODE,
        content: FileContent::Public(id),
    }
}

fn key(path: &str, id: ItemId) -> NodeFile {
    NodeFile {
        path: path.to_owned(),
        mode: KEY_MODE,
        content: FileContent::Key(id),
    }
}

impl PkiSpec {
    /// The files of a control plane, at kubeadm's paths. The key of the Kubernetes authority is
    /// among them, since the controller manager signs the kubelets' certificates with it; no other
    /// authority's key leaves the store.
    ///
    /// # Errors
    /// When the spec has no such control plane.
    pub fn files_for_control_plane(&self, name: &HostName) -> Result<Vec<NodeFile>, UnknownNode> {
        let node = find("control_planes", &self.control_planes, name)?;
        let first = self
            .control_planes
            .first()
            .is_some_and(|first| first.name == *name);
        let kubernetes = ItemId::Authority(CaRole::Kubernetes);
        let mut files = vec![
            public("/etc/kubernetes/pki/ca.crt", kubernetes.clone()),
            key("/etc/kubernetes/pki/ca.key", kubernetes),
            public(
                "/etc/kubernetes/pki/front-proxy-ca.crt",
                ItemId::Authority(CaRole::FrontProxy),
            ),
            public(
                "/etc/kubernetes/pki/etcd/ca.crt",
                ItemId::Authority(CaRole::Etcd),
            ),
            public("/etc/kubernetes/pki/sa.pub", ItemId::ServiceAccount),
            key("/etc/kubernetes/pki/sa.key", ItemId::ServiceAccount),
        ];
        self.extend_files(&mut files, Scope::ControlPlane, node);
        for profile in PROFILES
            .iter()
            .filter(|profile| profile.scope == Scope::Cluster)
        {
            let here = profile.role != LeafRole::SuperAdmin || first;
            if here && profile.since <= self.kubernetes_version {
                let id = ItemId::cluster(profile.role);
                self.push_leaf(&mut files, profile, id, &self.api_server_url);
            }
        }
        Ok(files)
    }

    /// The files of an etcd member.
    ///
    /// # Errors
    /// When the spec has no such member.
    pub fn files_for_etcd_member(&self, name: &HostName) -> Result<Vec<NodeFile>, UnknownNode> {
        let node = find("etcd_members", &self.etcd_members, name)?;
        let mut files = vec![
            public("/etc/etcd/pki/ca.crt", ItemId::Authority(CaRole::Etcd)),
            public(
                "/etc/etcd/pki/peer-ca.crt",
                ItemId::Authority(CaRole::EtcdPeer),
            ),
        ];
        self.extend_files(&mut files, Scope::EtcdMember, node);
        Ok(files)
    }

    /// The files of a machine with a kubelet. A control plane with a kubelet has both lists; what
    /// is in both is the same.
    ///
    /// # Errors
    /// When the spec has no such node.
    pub fn files_for_node(&self, name: &HostName) -> Result<Vec<NodeFile>, UnknownNode> {
        let node = find("nodes", &self.nodes, name)?;
        let authority = ItemId::Authority(CaRole::Kubernetes);
        let mut files = vec![public("/etc/kubernetes/pki/ca.crt", authority)];
        self.extend_files(&mut files, Scope::Node, node);
        Ok(files)
    }

    /// The administrator's kubeconfig for whoever runs the cluster, with a URL of their choice.
    #[must_use]
    pub fn admin_kubeconfig(&self, role: LeafRole, server_url: ApiUrl) -> FileContent {
        let cluster_name = self.cluster_name.clone();
        FileContent::Kubeconfig {
            id: ItemId::cluster(role),
            cluster_name,
            server_url,
        }
    }

    fn extend_files(&self, files: &mut Vec<NodeFile>, scope: Scope, node: &NodeNames) {
        let server_url = node.api_server_url.as_ref().unwrap_or(&self.api_server_url);
        for profile in PROFILES.iter().filter(|profile| profile.scope == scope) {
            if self.wants(profile, node) && profile.since <= self.kubernetes_version {
                let id = ItemId::node(profile.role, &node.name);
                self.push_leaf(files, profile, id, server_url);
            }
        }
    }

    fn push_leaf(
        &self,
        files: &mut Vec<NodeFile>,
        profile: &Profile,
        id: ItemId,
        server_url: &ApiUrl,
    ) {
        match profile.placement {
            Placement::Pair(base) => {
                files.push(public(&format!("{base}.crt"), id.clone()));
                files.push(key(&format!("{base}.key"), id));
            }
            Placement::Kubeconfig(path) => {
                let (cluster_name, server_url) = (self.cluster_name.clone(), server_url.clone());
                let content = FileContent::Kubeconfig {
                    id,
                    cluster_name,
                    server_url,
                };
                files.push(NodeFile {
                    path: path.to_owned(),
                    mode: KEY_MODE,
                    content,
                });
            }
            Placement::Operator => {}
        }
    }
}

fn find<'a>(
    list: &'static str,
    nodes: &'a [NodeNames],
    name: &HostName,
) -> Result<&'a NodeNames, UnknownNode> {
    let unknown = || UnknownNode {
        name: name.to_string(),
        list,
    };
    nodes
        .iter()
        .find(|node| node.name == *name)
        .ok_or_else(unknown)
}
