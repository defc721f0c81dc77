//! What is secret or signed, made by the caller.

use crate::{
    component::{SIGNER_CA, kubelet},
    hardened::{ENCRYPTION_CONFIG, EncryptionKey},
};
use host_exec::{File, HostName, InvalidHostName, Mode};
use pki::{
    BootstrapToken, CaRole, FileContent, ItemId, LeafRole, NodeFile, PkiSpec, Store,
    rotation::Rotated,
};
use std::{collections::BTreeMap, fmt};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// A client certificate and its key, both PEM.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(..)")
    }
}

/// The token with which nodes ask for a certificate, and its end.
#[derive(Debug, Clone)]
pub struct ExpiringToken {
    /// The token.
    pub token: BootstrapToken,
    /// When the API stops accepting it. Keep token and time together: both are written into one Secret.
    pub expires: OffsetDateTime,
}

/// Everything that has to be trusted or kept secret.
#[derive(Debug, Clone)]
pub struct Material {
    /// The certificate of the cluster's authority, pinned by kubelets and by this crate's own client. While it is
    /// rotated there are two, the one that signs first.
    pub ca_pem: String,
    /// An identity in the group `system:masters`: the API's own roles are not there yet when the first
    /// objects are written. From 1.29 on that is kubeadm's `super-admin.conf`, before it `admin.conf`.
    pub identity: ClientIdentity,
    /// How nodes without a certificate get one.
    pub token: ExpiringToken,
    /// The client certificates of kubelets that do not ask the cluster for one. Those of control planes of static
    /// pods have to be here: they start the API.
    pub kubelets: BTreeMap<HostName, ClientIdentity>,
    /// Keys, certificates and kubeconfigs of each node, at the paths of kubeadm (below `/etc/kubernetes`).
    pub files: BTreeMap<HostName, Vec<File>>,
}

/// A store that does not give the material of its spec.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// A file of the store cannot be read.
    #[error("cannot take the certificates from the store; make them first with pki::apply")]
    Read(#[from] pki::ReadError),
    /// A machine of the spec cannot be a host.
    #[error(transparent)]
    Name(#[from] InvalidHostName),
    /// The spec contradicts itself.
    #[error(transparent)]
    UnknownNode(#[from] pki::UnknownNode),
}

/// What stands for every certificate and key on paper.
const PAPER: &str = "not issued yet\n";

impl Material {
    /// The material that a store of `pki` holds for the control planes and nodes of its spec.
    ///
    /// # Errors
    ///
    /// The store lacks an item or cannot be read; a machine's name is no host name.
    pub fn from_store(
        spec: &PkiSpec,
        store: &Store,
        token: ExpiringToken,
    ) -> Result<Self, MaterialError> {
        let files = node_files(spec, |content| Ok(store.contents(content)?))?;
        // Before 1.29 there is no super-administrator, and the administrator is in `system:masters`.
        let super_admin = LeafRole::SuperAdmin.profile().since <= spec.kubernetes_version;
        let role = if super_admin {
            LeafRole::SuperAdmin
        } else {
            LeafRole::Admin
        };
        let identity = store.read(&ItemId::cluster(role))?;
        let material = Self {
            ca_pem: store.trusted(Rotated::Authority(CaRole::Kubernetes))?,
            identity: ClientIdentity {
                certificate_pem: identity.public_pem,
                key_pem: identity.key_pem,
            },
            kubelets: kubelets(spec, |id| {
                let item = store.read(id)?;
                Ok(ClientIdentity {
                    certificate_pem: item.public_pem,
                    key_pem: item.key_pem,
                })
            })?,
            token,
            files,
        };
        if !material.trusts_two() {
            return Ok(material);
        }
        let signer = store.read_public(&ItemId::Authority(CaRole::Kubernetes))?;
        let control_planes = spec.control_planes.iter();
        let hosts = control_planes.map(|node| node.name.as_str().parse());
        let hosts = hosts.collect::<Result<Vec<HostName>, _>>()?;
        Ok(material.with_file(hosts, &File::public(SIGNER_CA, signer)))
    }

    /// Whether two authorities are trusted, as while one takes the place of the other; then
    /// [`ClusterSpec::authority_rotates`](crate::ClusterSpec::authority_rotates) has to say so too.
    #[must_use]
    pub fn trusts_two(&self) -> bool {
        self.ca_pem.matches("-----BEGIN CERTIFICATE-----").count() > 1
    }

    /// Adds the configuration with which the API servers of `control_planes` encrypt Secrets at rest: the profile
    /// [`Hardened`](crate::Profile::Hardened) needs it. The key has to be the same for the life of the cluster.
    #[must_use]
    pub fn encrypting(
        self,
        control_planes: impl IntoIterator<Item = HostName>,
        key: &EncryptionKey,
    ) -> Self {
        self.with_file(control_planes, &key.file())
    }

    /// As [`Material::encrypting`] before there is a key: the file with its path and mode, and nothing in it.
    #[must_use]
    pub fn encrypting_on_paper(self, control_planes: impl IntoIterator<Item = HostName>) -> Self {
        self.with_file(control_planes, &File::secret(ENCRYPTION_CONFIG, PAPER))
    }

    fn with_file(mut self, hosts: impl IntoIterator<Item = HostName>, file: &File) -> Self {
        for host in hosts {
            self.files.entry(host).or_default().push(file.clone());
        }
        self
    }

    /// The same before anything is issued: every file with its path and mode, and nothing in it. Enough to show
    /// what there will be; nobody can be spoken to with it.
    ///
    /// # Errors
    ///
    /// A machine's name is no host name.
    pub fn on_paper(spec: &PkiSpec, token: ExpiringToken) -> Result<Self, MaterialError> {
        let identity = ClientIdentity {
            certificate_pem: PAPER.to_owned(),
            key_pem: Zeroizing::new(PAPER.to_owned()),
        };
        Ok(Self {
            ca_pem: PAPER.to_owned(),
            kubelets: kubelets(spec, |_| Ok(identity.clone()))?,
            identity,
            token,
            files: node_files(spec, |_| Ok(Zeroizing::new(PAPER.to_owned())))?,
        })
    }
}

/// A kubelet renews its certificate, so it gets the pair alone, and a kubeconfig that names it.
fn is_of_kubelet(file: &NodeFile) -> bool {
    file.path == kubelet::KUBECONFIG
}

/// The client certificates of those kubelets that the spec has issued, as `read` gives them.
fn kubelets(
    spec: &PkiSpec,
    read: impl Fn(&ItemId) -> Result<ClientIdentity, MaterialError>,
) -> Result<BTreeMap<HostName, ClientIdentity>, MaterialError> {
    let mut kubelets = BTreeMap::new();
    for node in &spec.nodes {
        for file in spec.files_for_node(&node.name)? {
            if let FileContent::Kubeconfig { id, .. } = &file.content
                && is_of_kubelet(&file)
            {
                kubelets.insert(node.name.as_str().parse()?, read(id)?);
            }
        }
    }
    Ok(kubelets)
}

/// The files of every control plane and node, by host, with the contents that `contents` gives.
fn node_files(
    spec: &PkiSpec,
    contents: impl Fn(&FileContent) -> Result<Zeroizing<String>, MaterialError>,
) -> Result<BTreeMap<HostName, Vec<File>>, MaterialError> {
    let mut files: BTreeMap<HostName, Vec<File>> = BTreeMap::new();
    let mut take = |name: &pki::HostName, list: Vec<NodeFile>| {
        let of_host = files.entry(name.as_str().parse()?).or_default();
        for file in list.into_iter().filter(|file| !is_of_kubelet(file)) {
            let bytes = contents(&file.content)?;
            of_host.push(match file.content {
                FileContent::Public(_) => File::public(file.path, bytes.as_bytes()),
                _ => File::secret(file.path, bytes.as_bytes()).with_mode(Mode::new(file.mode)),
            });
        }
        Ok::<(), MaterialError>(())
    };
    for node in &spec.control_planes {
        take(&node.name, spec.files_for_control_plane(&node.name)?)?;
    }
    for node in &spec.nodes {
        take(&node.name, spec.files_for_node(&node.name)?)?;
    }
    Ok(files)
}
