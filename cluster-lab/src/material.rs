//! From the store of certificates to the files of machines.

use crate::Blueprint;
use host_exec::{Contents, File, HostName, Mode};
use k8s_bootstrap::{ClientIdentity, ExpiringToken, Material};
use netplan::Class;
use pki::{CaRole, ItemId, LeafRole, NodeFile, Store};
use std::{collections::BTreeMap, path::PathBuf};
use zeroize::Zeroizing;

/// Something of the lab's certificates could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// The store.
    #[error("cannot read the lab's certificates")]
    Read(#[from] pki::ReadError),
    /// The specification of certificates lacks a machine of the lab.
    #[error("the certificates do not cover a machine of the lab")]
    Unknown(#[from] pki::UnknownNode),
}

/// Where the contents of certificates and keys come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'s> {
    /// The store, in which everything has been issued.
    Store(&'s Store),
    /// Nowhere yet: plans on paper show which files there will be, never what is in them.
    Paper,
}

/// The text that stands for every certificate and key on paper.
const PAPER: &str = "not issued yet\n";

impl Blueprint {
    /// The files of an etcd member.
    pub(crate) fn etcd_files(
        &self,
        member: &HostName,
        source: Source<'_>,
    ) -> Result<Vec<File>, MaterialError> {
        let files = self.pki.files_for_etcd_member(&pki_name(member))?;
        files.into_iter().map(|file| source.file(file)).collect()
    }

    /// The files of all nodes, and what the control plane needs beside them.
    pub(crate) fn cluster_material(
        &self,
        token: &ExpiringToken,
        source: Source<'_>,
    ) -> Result<Material, MaterialError> {
        let mut files = BTreeMap::new();
        for (class, host) in [Class::ControlPlane, Class::Worker]
            .into_iter()
            .flat_map(|class| self.hosts_of(class).map(move |host| (class, host)))
        {
            let name = pki_name(&host);
            let mut own = self.pki.files_for_node(&name)?;
            if class == Class::ControlPlane {
                own.extend(self.pki.files_for_control_plane(&name)?);
            }
            // A file that both lists have is the same in both.
            let own: BTreeMap<String, NodeFile> = own
                .into_iter()
                .map(|file| (file.path.clone(), file))
                .collect();
            files.insert(
                host,
                own.into_values()
                    .map(|file| source.file(file))
                    .collect::<Result<_, _>>()?,
            );
        }
        Ok(Material {
            ca_pem: source.public(&ItemId::Authority(CaRole::Kubernetes))?,
            identity: source.identity(&ItemId::cluster(self.administrator()))?,
            token: token.clone(),
            files,
        })
    }

    /// The identity that may do everything before any role exists.
    fn administrator(&self) -> LeafRole {
        if self.spec.kubernetes.minor >= 29 {
            LeafRole::SuperAdmin
        } else {
            LeafRole::Admin
        }
    }

    /// The kubeconfig for whoever has this lab on this machine.
    pub(crate) fn kubeconfig(&self, store: &Store) -> Result<Zeroizing<String>, MaterialError> {
        let content = self
            .pki
            .admin_kubeconfig(LeafRole::Admin, self.api_url_here());
        Ok(store.contents(&content)?)
    }
}

impl Source<'_> {
    fn file(self, file: NodeFile) -> Result<File, MaterialError> {
        let contents = match self {
            Self::Paper => Zeroizing::new(PAPER.to_owned()),
            Self::Store(store) => store.contents(&file.content)?,
        };
        let bytes = Zeroizing::new(contents.as_bytes().to_vec());
        let mode = Mode::new(file.mode);
        let contents = if mode == Mode::SECRET {
            Contents::Secret(bytes)
        } else {
            Contents::Public(bytes.to_vec())
        };
        Ok(File {
            path: PathBuf::from(file.path),
            mode,
            contents,
        })
    }

    fn public(self, id: &ItemId) -> Result<String, MaterialError> {
        match self {
            Self::Paper => Ok(PAPER.to_owned()),
            Self::Store(store) => Ok(store.read_public(id)?),
        }
    }

    pub(crate) fn identity(self, id: &ItemId) -> Result<ClientIdentity, MaterialError> {
        Ok(match self {
            Self::Paper => ClientIdentity {
                certificate_pem: PAPER.to_owned(),
                key_pem: Zeroizing::new(PAPER.to_owned()),
            },
            Self::Store(store) => {
                let material = store.read(id)?;
                ClientIdentity {
                    certificate_pem: material.public_pem,
                    key_pem: material.key_pem,
                }
            }
        })
    }
}

fn pki_name(host: &HostName) -> pki::HostName {
    pki::HostName::new(host.as_str()).expect("a label of RFC 1123 is a host name")
}
