//! A pair of the store as one file for people's programs: browsers, key chains, Java.

use zeroize::Zeroizing;

use crate::bundle::read_bundle;
use crate::random::{Random, RandomError};
use crate::spec::ItemId;
use crate::store::{ReadError, Store};
use crate::x509::{Certificate, CertificateError, KeyError, Passphrase, PrivateKey, encode_pkcs12};

/// A pair that is not put into one file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs12Error {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The service account key has no certificate.
    #[error("{item} has no certificate; PKCS #12 holds a key with its certificate")]
    NoCertificate {
        /// The item.
        item: ItemId,
    },
    /// A certificate of it cannot be read.
    #[error("the certificate of {item}")]
    Certificate {
        /// The item.
        item: ItemId,
        /// What is wrong.
        #[source]
        source: CertificateError,
    },
    /// Its key cannot be read.
    #[error("the key of {item}")]
    Key {
        /// The item.
        item: ItemId,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// The two halves are of two pairs.
    #[error(
        "the key is not the one of the certificate `{common_name}`; give the two halves of one pair"
    )]
    Mismatch {
        /// Whom the certificate is about.
        common_name: String,
    },
    /// No bytes for salts and initialization vectors.
    #[error("drawing a salt")]
    Random(#[from] RandomError),
}

/// Key and certificate with what leads to its root, as a PKCS #12 file (RFC 7292, `.p12` or `.pfx`) under a pass phrase:
/// AES-256-CBC by PBES2 and HMAC-SHA256, what OpenSSL 3 writes. Programs list it under the common name. It is a secret,
/// whatever the pass phrase is worth.
///
/// Key chains that know no PBES2, as those of older macOS, want `openssl pkcs12 -export -legacy`.
///
/// # Errors
/// Halves of two pairs, or a source that gives no bytes.
pub fn pkcs12(
    certificate: &Certificate,
    key: &PrivateKey,
    chain: &[Certificate],
    passphrase: &Passphrase,
    random: &dyn Random,
) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
    if !certificate.is_about(key) {
        let common_name = certificate.common_name().to_owned();
        return Err(Pkcs12Error::Mismatch { common_name });
    }
    Ok(encode_pkcs12(certificate, key, chain, passphrase, random)?)
}

impl Store {
    /// A leaf or an authority of this store with its key, and the certificates of the authorities that its owner
    /// trusts, by [`pkcs12`].
    ///
    /// # Errors
    /// It is missing or cannot be read, or is the service account key, which has no certificate.
    pub fn pkcs12(
        &self,
        id: &ItemId,
        passphrase: &Passphrase,
        random: &dyn Random,
    ) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
        let item = || id.clone();
        if *id == ItemId::ServiceAccount {
            return Err(Pkcs12Error::NoCertificate { item: item() });
        }
        let material = self.read(id)?;
        let unreadable = |source| Pkcs12Error::Certificate {
            item: item(),
            source,
        };
        let certificate = Certificate::from_pem(&material.public_pem).map_err(unreadable)?;
        let key = PrivateKey::from_pem(&material.key_pem).map_err(|source| Pkcs12Error::Key {
            item: item(),
            source,
        })?;
        let trusted = read_bundle(material.authority_pem.as_deref().unwrap_or_default());
        let mut chain = trusted.map_err(unreadable)?;
        chain.retain(|one| *one != certificate);
        pkcs12(&certificate, &key, &chain, passphrase, random)
    }
}
