//! Private keys: drawn, read, written; never shown.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rcgen::{PublicKeyData as _, SignatureAlgorithm};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::{Zeroize as _, Zeroizing};

use super::container::{Unwrapped, unwrap};
use super::{Passphrase, pem};
use crate::random::{Random, RandomError};

/// A text that is not a private key which can be used here. Its content is never part of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key generator of the operating system failed.
    #[error("the system's generator gave no key")]
    Generate,
    /// Keys of this kind are drawn by another library than the default one.
    #[error(
        "drawing a key of kind {0} needs the feature `aws-lc-rs`; build with `--features aws-lc-rs`, or take ECDSA-P256 \
         or ECDSA-P384"
    )]
    Feature(KeySpec),
    /// A key in a container that is not read here.
    #[error("the key is {label}; convert it with `openssl pkcs8 -topk8 -nocrypt`")]
    Container {
        /// The PEM label found.
        label: &'static str,
    },
    /// No whole PEM private key, or one that does not hold both halves.
    #[error(
        "the text is not a whole PEM `PRIVATE KEY` with both halves; restore the file, it may be cut off"
    )]
    Malformed,
    /// An RSA key of a size that is not signed with.
    #[error(
        "the key is RSA of fewer than 2048 or more than 4096 bits; make one of 2048, 3072 or 4096"
    )]
    RsaSize,
    /// Neither ECDSA nor RSA.
    #[error("the key is neither ECDSA nor RSA, the only kinds that are supported")]
    Algorithm,
    /// An Ed25519 key.
    #[error(
        "the key is Ed25519, which kubeadm and the API server's token signer do not load (\"neither in RSA nor ECDSA \
         format\"); make an ECDSA P-256 key with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    Ed25519,
    /// An elliptic curve that not every verifier of a cluster knows.
    #[error(
        "the key is on another curve than P-256 and P-384, the only ones that are supported; make an ECDSA P-256 key"
    )]
    Curve,
    /// An encrypted key without its pass phrase.
    #[error("the key is encrypted; give its pass phrase")]
    Encrypted,
    /// An encrypted key with the wrong pass phrase.
    #[error("the pass phrase does not open the key; give the one that it was encrypted with")]
    Passphrase,
    /// Encryption by a scheme that is not read, or with more work than a key is worth.
    #[error(
        "the key is encrypted by another scheme than PBES2 with AES and a bounded scrypt or PBKDF2; convert it with \
         `openssl pkcs8 -topk8 -scrypt`"
    )]
    Encryption,
    /// OpenSSL's encryption before PKCS#8, whose pass phrase is hashed once by MD5.
    #[error(
        "the key is encrypted in the form of RFC 1421; convert it with `openssl pkcs8 -topk8 -scrypt`"
    )]
    OldEncryption,
}

/// A kind of key that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// RSA of 2048 to 4096 bits.
    Rsa,
}

/// A kind of key that is drawn, in the words of kubeadm's `encryptionAlgorithm` (kubeadm API, v1beta4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum KeySpec {
    /// The default: the fastest that every component loads.
    #[default]
    #[serde(rename = "ECDSA-P256")]
    EcdsaP256,
    /// Seven times as quick with the feature `aws-lc-rs`.
    #[serde(rename = "ECDSA-P384")]
    EcdsaP384,
    /// Needs the feature `aws-lc-rs`.
    #[serde(rename = "RSA-2048")]
    Rsa2048,
    /// Needs the feature `aws-lc-rs`.
    #[serde(rename = "RSA-3072")]
    Rsa3072,
    /// Needs the feature `aws-lc-rs`.
    #[serde(rename = "RSA-4096")]
    Rsa4096,
}

impl KeySpec {
    /// Whether this build draws keys of this kind: RSA needs the feature `aws-lc-rs`.
    #[must_use]
    pub const fn is_drawn_here(self) -> bool {
        match self {
            Self::EcdsaP256 | Self::EcdsaP384 => true,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => cfg!(feature = "aws-lc-rs"),
        }
    }
}

impl fmt::Display for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA-P256",
            Self::EcdsaP384 => "ECDSA-P384",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
        })
    }
}

/// A key pair. `Debug` shows nothing of it and the encoded form is wiped when dropped.
///
/// ECDSA P-256 unless asked otherwise: what etcd, every Kubernetes version and every verifier here load; Ed25519 is
/// refused by kubeadm.
pub struct PrivateKey {
    pub(super) pair: KeyPair,
    algorithm: KeyAlgorithm,
}

impl PrivateKey {
    /// Draws an ECDSA P-256 key from the operating system's generator.
    ///
    /// # Errors
    /// When that generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        Self::generate_for(KeySpec::EcdsaP256)
    }

    /// Draws a key of some kind from the operating system's generator.
    ///
    /// # Errors
    /// When that generator fails, and [`KeyError::Feature`] for a kind that this build does not draw.
    pub fn generate_for(spec: KeySpec) -> Result<Self, KeyError> {
        match spec {
            KeySpec::EcdsaP256 => Self::draw(&PKCS_ECDSA_P256_SHA256, KeyAlgorithm::EcdsaP256),
            KeySpec::EcdsaP384 => Self::draw(&PKCS_ECDSA_P384_SHA384, KeyAlgorithm::EcdsaP384),
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => Self::generate_rsa(spec),
        }
    }

    #[cfg(feature = "aws-lc-rs")]
    fn generate_rsa(spec: KeySpec) -> Result<Self, KeyError> {
        use rcgen::RsaKeySize;
        let size = match spec {
            KeySpec::EcdsaP256 | KeySpec::EcdsaP384 => return Err(KeyError::Algorithm),
            KeySpec::Rsa2048 => RsaKeySize::_2048,
            KeySpec::Rsa3072 => RsaKeySize::_3072,
            KeySpec::Rsa4096 => RsaKeySize::_4096,
        };
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        Ok(Self {
            pair: pair.map_err(|_| KeyError::Generate)?,
            algorithm: KeyAlgorithm::Rsa,
        })
    }

    #[cfg(not(feature = "aws-lc-rs"))]
    fn generate_rsa(spec: KeySpec) -> Result<Self, KeyError> {
        Err(KeyError::Feature(spec))
    }

    fn draw(rule: &'static SignatureAlgorithm, algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let pair = KeyPair::generate_for(rule).map_err(|_| KeyError::Generate)?;
        Ok(Self { pair, algorithm })
    }

    /// Reads the first private key of a text: PKCS#8 (RFC 5958), SEC1 (RFC 5915) or PKCS#1 (RFC 8017), not encrypted.
    ///
    /// # Errors
    /// Another container, another kind of key, an encrypted key, or damaged text.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_unwrapped(unwrap(pem, None)?)
    }

    /// As [`PrivateKey::from_pem`], and opens PKCS#8 that is encrypted by PBES2. A key that is not encrypted is read
    /// too.
    ///
    /// # Errors
    /// As [`PrivateKey::from_pem`], and for a pass phrase that does not fit or another scheme.
    pub fn from_encrypted_pem(pem: &str, passphrase: &Passphrase) -> Result<Self, KeyError> {
        Self::from_unwrapped(unwrap(pem, Some(passphrase))?)
    }

    fn from_unwrapped(key: Unwrapped) -> Result<Self, KeyError> {
        let Unwrapped { der, algorithm } = key;
        let rule = match algorithm {
            KeyAlgorithm::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::EcdsaP384 => &PKCS_ECDSA_P384_SHA384,
            KeyAlgorithm::Rsa => &PKCS_RSA_SHA256,
        };
        let der = PrivatePkcs8KeyDer::from(der.as_slice());
        let failed = match algorithm {
            KeyAlgorithm::Rsa => KeyError::RsaSize,
            KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 => KeyError::Malformed,
        };
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, rule).map_err(|_| failed)?;
        Ok(Self { pair, algorithm })
    }

    /// What kind of key it is.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The key as PKCS#8 PEM, not encrypted; wiped when dropped.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::encode("PRIVATE KEY", self.pair.serialized_der())
    }

    /// The key as PKCS#8 bytes.
    pub(super) fn pkcs8_der(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// The key as PKCS#8 PEM under a pass phrase, which `openssl pkey` opens; no program of a cluster does.
    ///
    /// # Errors
    /// When the source gives no bytes for salt and initialization vector.
    pub fn to_encrypted_pem(
        &self,
        passphrase: &Passphrase,
        random: &dyn Random,
    ) -> Result<Zeroizing<String>, RandomError> {
        passphrase.seal(self.pair.serialized_der(), random)
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
