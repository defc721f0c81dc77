//! From the store of certificates to the files of machines.

use crate::{Blueprint, Profile};
use host_exec::{Contents, File, HostName, Mode};
use k8s_bootstrap::{ExpiringToken, Material, hardened::EncryptionKey};
use netplan::Role;
use pki::{LeafRole, NodeFile, Store};
use std::path::PathBuf;
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
    /// What Kubernetes needs.
    #[error(transparent)]
    Kubernetes(#[from] k8s_bootstrap::MaterialError),
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
        key: Option<&EncryptionKey>,
    ) -> Result<Material, MaterialError> {
        let material = match source {
            Source::Store(store) => Material::from_store(&self.pki, store, token.clone())?,
            Source::Paper => Material::on_paper(&self.pki, token.clone())?,
        };
        let control_planes = self.hosts_of(Role::ControlPlane);
        Ok(match (self.spec.profile, key) {
            (Profile::Standard, _) => material,
            (Profile::Hardened, Some(key)) => material.encrypting(control_planes, key),
            (Profile::Hardened, None) => material.encrypting_on_paper(control_planes),
        })
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
}

fn pki_name(host: &HostName) -> pki::HostName {
    pki::HostName::new(host.as_str()).expect("a label of RFC 1123 is a host name")
}
