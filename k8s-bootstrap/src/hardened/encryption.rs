//! Secrets encrypted at rest: the key, and the configuration that holds it.

use crate::yaml;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use host_exec::File;
use pki::{Random, RandomError};
use serde_json::json;
use std::fmt;
use zeroize::Zeroizing;

/// The `EncryptionConfiguration` of every API server; below [`DIR`](super::DIR).
pub(crate) const CONFIG: &str = "/etc/kubernetes/apiserver/encryption.yaml";
/// XSalsa20 and Poly1305 take 32 bytes.
const KEY_BYTES: usize = 32;
/// etcd's values begin with `k8s:enc:secretbox:v1:` and this, so that a later key can stand beside it.
const KEY_NAME: &str = "key1";

/// The key with which API servers encrypt Secrets before etcd has them. `Debug` shows nothing of it.
///
/// It is made once for a cluster and is the same on all its control planes. Whoever loses it loses every Secret.
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<[u8; KEY_BYTES]>);

/// A text that is no [`EncryptionKey`]; it is not repeated, since it may be one with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an encryption key is 32 bytes in base64, 44 characters")]
pub struct EncryptionKeyError;

impl EncryptionKey {
    /// Draws a key.
    ///
    /// # Errors
    ///
    /// The source of randomness fails.
    pub fn draw(random: &dyn Random) -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        random.fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// Reads what [`EncryptionKey::expose`] wrote.
    ///
    /// # Errors
    ///
    /// The text is not 32 bytes in base64.
    pub fn from_text(text: &str) -> Result<Self, EncryptionKeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| EncryptionKeyError)?;
        let bytes = Zeroizing::new(bytes);
        let bytes: [u8; KEY_BYTES] = bytes[..].try_into().map_err(|_| EncryptionKeyError)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The key in base64, for a file of mode 0600.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&self.0[..]))
    }

    /// `EncryptionConfiguration`, <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>.
    ///
    /// secretbox and not aescbc: both pass the benchmark (1.2.28), but CBC has no authentication, so somebody who
    /// writes to etcd can try out paddings, and the documentation advises against it. aesgcm needs a new key every
    /// 200,000 writes, and kms a server. `identity` comes last, for Secrets that were written before the profile.
    pub(crate) fn file(&self) -> File {
        let secret = self.expose();
        let value = json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{
                "resources": ["secrets"],
                "providers": [
                    {"secretbox": {"keys": [{"name": KEY_NAME, "secret": secret.as_str()}]}},
                    {"identity": {}},
                ],
            }],
        });
        File::secret(CONFIG, yaml::render(&value))
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the same byte for ever.
    struct Same(u8);

    impl Random for Same {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
            buffer.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn a_key_comes_back_from_its_text_and_shows_itself_nowhere() {
        let key = EncryptionKey::draw(&Same(7)).unwrap();
        let text = key.expose();
        assert_eq!(*EncryptionKey::from_text(&text).unwrap().0, [7; 32]);
        let file = key.file();
        assert!(String::from_utf8_lossy(file.contents.bytes()).contains(text.as_str()));
        let debug = format!("{key:?} {file:?}");
        assert!(!debug.contains(text.as_str()), "{debug}");
        assert_eq!(file.mode, host_exec::Mode::SECRET);
    }

    #[test]
    fn other_texts_are_no_keys() {
        let short = STANDARD.encode([0; 31]);
        let long = STANDARD.encode([0; 33]);
        for bad in ["", "x", &short, &long] {
            assert_eq!(
                EncryptionKey::from_text(bad).unwrap_err(),
                EncryptionKeyError
            );
        }
    }
}
