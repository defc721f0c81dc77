//! The two halves of an item, read and replaced as one.
//!
//! Two files cannot be renamed at once. So a replacement is first written into one file, `.NAME.pair`, and counts from the
//! moment that this has its name: from then on readers of the store take both halves from it, until both files are in
//! place and it is removed. A killed run leaves the old pair, or the new one and that file; the next run puts it in place.

use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::decide::Existing;
use crate::disk::{failed, read_secret, read_text, sync_directory};
use crate::lock::WriteLock;
use crate::spec::ItemId;
use crate::store::{KEY_MODE, PUBLIC_MODE, ReadError, Store, WriteError, WriteStep};

/// How often a reader looks again when a writer was quicker; each time the writer has replaced the pair once more.
const READS_MAX: usize = 8;
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Told of each step of each file.
pub(crate) type OnStep<'a> = &'a mut dyn FnMut(&Path, WriteStep);

impl Store {
    /// What there is of an item: both halves, one or none. Both are of one pair also while another process replaces it.
    ///
    /// # Errors
    /// When a file is there and cannot be read, a key can be read by others, or one is encrypted and the pass phrase does
    /// not open it. A missing file or store is not an error.
    pub fn existing(&self, id: &ItemId) -> Result<Existing, ReadError> {
        let key_path = self.key_path(id);
        let mut last = self.public_half(id)?;
        for _ in 0..READS_MAX {
            let key_pem = self.read_key(&key_path)?;
            // Before the second look at the certificate: a writer that ends in between has replaced that.
            if let Some((key_pem, public_pem)) = self.pending(id)? {
                return Ok(Existing {
                    public_pem: Some(public_pem),
                    key_pem: Some(key_pem),
                    unfinished: true,
                    given: false,
                });
            }
            let public_pem = self.public_half(id)?;
            // The key was read between two looks at the same certificate, so it is that one's.
            if public_pem == last {
                return Ok(Existing {
                    public_pem,
                    key_pem,
                    unfinished: false,
                    given: false,
                });
            }
            last = public_pem;
        }
        Err(ReadError::Busy { item: id.clone() })
    }

    fn public_half(&self, id: &ItemId) -> Result<Option<String>, ReadError> {
        read_text(&self.public_path(id))
    }

    /// The public half of an item, without touching its key.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn read_public(&self, id: &ItemId) -> Result<String, ReadError> {
        let found = match self.pending(id)? {
            Some((_, public_pem)) => Some(public_pem),
            None => self.public_half(id)?,
        };
        found.ok_or_else(|| ReadError::Missing {
            item: id.clone(),
            store: self.root().to_owned(),
        })
    }

    /// Where a replacement lies until both files are in place; leaves only, since nothing else is replaced in place.
    fn pending_path(&self, id: &ItemId) -> Option<PathBuf> {
        let ItemId::Leaf { role, .. } = id else {
            return None;
        };
        let name = format!(".{}.pair", role.profile().name);
        Some(self.public_path(id).with_file_name(name))
    }

    /// Key and certificate of a replacement that counts and is not in place.
    fn pending(&self, id: &ItemId) -> Result<Option<(Zeroizing<String>, String)>, ReadError> {
        let Some(path) = self.pending_path(id) else {
            return Ok(None);
        };
        let Some(text) = read_secret(&path)? else {
            return Ok(None);
        };
        let at = text.find(CERTIFICATE).ok_or(ReadError::Pair { path })?;
        let (key, public) = text.split_at(at);
        Ok(Some((Zeroizing::new(key.to_owned()), public.to_owned())))
    }

    /// Replaces both halves of a leaf, or makes them.
    pub(crate) fn write_pair(
        &self,
        lock: &WriteLock,
        id: &ItemId,
        key_pem: &str,
        public_pem: &str,
        on_step: OnStep<'_>,
    ) -> Result<(), WriteError> {
        if let Some(path) = self.pending_path(id) {
            let mut text = Zeroizing::new(String::with_capacity(key_pem.len() + public_pem.len()));
            text.extend([key_pem, public_pem]);
            let step = &mut |step| on_step(&path, step);
            self.write(lock, &path, text.as_bytes(), KEY_MODE, step)?;
        }
        self.place_pair(lock, id, key_pem, public_pem, on_step)
    }

    /// Puts both files where they belong, and removes the file that stood for them.
    pub(crate) fn place_pair(
        &self,
        lock: &WriteLock,
        id: &ItemId,
        key_pem: &str,
        public_pem: &str,
        on_step: OnStep<'_>,
    ) -> Result<(), WriteError> {
        let (key, public) = (self.key_path(id), self.public_path(id));
        for (path, text, mode) in [
            (&key, key_pem, KEY_MODE),
            (&public, public_pem, PUBLIC_MODE),
        ] {
            let step = &mut |step| on_step(path, step);
            self.write(lock, path, text.as_bytes(), mode, step)?;
        }
        let Some(path) = self.pending_path(id) else {
            return Ok(());
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("removing", &path)(error));
            }
            _ => {}
        }
        on_step(&path, WriteStep::Removed);
        sync_directory(path.parent().unwrap_or(self.root()))
    }
}
