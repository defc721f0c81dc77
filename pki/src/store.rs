//! The store: one directory on the local disk, private to its owner.
//!
//! ```text
//! ca/kubernetes.{crt,key}  ca/front-proxy.*  ca/etcd.*  ca/etcd-peer.*
//! cluster/admin.{crt,key}  ...
//! node/NAME/apiserver.{crt,key}  ...
//! sa.{pub,key}
//! ca/etcd.next.{crt,key}  ca/etcd.rotation  while an authority is rotated
//! node/NAME/.apiserver.pair  while a pair is replaced
//! ledger.txt  .lock
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::disk::{failed, list, make_directory, read_text, sync_directory, write_temporary};
use crate::files::FileContent;
use crate::kubeconfig::kubeconfig;
use crate::lock::WriteLock;
use crate::rotation::{self, Rotated};
use crate::spec::ItemId;
use crate::x509::{Certificate, CertificateError, KeyError, Passphrase};

pub(crate) const PUBLIC_MODE: u32 = 0o644;
pub(crate) const KEY_MODE: u32 = 0o600;

/// Something in the store could not be read. A missing file is an error only where one is needed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system refused.
    #[error("reading {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A key or pass phrase that others may read is no secret any more.
    #[error(
        "{} has mode {mode:04o} and others may read it; run `chmod 600` on it if nobody did",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The item has not been made.
    #[error("{item} is not in the store {}; apply a plan first", store.display())]
    Missing {
        /// The item.
        item: ItemId,
        /// The store's directory.
        store: PathBuf,
    },
    /// The word about a rotation is none.
    #[error(
        "{} does not say how far the rotation is; write the last phase that `lab certs rotate` told (add, trust, \
         swap or drop) into it",
        path.display()
    )]
    Rotation {
        /// The record.
        path: PathBuf,
    },
    /// A key is encrypted, and the store was opened without its pass phrase.
    #[error("key {} is encrypted; give its pass phrase", path.display())]
    Sealed {
        /// The key file.
        path: PathBuf,
    },
    /// A key is encrypted and stays closed.
    #[error("opening key {}", path.display())]
    Passphrase {
        /// The key file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A replacement that is cut off, as no run leaves it.
    #[error("{} is damaged; remove it, and the pair beside it counts again", path.display())]
    Pair {
        /// The file.
        path: PathBuf,
    },
    /// Another process replaced a pair again and again.
    #[error("another process replaces {item} over and over; wait until it ends")]
    Busy {
        /// The item.
        item: ItemId,
    },
    /// The ledger of serial numbers has a line that is none.
    #[error(
        "line {line} of {} is no entry; restore the file from a backup, or remove the line if its certificate is gone",
        path.display()
    )]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A certificate of the store cannot be read.
    #[error("reading {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
}

/// Something could not be written to the store. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Another process writes to the store.
    #[error("another process writes to the store {}; wait until it ends", store.display())]
    Locked {
        /// The store's directory.
        store: PathBuf,
    },
    /// The system refused.
    #[error("{step} {}", path.display())]
    Io {
        /// What was tried.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// How far the writing of one file has come. A crash at any of them leaves the old or the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteStep {
    /// Nothing of the file is on disk.
    Started,
    /// The whole file is on disk under a temporary name.
    Synced,
    /// The file has its name.
    Renamed,
    /// The name is on disk too.
    Durable,
    /// A file that stood for others until they were in place is gone.
    Removed,
}

/// One item read from a store.
pub struct Material {
    /// The certificate, PEM; of the service account pair the public key.
    pub public_pem: String,
    /// The key, unencrypted PKCS#8 PEM.
    pub key_pem: Zeroizing<String>,
    /// The certificates of the authorities that its owner trusts, PEM, one or, while one is rotated, two; its own
    /// for an authority, none for the service account pair.
    pub authority_pem: Option<String>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material")
            .field("public_pem", &self.public_pem)
            .field("authority_pem", &self.authority_pem)
            .finish_non_exhaustive()
    }
}

/// A directory with the authorities, keys and leaves of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    pub(crate) passphrase: Option<Passphrase>,
}

impl Store {
    /// A store in a directory, which need not exist yet: nothing is touched by this call.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            passphrase: None,
        }
    }

    /// The store's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the certificate of an item lies, or the public key of the service account pair. While one of these is
    /// rotated it is that of the pair that signs.
    #[must_use]
    pub fn public_path(&self, id: &ItemId) -> PathBuf {
        match id.rotated() {
            Some(rotated) => rotation::signing_half(&self.root, rotated, true),
            None => self.root.join(format!("{id}.crt")),
        }
    }

    /// Where the key of an item lies.
    #[must_use]
    pub fn key_path(&self, id: &ItemId) -> PathBuf {
        match id.rotated() {
            Some(rotated) => rotation::signing_half(&self.root, rotated, false),
            None => self.root.join(format!("{id}.key")),
        }
    }

    /// A whole item.
    ///
    /// # Errors
    /// As [`Store::existing`], and when a half of it or its authority is missing.
    pub fn read(&self, id: &ItemId) -> Result<Material, ReadError> {
        let missing = || ReadError::Missing {
            item: id.clone(),
            store: self.root.clone(),
        };
        let existing = self.existing(id)?;
        let public_pem = existing.public_pem.ok_or_else(missing)?;
        let key_pem = existing.key_pem.ok_or_else(missing)?;
        let authority_pem = match id {
            ItemId::Authority(_) => Some(public_pem.clone()),
            ItemId::ServiceAccount => None,
            ItemId::Leaf { role, .. } => {
                Some(self.trusted(Rotated::Authority(role.profile().signer))?)
            }
        };
        Ok(Material {
            public_pem,
            key_pem,
            authority_pem,
        })
    }

    /// The certificate of an item, parsed: names, dates, pin.
    ///
    /// # Errors
    /// When it is missing or cannot be read; always for the service account pair, which has none.
    pub fn certificate(&self, id: &ItemId) -> Result<Certificate, ReadError> {
        let pem = self.read_public(id)?;
        Certificate::from_pem(&pem).map_err(|source| ReadError::Certificate {
            path: self.public_path(id),
            source,
        })
    }

    /// The certificate in a file that [`Store::certificate_files`] has listed.
    pub(crate) fn certificate_at(&self, path: &Path) -> Result<Certificate, ReadError> {
        let pem = read_text(path)?.unwrap_or_default();
        Certificate::from_pem(&pem).map_err(|source| ReadError::Certificate {
            path: path.to_owned(),
            source,
        })
    }

    /// The bytes of a file of a machine, from what lies in the store.
    ///
    /// # Errors
    /// When an item that the file needs is missing or cannot be read.
    pub fn contents(&self, content: &FileContent) -> Result<Zeroizing<String>, ReadError> {
        match content {
            FileContent::Public(id) => match id.rotated() {
                Some(rotated) => self.trusted(rotated),
                None => self.read_public(id),
            }
            .map(Zeroizing::new),
            FileContent::Key(id) => {
                let missing = || ReadError::Missing {
                    item: id.clone(),
                    store: self.root.clone(),
                };
                self.existing(id)?.key_pem.ok_or_else(missing)
            }
            FileContent::Kubeconfig {
                id,
                cluster_name,
                server_url,
            } => {
                let material = self.read(id)?;
                let user = self.certificate(id)?;
                Ok(kubeconfig(
                    cluster_name,
                    server_url,
                    material.authority_pem.as_deref().unwrap_or_default(),
                    user.common_name(),
                    &material.public_pem,
                    &material.key_pem,
                ))
            }
        }
    }

    /// Every certificate file of the store, also those of machines that the spec no longer has.
    pub(crate) fn certificate_files(&self) -> Result<Vec<PathBuf>, ReadError> {
        let mut files = Vec::new();
        let mut directories: Vec<PathBuf> = ["ca", "cluster"]
            .iter()
            .map(|name| self.root.join(name))
            .collect();
        directories.extend(list(&self.root.join("node"))?);
        for directory in directories {
            files.extend(list(&directory)?);
        }
        files.retain(|path| path.extension().is_some_and(|extension| extension == "crt"));
        files.sort();
        Ok(files)
    }

    pub(crate) fn lock(&self) -> Result<WriteLock, WriteError> {
        WriteLock::take(&self.root)
    }

    /// Writes a file so that a crash leaves the old or the new one, whole, and no other process
    /// ever sees a key with a wider mode. The lock shows that nobody else does the same.
    pub(crate) fn write(
        &self,
        _lock: &WriteLock,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        on_step: &mut dyn FnMut(WriteStep),
    ) -> Result<(), WriteError> {
        on_step(WriteStep::Started);
        let directory = path.parent().unwrap_or(&self.root);
        make_directory(directory)?;
        let temporary = write_temporary(path, bytes, mode)?;
        on_step(WriteStep::Synced);
        fs::rename(&temporary, path).map_err(failed("renaming to", path))?;
        on_step(WriteStep::Renamed);
        sync_directory(directory)?;
        on_step(WriteStep::Durable);
        Ok(())
    }
}
