//! Authorities that somebody else has made, in a directory as kubeadm lays them out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::authority::{Authority, LoadError};
use crate::disk::{read_secret, read_text};
use crate::role::CaRole;
use crate::store::ReadError;
use crate::x509::Passphrase;

/// Authorities to be taken into a store that has none in their places yet, see
/// [`PkiPlan::with_authorities`](crate::PkiPlan::with_authorities).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Authorities {
    pub(crate) given: BTreeMap<CaRole, Given>,
}

/// The pair of one authority, the key not encrypted.
#[derive(Clone, PartialEq)]
pub(crate) struct Given {
    pub(crate) public_pem: String,
    pub(crate) key_pem: Zeroizing<String>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given")
            .field("public_pem", &self.public_pem)
            .finish_non_exhaustive()
    }
}

/// A directory that gives no authorities.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A certificate without its key, with which nothing can be signed.
    #[error(
        "{} is there and {} is not; give the key, or have its owner sign requests and leave the certificate out",
        certificate.display(), key.display()
    )]
    Half {
        /// The certificate.
        certificate: PathBuf,
        /// The key that is missing.
        key: PathBuf,
    },
    /// A pair is no authority, or cannot sign as it is.
    #[error("the authority {}", certificate.display())]
    Load {
        /// The certificate.
        certificate: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<LoadError>,
    },
    /// There is none.
    #[error(
        "{} has no authority; expected are ca.crt and ca.key, front-proxy-ca.*, etcd/ca.* or etcd/peer-ca.*",
        directory.display()
    )]
    Empty {
        /// The directory.
        directory: PathBuf,
    },
}

/// The names of their files without `.crt` and `.key`, kubeadm's where kubeadm has them.
fn stem(role: CaRole) -> &'static str {
    match role {
        CaRole::Kubernetes => "ca",
        CaRole::FrontProxy => "front-proxy-ca",
        CaRole::Etcd => "etcd/ca",
        CaRole::EtcdPeer => "etcd/peer-ca",
    }
}

impl Authorities {
    /// Reads a directory such as kubeadm's `/etc/kubernetes/pki`: `ca.crt` and `ca.key`, `front-proxy-ca.*`, `etcd/ca.*`,
    /// and `etcd/peer-ca.*`, which kubeadm does not have. What is not there is made later. `passphrase` opens keys that
    /// are encrypted.
    ///
    /// # Errors
    /// No pair at all, half a pair, a key that others may read, a file that cannot be read, or a pair that
    /// [`Authority::from_pem`] refuses.
    pub fn read(
        directory: &Path,
        passphrase: Option<&Passphrase>,
        now: OffsetDateTime,
    ) -> Result<Self, AuthoritiesError> {
        let mut given = BTreeMap::new();
        for role in CaRole::ALL {
            let certificate = directory.join(format!("{}.crt", stem(role)));
            if let Some(public_pem) = read_text(&certificate)? {
                given.insert(role, read_pair(certificate, public_pem, passphrase, now)?);
            }
        }
        if given.is_empty() {
            let directory = directory.to_owned();
            return Err(AuthoritiesError::Empty { directory });
        }
        Ok(Self { given })
    }
}

fn read_pair(
    certificate: PathBuf,
    public_pem: String,
    passphrase: Option<&Passphrase>,
    now: OffsetDateTime,
) -> Result<Given, AuthoritiesError> {
    let key = certificate.with_extension("key");
    let Some(key_pem) = read_secret(&key)? else {
        return Err(AuthoritiesError::Half { certificate, key });
    };
    let loaded = match passphrase {
        Some(passphrase) => Authority::from_encrypted_pem(&public_pem, &key_pem, passphrase, now),
        None => Authority::from_pem(&public_pem, &key_pem, now),
    };
    let authority = loaded.map_err(|source| AuthoritiesError::Load {
        certificate,
        source: Box::new(source),
    })?;
    Ok(Given {
        key_pem: authority.key_pem(),
        public_pem,
    })
}
