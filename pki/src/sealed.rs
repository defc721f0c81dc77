//! Keys of authorities under a pass phrase. They are encrypted in the store alone: no program of a cluster reads such a key.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::disk::{check_key_mode, list, read_text};
use crate::random::{Random, RandomError};
use crate::spec::ItemId;
use crate::store::{KEY_MODE, ReadError, Store, WriteError};
use crate::x509::{KeyError, Passphrase, PrivateKey};

const SEALED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// The keys of a store could not be put under another pass phrase. Each is under the old or the new one; the same call again
/// goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A key cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A key cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A key is none, or is under a third pass phrase.
    #[error("the key {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// No bytes for salt and initialization vector.
    #[error("drawing a salt")]
    Random(#[from] RandomError),
}

impl Store {
    /// The same store, whose authorities' keys are read and written under a pass phrase. Keys that are not encrypted are
    /// read too; [`Store::seal`] encrypts them.
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: Passphrase) -> Self {
        self.passphrase = Some(passphrase);
        self
    }

    /// Puts the keys of all authorities under a pass phrase, or under none, and gives the store that reads them.
    ///
    /// # Errors
    /// Another writer, a failing disk, or a key under neither the old nor the new pass phrase.
    pub fn seal(
        self,
        passphrase: Option<Passphrase>,
        random: &dyn Random,
    ) -> Result<Self, SealError> {
        let lock = self.lock()?;
        let mut sealed = self.clone();
        sealed.passphrase = passphrase;
        for path in list(&self.root().join("ca"))? {
            if path.extension().is_none_or(|extension| extension != "key") {
                continue;
            }
            // A run that was killed has left some under the new one.
            let text = match self.read_key(&path) {
                Err(ReadError::Passphrase { .. } | ReadError::Sealed { .. }) => {
                    sealed.read_key(&path)?
                }
                other => other?,
            };
            let key = PrivateKey::from_pem(&text.unwrap_or_default()).map_err(|source| {
                let path = path.clone();
                SealError::Key { path, source }
            })?;
            let text = sealed.authority_key_text(&key, random)?;
            self.write(&lock, &path, text.as_bytes(), KEY_MODE, &mut |_| {})?;
        }
        Ok(sealed)
    }

    /// A key of an authority as it is to lie in this store.
    pub(crate) fn authority_key_text(
        &self,
        key: &PrivateKey,
        random: &dyn Random,
    ) -> Result<Zeroizing<String>, RandomError> {
        match &self.passphrase {
            Some(passphrase) => key.to_encrypted_pem(passphrase, random),
            None => Ok(key.to_pem()),
        }
    }

    /// A key of an item as it is to lie in this store.
    pub(crate) fn key_text(
        &self,
        id: &ItemId,
        key: &PrivateKey,
        random: &dyn Random,
    ) -> Result<Zeroizing<String>, RandomError> {
        match id {
            ItemId::Authority(_) => self.authority_key_text(key, random),
            ItemId::ServiceAccount | ItemId::Leaf { .. } => Ok(key.to_pem()),
        }
    }

    /// The key in a file, opened if it is encrypted; `None` where there is no file.
    pub(crate) fn read_key(&self, path: &Path) -> Result<Option<Zeroizing<String>>, ReadError> {
        let Some(text) = read_text(path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        check_key_mode(path)?;
        if !text.contains(SEALED) {
            return Ok(Some(text));
        }
        let path = path.to_owned();
        let Some(passphrase) = &self.passphrase else {
            return Err(ReadError::Sealed { path });
        };
        match PrivateKey::from_encrypted_pem(&text, passphrase) {
            Ok(key) => Ok(Some(key.to_pem())),
            Err(source) => Err(ReadError::Passphrase { path, source }),
        }
    }
}
