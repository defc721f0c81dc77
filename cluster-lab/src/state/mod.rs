//! The directory of a lab: what must be remembered from run to run.

mod error;
mod files;
mod lock;
mod places;
mod records;
mod secrets;

pub use error::StateError;
pub(crate) use files::{forget, make_dir};
pub use lock::LabLock;
pub use places::Places;
pub use records::{FORMAT, Record};

use artifacts::Version;
use files::gone;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The directory of a lab. Nothing is read or written by making this value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// The kubeconfig of the lab's administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// What kubectl remembers of the lab's API (`KUBECACHEDIR`), so that it goes with the lab.
    pub fn kubectl_cache(&self) -> PathBuf {
        self.root.join("kubectl-cache")
    }

    /// The events of all runs, one JSON object per line.
    pub fn events(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// Keys of SSH, for machines that are reached by it.
    pub fn ssh(&self) -> PathBuf {
        self.root.join("ssh")
    }

    /// Makes the directory of the keys of SSH, for its owner alone.
    pub(crate) fn make_ssh(&self) -> Result<(), StateError> {
        make_dir(&self.ssh())
    }

    /// Image and programs of VMs.
    pub(crate) fn stock(&self) -> PathBuf {
        self.root.join("stock.json")
    }

    /// What was put aside before an upgrade.
    pub(crate) fn backup(&self, from: Version, to: Version) -> PathBuf {
        self.backups().join(format!("{from}-to-{to}"))
    }

    /// What is put aside by this program itself, and goes with the lab.
    pub(crate) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    fn upgrades_path(&self) -> PathBuf {
        self.root.join("upgrades.json")
    }

    fn rotation_path(&self) -> PathBuf {
        self.root.join("rotation.json")
    }

    fn network_lock(&self) -> PathBuf {
        self.root.join("network.lock")
    }

    fn token(&self) -> PathBuf {
        self.root.join("bootstrap-token")
    }

    fn encryption_key_path(&self) -> PathBuf {
        self.root.join("encryption-key")
    }

    fn leaving_path(&self) -> PathBuf {
        self.root.join("leaving.json")
    }

    fn record_path(&self) -> PathBuf {
        self.root.join("lab.json")
    }

    /// Removes everything that this type writes, and the directory if nothing else is in it. Snapshots of etcd that
    /// somebody took stay, with it.
    ///
    /// # Errors
    ///
    /// The system refuses. What is not there is removed already.
    pub fn remove(&self) -> Result<(), StateError> {
        for dir in [self.pki(), self.kubectl_cache(), self.ssh(), self.backups()] {
            gone(fs::remove_dir_all(&dir), &dir)?;
        }
        // The record last: a directory without one is nobody's, and a next `down` would not go on.
        let files = [
            self.kubeconfig(),
            self.events(),
            self.token(),
            self.leaving_path(),
            self.encryption_key_path(),
            self.network_lock(),
            self.stock(),
            self.upgrades_path(),
            self.etcd_history_path(),
            self.etcd_record_path(),
            self.restoring(),
            self.rotation_path(),
        ];
        let last = [self.root.join("lock"), self.record_path()];
        for path in files.into_iter().chain(last) {
            forget(&path)?;
        }
        match fs::remove_dir(&self.root) {
            // Something that a person put there: it stays, with its directory.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => gone(other, &self.root),
        }
    }
}
