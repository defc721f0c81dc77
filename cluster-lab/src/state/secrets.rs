//! What must not be seen by others: the token, the key of Secrets, the administrator's kubeconfig.

use super::{StateDir, StateError};
use k8s_bootstrap::hardened::EncryptionKey;
use pki::BootstrapToken;
use time::OffsetDateTime;
use zeroize::Zeroizing;

impl StateDir {
    /// The token with which nodes join, and when it ends.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn bootstrap_token(&self) -> Result<Option<(BootstrapToken, OffsetDateTime)>, StateError> {
        let path = self.token();
        let Some(text) = self.read(&path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let damaged = |problem: &str| StateError::Damaged {
            path: path.clone(),
            problem: problem.to_owned(),
        };
        let (token, seconds) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| damaged("not a token and a time"))?;
        let token = BootstrapToken::new(token).map_err(|e| damaged(&e.to_string()))?;
        let seconds = seconds
            .parse()
            .map_err(|_| damaged("its time is not a number"))?;
        let expires =
            OffsetDateTime::from_unix_timestamp(seconds).map_err(|e| damaged(&e.to_string()))?;
        Ok(Some((token, expires)))
    }

    /// Remembers the token with which nodes join.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_token(
        &self,
        token: &BootstrapToken,
        expires: OffsetDateTime,
    ) -> Result<(), StateError> {
        let text = Zeroizing::new(format!("{} {}\n", token.expose(), expires.unix_timestamp()));
        self.write(&self.token(), &text)
    }

    /// The key with which the API servers of a hardened lab encrypt Secrets; `None` before it was made.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn encryption_key(&self) -> Result<Option<EncryptionKey>, StateError> {
        let path = self.encryption_key_path();
        let Some(text) = self.read(&path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let key = EncryptionKey::from_text(text.trim());
        key.map(Some).map_err(|e| StateError::Damaged {
            path,
            problem: e.to_string(),
        })
    }

    /// Remembers the key of a hardened lab, which never changes.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_encryption_key(&self, key: &EncryptionKey) -> Result<(), StateError> {
        let text = Zeroizing::new(format!("{}\n", *key.expose()));
        self.write(&self.encryption_key_path(), &text)
    }

    /// The error for a lab whose key is gone: nothing but the file itself can bring its Secrets back.
    pub(crate) fn lost_encryption_key(&self) -> StateError {
        StateError::Damaged {
            path: self.encryption_key_path(),
            problem:
                "the key that the Secrets of this lab are encrypted with is gone; put the file back"
                    .to_owned(),
        }
    }

    /// Writes the administrator's kubeconfig; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_kubeconfig(&self, text: &str) -> Result<(), StateError> {
        let path = self.kubeconfig();
        if self
            .read(&path)?
            .map(Zeroizing::new)
            .as_deref()
            .map(String::as_str)
            == Some(text)
        {
            return Ok(());
        }
        self.write(&path, text)
    }
}
