//! What to do about one item: pure, from what lies there, what is wanted and the moment.

use std::fmt;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::request::LeafRequest;
use crate::role::CaRole;
use crate::rotation;
use crate::x509::{
    Certificate, CertificateError, CheckError, KeyError, KeySpec, PrivateKey, check_authority,
    check_leaf_content, check_trust,
};

/// The two halves of an item as they lie in a store.
#[derive(Clone, Default)]
pub struct Existing {
    /// The certificate; of the service account pair the public key.
    pub public_pem: Option<String>,
    /// The key.
    pub key_pem: Option<Zeroizing<String>>,
    /// Whether both are of a replacement whose files are not in place yet.
    pub unfinished: bool,
    /// Whether both are of an authority that is given and not in the store yet.
    pub given: bool,
}

impl fmt::Debug for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Existing")
            .field("public_pem", &self.public_pem)
            .field("has_key", &self.key_pem.is_some())
            .field("unfinished", &self.unfinished)
            .field("given", &self.given)
            .finish()
    }
}

/// What will be done about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not there yet, or not whole.
    Create,
    /// It stays as it is, untouched on disk.
    Reuse,
    /// It is there and is replaced.
    Renew,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Reuse => "reuse",
            Self::Renew => "renew",
        })
    }
}

/// Why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Neither half is there.
    #[error("it does not exist")]
    Missing,
    /// The key is there alone, as a crash between the two files leaves it.
    #[error("its key has no certificate yet")]
    KeyAlone,
    /// The certificate is there alone.
    #[error("its key is missing")]
    KeyMissing,
    /// The public half of the service account pair is gone or another one.
    #[error("its public half does not follow from its key")]
    PublicHalf,
    /// The key cannot be read.
    #[error("its key cannot be used: {0}")]
    Key(KeyError),
    /// The certificate cannot be read.
    #[error("it cannot be read: {0}")]
    Certificate(CertificateError),
    /// Its key is of another kind than is wanted now; `None` for one that is drawn nowhere here.
    #[error("its key is {}, wanted {wanted}", .found.map_or("of another kind".to_owned(), |kind| kind.to_string()))]
    KeyKind {
        /// What it is.
        found: Option<KeySpec>,
        /// What it is to be.
        wanted: KeySpec,
    },
    /// The halves do not belong together.
    #[error("its key belongs to another certificate")]
    Mismatch,
    /// It says or is something else than is wanted now.
    #[error("{0}")]
    Check(CheckError),
    /// A run was killed between the two files; both are there and are put in place.
    #[error("a run was killed while it replaced it; the new pair is put in place")]
    Unfinished,
    /// An authority that somebody else has made is taken into the store.
    #[error("`{common_name}` is given; it is valid until {}", .not_after.date())]
    Given {
        /// Whom its certificate is about.
        common_name: String,
        /// The end of its life.
        not_after: OffsetDateTime,
    },
    /// Its authority is made in the same run.
    #[error("its authority is new")]
    NewAuthority,
    /// Little of its life is left, see [`Certificate::renewal`].
    #[error("due since {}, with {percent_left} % of its life left", .due.date())]
    Age {
        /// The moment from which on it is renewed.
        due: OffsetDateTime,
        /// The share left, rounded down.
        percent_left: u8,
    },
    /// It is in order and replaced all the same, see [`Renewal::All`](crate::Renewal::All).
    #[error("asked for; it was in order, valid until {}", .not_after.date())]
    Asked {
        /// The end of its life.
        not_after: OffsetDateTime,
    },
    /// It is as wanted.
    #[error("in order, valid until {}", .not_after.date())]
    Valid {
        /// The end of its life.
        not_after: OffsetDateTime,
    },
    /// A key pair without an end of life is as wanted.
    #[error("in order")]
    InOrder,
}

/// What to do about an item, and why in one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.action, self.reason)
    }
}

/// An authority in the store that cannot go on and is not replaced: everything that it signed
/// would be refused, and machines trust it by file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "authority `{}` cannot be used: {reason}; restore ca/{}.crt and ca/{}.key from a backup, or \
     move the whole store away to start anew",
    .role.name(), .role.name(), .role.name()
)]
pub struct AuthorityError {
    /// Which authority.
    pub role: CaRole,
    /// What is wrong with it.
    pub reason: Reason,
}

fn decision(action: Action, reason: Reason) -> Decision {
    Decision { action, reason }
}

/// Decides about a leaf. `authority` is `None` when it is made in the same run.
#[must_use]
pub fn decide(
    existing: &Existing,
    request: &LeafRequest,
    authority: Option<&Certificate>,
    now: OffsetDateTime,
) -> Decision {
    let certificate_pem = match (&existing.public_pem, &existing.key_pem) {
        (None, None) => return decision(Action::Create, Reason::Missing),
        (None, Some(_)) => return decision(Action::Create, Reason::KeyAlone),
        (Some(pem), _) => pem,
    };
    match judge(certificate_pem, existing, request, authority, now) {
        Ok(_) if existing.unfinished => decision(Action::Renew, Reason::Unfinished),
        Ok(not_after) => decision(Action::Reuse, Reason::Valid { not_after }),
        Err(reason) => decision(Action::Renew, reason),
    }
}

fn judge(
    certificate_pem: &str,
    existing: &Existing,
    request: &LeafRequest,
    authority: Option<&Certificate>,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, Reason> {
    let leaf = read_pair(certificate_pem, existing)?;
    check_leaf_content(&leaf, request).map_err(Reason::Check)?;
    let (found, wanted) = (leaf.key_spec(), request.key());
    if found != Some(wanted) {
        return Err(Reason::KeyKind { found, wanted });
    }
    let authority = authority.ok_or(Reason::NewAuthority)?;
    check_trust(&leaf, request, authority, now).map_err(Reason::Check)?;
    let due = leaf.renewal();
    if now >= due {
        let percent_left = percent(leaf.remaining(now));
        return Err(Reason::Age { due, percent_left });
    }
    Ok(leaf.not_after())
}

/// A share of 0 to 1 in whole percent, rounded down.
fn percent(share: f64) -> u8 {
    (0..=100)
        .rev()
        .find(|percent| f64::from(*percent) <= share * 100.0)
        .unwrap_or(0)
}

fn read_pair(certificate_pem: &str, existing: &Existing) -> Result<Certificate, Reason> {
    let key_pem = existing.key_pem.as_ref().ok_or(Reason::KeyMissing)?;
    let certificate = Certificate::from_pem(certificate_pem).map_err(Reason::Certificate)?;
    let key = PrivateKey::from_pem(key_pem).map_err(Reason::Key)?;
    if !certificate.holds_public_key(&key.public_key_der()) {
        return Err(Reason::Mismatch);
    }
    Ok(certificate)
}

/// Decides about an authority: create (make it, or take in the one that is given) or reuse, never renew.
///
/// # Errors
/// [`AuthorityError`] when it is there but cannot go on: key lost, halves of two pairs, unreadable,
/// expired. A key alone is none of these: no certificate names it yet, so one is made for it.
pub fn decide_authority(
    role: CaRole,
    existing: &Existing,
    now: OffsetDateTime,
) -> Result<Decision, AuthorityError> {
    let unusable = |reason| AuthorityError { role, reason };
    let certificate_pem = match (&existing.public_pem, &existing.key_pem) {
        (None, None) => return Ok(decision(Action::Create, Reason::Missing)),
        (None, Some(key_pem)) => {
            PrivateKey::from_pem(key_pem).map_err(|error| unusable(Reason::Key(error)))?;
            return Ok(decision(Action::Create, Reason::KeyAlone));
        }
        (Some(pem), _) => pem,
    };
    let certificate = read_pair(certificate_pem, existing).map_err(unusable)?;
    check_authority(&certificate, now).map_err(|error| unusable(Reason::Check(error)))?;
    // Any name of a foreign authority, but not that of another one of ours: its files would have been mixed up.
    let common_name = certificate.common_name();
    // etcd's peers may have etcd's own, see `fold_etcd_peers`.
    let mut others = CaRole::ALL
        .into_iter()
        .filter(|other| *other != role && (role, *other) != (CaRole::EtcdPeer, CaRole::Etcd));
    if others.any(|other| rotation::generation(other, common_name).is_some()) {
        return Err(unusable(Reason::Check(CheckError::Differs {
            field: "common name",
            found: certificate.common_name().to_owned(),
            wanted: role.common_name().to_owned(),
        })));
    }
    let not_after = certificate.not_after();
    if existing.given {
        let common_name = common_name.to_owned();
        let reason = Reason::Given {
            common_name,
            not_after,
        };
        return Ok(decision(Action::Create, reason));
    }
    Ok(decision(Action::Reuse, Reason::Valid { not_after }))
}

/// The service account key cannot be read and is not replaced: every token that it signed would
/// be refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "service account key `sa.key` cannot be used: {reason}; restore it from a backup, or remove \
     sa.key and sa.pub to invalidate every token and start anew"
)]
pub struct ServiceAccountError {
    /// What is wrong with it.
    pub reason: Reason,
}

/// Decides about the service account pair: its public half follows from the key and is made again.
///
/// # Errors
/// When the key cannot be read, or only its public half is left.
pub fn decide_service_account(existing: &Existing) -> Result<Decision, ServiceAccountError> {
    let key_pem = match (&existing.public_pem, &existing.key_pem) {
        (None, None) => return Ok(decision(Action::Create, Reason::Missing)),
        (Some(_), None) => {
            return Err(ServiceAccountError {
                reason: Reason::KeyMissing,
            });
        }
        (_, Some(key_pem)) => key_pem,
    };
    let key = PrivateKey::from_pem(key_pem).map_err(|error| ServiceAccountError {
        reason: Reason::Key(error),
    })?;
    if existing.public_pem.as_deref() == Some(key.public_key_pem().as_str()) {
        return Ok(decision(Action::Reuse, Reason::InOrder));
    }
    Ok(decision(Action::Create, Reason::PublicHalf))
}
