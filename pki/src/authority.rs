//! A certificate authority: made, loaded, and issuing with a self-check each time.

use std::fmt;

use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::random::{Random, RandomError};
use crate::request::{LeafRequest, Life, Subject};
use crate::x509::{
    AuthorityParams, Certificate, CertificateError, CheckError, KeyError, LeafParams, PrivateKey,
    SignError, check_authority, check_leaf, sign_authority, sign_leaf,
};

/// How far a life starts before the moment of issue, so that machines whose clocks are a little
/// behind accept it at once. kubeadm's value (`CertificateBackdate`); no verifier has a leeway.
const BACKDATE: Duration = Duration::minutes(5);

/// A certificate could not be made, or did not pass the check of what was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// No serial number could be drawn.
    #[error("drawing a serial number for `{subject}`")]
    Serial {
        /// Whom the certificate is about.
        subject: String,
        /// The failure of the source.
        #[source]
        source: RandomError,
    },
    /// No key could be drawn.
    #[error("drawing a key for `{subject}`")]
    Key {
        /// Whom the certificate is about.
        subject: String,
        /// The generator's failure.
        #[source]
        source: KeyError,
    },
    /// The clock shows a moment that certificates cannot hold, or the life ends beyond them.
    #[error("`{subject}` would live to a moment outside 1970 to 9999; check the clock, {now}")]
    Clock {
        /// Whom the certificate is about.
        subject: String,
        /// The moment given.
        now: OffsetDateTime,
    },
    /// The leaf would outlive its authority.
    #[error(
        "`{subject}` would live until {leaf_end}, past the end of its authority `{authority}`, \
         {authority_end}; ask for a shorter life or make a new authority"
    )]
    OutlivesAuthority {
        /// Whom the certificate is about.
        subject: String,
        /// The end that was asked for.
        leaf_end: OffsetDateTime,
        /// The authority's common name.
        authority: String,
        /// The authority's end.
        authority_end: OffsetDateTime,
    },
    /// The encoder refused.
    #[error("signing `{subject}`")]
    Sign {
        /// Whom the certificate is about.
        subject: String,
        /// The encoder's reason.
        #[source]
        source: SignError,
    },
    /// What was made cannot be read back.
    #[error("reading back the certificate of `{subject}`")]
    ReadBack {
        /// Whom the certificate is about.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// What was made is not what was asked for, or would be refused.
    #[error("checking the certificate of `{subject}`")]
    Check {
        /// Whom the certificate is about.
        subject: String,
        /// The first check that failed.
        #[source]
        source: CheckError,
    },
}

/// A certificate and key are no authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The certificate cannot be read.
    #[error("reading the authority's certificate")]
    Certificate(#[source] CertificateError),
    /// The key cannot be read.
    #[error("reading the authority's key")]
    Key(#[source] KeyError),
    /// Two halves that do not belong together.
    #[error("the key is not the one of the certificate `{common_name}`; restore the pair")]
    Mismatch {
        /// The certificate's common name.
        common_name: String,
    },
    /// The certificate is none of an authority, or not at this moment.
    #[error("`{common_name}` cannot act as an authority")]
    Unusable {
        /// The certificate's common name.
        common_name: String,
        /// The first rule that it breaks.
        #[source]
        source: CheckError,
    },
}

/// A self-signed authority with its key. It signs leaves only (path length 0).
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    certificate_pem: String,
    key: PrivateKey,
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
        let name = subject.to_string();
        let (not_before, not_after) = validity(&name, life, now)?;
        let serial = draw_serial(&name, random)?;
        let params = AuthorityParams {
            subject,
            serial,
            not_before,
            not_after,
        };
        let der = sign_authority(&params, &key).map_err(|source| IssueError::Sign {
            subject: name.clone(),
            source,
        })?;
        let certificate_pem = to_pem(&der);
        let certificate = Certificate::from_der(&der).map_err(|source| IssueError::ReadBack {
            subject: name.clone(),
            source,
        })?;
        check_authority(&certificate, now).map_err(|source| IssueError::Check {
            subject: name,
            source,
        })?;
        Ok(Self {
            certificate,
            certificate_pem,
            key,
        })
    }

    /// Loads an authority from two PEM texts.
    ///
    /// # Errors
    /// Unreadable halves, halves of two pairs, no authority, or one whose life does not hold `now`.
    pub fn from_pem(
        certificate_pem: &str,
        key_pem: &str,
        now: OffsetDateTime,
    ) -> Result<Self, LoadError> {
        let certificate = Certificate::from_pem(certificate_pem).map_err(LoadError::Certificate)?;
        let key = PrivateKey::from_pem(key_pem).map_err(LoadError::Key)?;
        let common_name = certificate.common_name().to_owned();
        if !certificate.holds_public_key(&key.public_key_der()) {
            return Err(LoadError::Mismatch { common_name });
        }
        check_authority(&certificate, now).map_err(|source| LoadError::Unusable {
            common_name,
            source,
        })?;
        Ok(Self {
            certificate,
            certificate_pem: certificate_pem.to_owned(),
            key,
        })
    }

    /// Issues a leaf with a fresh key and checks it as its peers will.
    ///
    /// # Errors
    /// A failing source of random bytes, an impossible clock, a life past the authority's end, or a
    /// failed self-check. A life that would start before the authority's is cut to it, which is not
    /// an error.
    pub fn issue(
        &self,
        request: &LeafRequest,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<Issued, IssueError> {
        let subject = request.subject().to_string();
        let (not_before, not_after) = self.leaf_validity(&subject, request.life(), now)?;
        let serial = draw_serial(&subject, random)?;
        let key = PrivateKey::generate().map_err(|source| IssueError::Key {
            subject: subject.clone(),
            source,
        })?;
        let params = LeafParams {
            request,
            serial,
            not_before,
            not_after,
        };
        let der = sign_leaf(&params, &key, &self.certificate, &self.key).map_err(|source| {
            IssueError::Sign {
                subject: subject.clone(),
                source,
            }
        })?;
        let certificate_pem = to_pem(&der);
        let leaf = Certificate::from_der(&der).map_err(|source| IssueError::ReadBack {
            subject: subject.clone(),
            source,
        })?;
        check_leaf(&leaf, request, &self.certificate, now)
            .map_err(|source| IssueError::Check { subject, source })?;
        Ok(Issued {
            certificate_pem,
            key_pem: key.to_pem(),
        })
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
        self.key.to_pem()
    }
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

/// A positive number of 127 bits, so that it fits sixteen bytes with the sign bit clear.
fn draw_serial(subject: &str, random: &dyn Random) -> Result<[u8; 16], IssueError> {
    let failed = |source| IssueError::Serial {
        subject: subject.to_owned(),
        source,
    };
    let mut serial = [0; 16];
    random.fill(&mut serial).map_err(failed)?;
    serial[0] &= 0x7f;
    if serial == [0; 16] {
        return Err(failed(RandomError));
    }
    Ok(serial)
}

/// PEM of RFC 7468: 64 characters a line.
fn to_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
