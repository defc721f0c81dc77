//! A certificate authority: made, loaded, and issuing with a self-check each time.

mod error;
mod load;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

pub use error::{IssueError, LoadError};

use crate::random::Random;
use crate::request::{AuthorityRequest, LeafRequest, Life, Subject};
use crate::serial::{self, SerialLedger, SerialNumber};
use crate::x509::{
    AuthorityParams, Certificate, LeafParams, PrivateKey, SignError, Signer, check_leaf,
    check_own_authority, encode_pem, sign_authority,
};

/// How far a life starts before the moment of issue, so that machines whose clocks are a little
/// behind accept it at once. kubeadm's value (`CertificateBackdate`); no verifier has a leeway.
const BACKDATE: Duration = Duration::minutes(5);

/// A self-signed authority with its key. It signs leaves only (path length 0).
///
/// It remembers the serial numbers that it has given, and is told by [`Authority::with_issued`] of those that it gave in
/// another life.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    certificate_pem: String,
    signer: Signer,
    ledger: Mutex<SerialLedger>,
}

/// A certificate with its key, as two PEM texts.
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The key, unencrypted PKCS#8 PEM, wiped when dropped. etcd and Kubernetes read no other.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("certificate_pem", &self.certificate_pem)
            .field("key_pem", &"..")
            .finish()
    }
}

impl Authority {
    /// Makes an authority with a fresh key.
    ///
    /// # Errors
    /// A failing source of random bytes, an impossible clock, or a failed self-check.
    pub fn create(
        subject: &Subject,
        life: Life,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<Self, IssueError> {
        let key = PrivateKey::generate().map_err(|source| IssueError::Key {
            subject: subject.to_string(),
            source,
        })?;
        Self::create_with_key(key, subject, life, now, random)
    }

    /// Makes an authority on a key that exists already, as a crash between the two files leaves it.
    ///
    /// # Errors
    /// As [`Authority::create`].
    pub fn create_with_key(
        key: PrivateKey,
        subject: &Subject,
        life: Life,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<Self, IssueError> {
        let request = AuthorityRequest {
            subject: subject.clone(),
            life,
            constraints: None,
        };
        Self::create_from(&request, key, now, random)
    }

    /// Makes an authority of a key, with everything that can be chosen about it.
    ///
    /// # Errors
    /// As [`Authority::create`].
    pub fn create_from(
        request: &AuthorityRequest,
        key: PrivateKey,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<Self, IssueError> {
        let subject = request.subject.to_string();
        let (not_before, not_after) = validity(&subject, request.life, now)?;
        let constraints = request.constraints.as_ref();
        let params = AuthorityParams {
            subject: &request.subject,
            constraints,
            serial: draw_serial(&subject, random)?,
            not_before,
            not_after,
        };
        let sign = |source| IssueError::Sign {
            subject: subject.clone(),
            source,
        };
        let der = sign_authority(&params, &key).map_err(sign)?;
        let certificate = Certificate::from_der(&der).map_err(|source| IssueError::ReadBack {
            subject: subject.clone(),
            source,
        })?;
        check_own_authority(&certificate, &request.subject, constraints, now).map_err(
            |source| IssueError::Check {
                subject: subject.clone(),
                source,
            },
        )?;
        Ok(Self {
            signer: Signer::new(&certificate, key).map_err(sign)?,
            certificate_pem: to_pem(&der),
            ledger: ledger_of(&certificate),
            certificate,
        })
    }

    /// The same authority, which will not give these numbers again.
    #[must_use]
    pub fn with_issued(self, given: impl IntoIterator<Item = SerialNumber>) -> Self {
        let mut ledger = self
            .ledger
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for number in given {
            ledger.claim(number);
        }
        Self {
            ledger: Mutex::new(ledger),
            ..self
        }
    }

    /// Issues a leaf with a fresh key and checks it as its peers will.
    ///
    /// # Errors
    /// A failing or repeating source of random bytes, an impossible clock, a life past the authority's end, a name that it
    /// may not vouch for, or a failed self-check. A life that would start before the authority's is cut to it, which is
    /// not an error.
    pub fn issue(
        &self,
        request: &LeafRequest,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<Issued, IssueError> {
        self.issue_for(request, &fresh_key(request)?, now, random)
    }

    /// Issues a leaf about a key that exists already, of any kind.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_for(
        &self,
        request: &LeafRequest,
        key: &PrivateKey,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<Issued, IssueError> {
        let serial = self.claim_serial(request, random)?;
        self.issue_with(request, key, serial, now)
    }

    /// Issues a leaf with a fresh key and a number that a ledger has reserved.
    pub(crate) fn issue_numbered(
        &self,
        request: &LeafRequest,
        serial: [u8; 16],
        now: OffsetDateTime,
    ) -> Result<Issued, IssueError> {
        let key = fresh_key(request)?;
        self.issue_with(request, &key, serial, now)
    }

    fn issue_with(
        &self,
        request: &LeafRequest,
        key: &PrivateKey,
        serial: [u8; 16],
        now: OffsetDateTime,
    ) -> Result<Issued, IssueError> {
        let sign = |params: &LeafParams<'_>| self.signer.sign_leaf(params, key);
        Ok(Issued {
            certificate_pem: self.issue_by(request, serial, now, sign)?,
            key_pem: key.to_pem(),
        })
    }

    /// All of an issue but the key: what is decided before, the signature, and the check of what came out of it.
    pub(crate) fn issue_by(
        &self,
        request: &LeafRequest,
        serial: [u8; 16],
        now: OffsetDateTime,
        sign: impl FnOnce(&LeafParams<'_>) -> Result<CertificateDer<'static>, SignError>,
    ) -> Result<String, IssueError> {
        let subject = request.subject().to_string();
        let (not_before, not_after) = self.leaf_validity(&subject, request.life(), now)?;
        self.check_constraints(&subject, request)?;
        let params = LeafParams {
            request,
            serial,
            not_before,
            not_after,
        };
        let der = sign(&params).map_err(|source| IssueError::Sign {
            subject: subject.clone(),
            source,
        })?;
        let leaf = Certificate::from_der(&der).map_err(|source| IssueError::ReadBack {
            subject: subject.clone(),
            source,
        })?;
        check_leaf(&leaf, request, &self.certificate, now)
            .map_err(|source| IssueError::Check { subject, source })?;
        Ok(to_pem(&der))
    }

    fn check_constraints(&self, subject: &str, request: &LeafRequest) -> Result<(), IssueError> {
        let constraints = self.certificate.name_constraints();
        let outside = constraints.and_then(|found| found.first_outside(request.alt_names()));
        match outside {
            None => Ok(()),
            Some(name) => Err(IssueError::Constrained {
                subject: subject.to_owned(),
                name,
                authority: self.certificate.common_name().to_owned(),
            }),
        }
    }

    /// A number that this authority has not given before.
    pub(crate) fn claim_serial(
        &self,
        request: &LeafRequest,
        random: &dyn Random,
    ) -> Result<[u8; 16], IssueError> {
        let subject = request.subject().to_string();
        let drawn = draw_serial(&subject, random)?;
        let serial = SerialNumber::new(&drawn).expect("a drawn number is not zero");
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.claim(serial.clone()) {
            return Ok(drawn);
        }
        Err(IssueError::RepeatedSerial { subject, serial })
    }

    fn leaf_validity(
        &self,
        subject: &str,
        life: Life,
        now: OffsetDateTime,
    ) -> Result<(OffsetDateTime, OffsetDateTime), IssueError> {
        let (not_before, not_after) = validity(subject, life, now)?;
        if not_after > self.certificate.not_after() {
            return Err(IssueError::OutlivesAuthority {
                subject: subject.to_owned(),
                leaf_end: not_after,
                authority: self.certificate.common_name().to_owned(),
                authority_end: self.certificate.not_after(),
            });
        }
        Ok((not_before.max(self.certificate.not_before()), not_after))
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority's certificate as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's key as PKCS#8 PEM; wiped when dropped.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.signer.key().to_pem()
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        self.signer.key()
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }
}

/// Its own number is the first that an authority has given.
fn ledger_of(ca: &Certificate) -> Mutex<SerialLedger> {
    Mutex::new(SerialNumber::of(ca).into_iter().collect())
}

/// Start and end of a life in whole seconds, the resolution of X.509.
fn validity(
    subject: &str,
    life: Life,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, OffsetDateTime), IssueError> {
    let impossible = || IssueError::Clock {
        subject: subject.to_owned(),
        now,
    };
    let start = now - Duration::nanoseconds(now.nanosecond().into());
    let not_before = start.checked_sub(BACKDATE).ok_or_else(impossible)?;
    let not_after = start.checked_add(life.duration()).ok_or_else(impossible)?;
    if not_before < OffsetDateTime::UNIX_EPOCH {
        return Err(impossible());
    }
    Ok((not_before, not_after))
}

fn fresh_key(request: &LeafRequest) -> Result<PrivateKey, IssueError> {
    PrivateKey::generate_for(request.key()).map_err(|source| IssueError::Key {
        subject: request.subject().to_string(),
        source,
    })
}

fn draw_serial(subject: &str, random: &dyn Random) -> Result<[u8; 16], IssueError> {
    serial::draw(random).map_err(|source| IssueError::Serial {
        subject: subject.to_owned(),
        source,
    })
}

fn to_pem(der: &[u8]) -> String {
    encode_pem("CERTIFICATE", der).to_string()
}
