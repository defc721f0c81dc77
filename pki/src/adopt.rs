//! Taking an authority that another program has made into a store.

use time::OffsetDateTime;

use crate::authority::{Authority, LoadError};
use crate::decide::{Action, AuthorityError, decide_authority};
use crate::random::{Random, RandomError};
use crate::role::CaRole;
use crate::spec::ItemId;
use crate::store::{KEY_MODE, PUBLIC_MODE, ReadError, Store, WriteError};
use crate::x509::{Certificate, Passphrase};

/// An authority that is not taken into a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// It is no authority, or cannot sign as it is.
    #[error("the authority for ca/{}", role.name())]
    Load {
        /// Whose place it was to take.
        role: CaRole,
        /// What is wrong with it.
        #[source]
        source: LoadError,
    },
    /// The store has another authority in that place, below which there may be certificates.
    #[error(
        "ca/{} of the store is already the authority `{found}`; adopt into an empty store, or rotate the authority",
        role.name()
    )]
    Occupied {
        /// Whose place it was to take.
        role: CaRole,
        /// The common name of what is there.
        found: String,
    },
    /// The store could not use it there.
    #[error(transparent)]
    Unusable(#[from] Box<AuthorityError>),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// No salt could be drawn for its key.
    #[error("encrypting the key of ca/{}", role.name())]
    Seal {
        /// Whose place it was to take.
        role: CaRole,
        /// The failure of the source.
        #[source]
        source: RandomError,
    },
}

/// Puts an authority of another program, kubeadm's or OpenSSL's, into an empty place of a store, from where every later plan
/// uses it. Its certificate stays byte for byte; its key is written as PKCS#8. `passphrase` opens the key that is given.
///
/// What happens is told by the answer: reused, when it is there already.
///
/// # Errors
/// A pair that [`Authority::from_pem`] refuses, a name that another authority of the store has, another authority in its
/// place, another writer, or a failing disk. The same authority again is not an error.
pub fn adopt(
    store: &Store,
    role: CaRole,
    pair: (&str, &str),
    passphrase: Option<&Passphrase>,
    now: OffsetDateTime,
    random: &dyn Random,
) -> Result<Action, AdoptError> {
    let (certificate_pem, key_pem) = pair;
    let authority = match passphrase {
        Some(passphrase) => {
            Authority::from_encrypted_pem(certificate_pem, key_pem, passphrase, now)
        }
        None => Authority::from_pem(certificate_pem, key_pem, now),
    };
    let authority = authority.map_err(|source| AdoptError::Load { role, source })?;
    let id = ItemId::Authority(role);
    let lock = store.lock()?;
    let mut existing = store.existing(&id)?;
    let there = existing.public_pem.as_deref().map(Certificate::from_pem);
    match there {
        None => {}
        Some(Ok(there)) if there == *authority.certificate() && existing.key_pem.is_some() => {
            return Ok(Action::Reuse);
        }
        Some(Ok(there)) if there == *authority.certificate() => {}
        Some(there) => {
            let found =
                there.map_or_else(|error| error.to_string(), |one| one.common_name().into());
            return Err(AdoptError::Occupied { role, found });
        }
    }
    // What the next plan would say of it, before it is written.
    existing.public_pem = Some(certificate_pem.to_owned());
    existing.key_pem = Some(authority.key_pem());
    decide_authority(role, &existing, now).map_err(Box::new)?;
    let key = store.key_text(&id, authority.key(), random);
    let key = key.map_err(|source| AdoptError::Seal { role, source })?;
    // The certificate last: without it there is no authority, and the same call goes on.
    let (key_path, public_path) = (store.key_path(&id), store.public_path(&id));
    store.write(&lock, &key_path, key.as_bytes(), KEY_MODE, &mut |_| {})?;
    let public = authority.certificate_pem().as_bytes();
    store.write(&lock, &public_path, public, PUBLIC_MODE, &mut |_| {})?;
    Ok(Action::Create)
}
