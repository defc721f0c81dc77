//! Private keys: drawn, read, written; never shown.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use zeroize::{Zeroize as _, Zeroizing};

/// A text that is not a private key which can be used here. Its content is never part of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key generator of the operating system failed.
    #[error("the system's generator gave no key")]
    Generate,
    /// A key in a container that is not read here.
    #[error(
        "the key is {label}, not unencrypted PKCS#8; convert it with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    Container {
        /// The PEM label found.
        label: &'static str,
    },
    /// No whole PEM `PRIVATE KEY`, or not one that holds a key pair.
    #[error("the text is not a whole PEM `PRIVATE KEY` of a supported kind")]
    Malformed,
    /// A key of another kind than ECDSA P-256.
    #[error("the key is not ECDSA P-256, the only kind that is supported")]
    Algorithm,
}

/// An ECDSA P-256 key pair. `Debug` shows nothing of it and the encoded form is wiped when dropped.
///
/// P-256 is what etcd, every Kubernetes version and every verifier here load; Ed25519 is refused
/// by kubeadm.
pub struct PrivateKey {
    pub(super) pair: KeyPair,
}

impl PrivateKey {
    /// Draws a key from the operating system's generator.
    ///
    /// # Errors
    /// When that generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        let pair =
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| KeyError::Generate)?;
        Ok(Self { pair })
    }

    /// Reads an unencrypted PKCS#8 key (RFC 5958).
    ///
    /// # Errors
    /// Another container, kind of key, or damaged text.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        const OTHER: [&str; 4] = [
            "ENCRYPTED PRIVATE KEY",
            "EC PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PARAMETERS",
        ];
        let begins = |label: &&&str| pem.contains(&format!("-----BEGIN {label}-----"));
        if let Some(label) = OTHER.iter().find(begins) {
            return Err(KeyError::Container { label });
        }
        let pair = KeyPair::from_pem(pem).map_err(|_| KeyError::Malformed)?;
        if !pair.is_compatible(&PKCS_ECDSA_P256_SHA256) {
            return Err(KeyError::Algorithm);
        }
        Ok(Self { pair })
    }

    /// The key as PKCS#8 PEM; wiped when dropped.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.pair.serialize_pem())
    }

    /// The public half as PEM `PUBLIC KEY`, as API servers verify service account tokens with.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The public half as DER `SubjectPublicKeyInfo`, the form in which certificates hold it.
    #[must_use]
    pub fn public_key_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.pair.zeroize();
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
