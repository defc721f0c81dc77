//! Asking another signer for a certificate: key and request here, signature there.

use std::fmt;

use time::OffsetDateTime;

use crate::authority::Issued;
use crate::request::Subject;
use crate::x509::{
    Certificate, CertificateError, CheckError, KeyError, PrivateKey, SignError, encode_request,
};

/// A request that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestCreateError {
    /// No key could be drawn.
    #[error("drawing a key for `{subject}`")]
    Key {
        /// Who asks.
        subject: String,
        /// The generator's failure.
        #[source]
        source: KeyError,
    },
    /// The encoder refused.
    #[error("encoding the certificate request of `{subject}`")]
    Encode {
        /// Who asks.
        subject: String,
        /// The encoder's reason.
        #[source]
        source: SignError,
    },
}

/// A signer's answer that is of no use to whoever asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is no certificate.
    #[error("reading the certificate that the signer gave `{subject}`")]
    Certificate {
        /// Who asked.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// It is about another key, so it answers another request.
    #[error("the signer gave `{subject}` a certificate of another key; ask again")]
    ForeignKey {
        /// Who asked.
        subject: String,
    },
    /// Servers would not take its holder for the subject.
    #[error("checking the certificate that the signer gave `{subject}`")]
    Check {
        /// Who asked.
        subject: String,
        /// The first check that failed.
        #[source]
        source: CheckError,
    },
}

/// A fresh key and the request (PKCS #10, RFC 2986) for a client certificate about it.
///
/// The key stays here until the certificate is there: neither is of use without the other.
pub struct CertificateRequest {
    subject: Subject,
    key: PrivateKey,
    pem: String,
}

impl CertificateRequest {
    /// Draws a key and signs the request with it, as a proof that its holder asks. The request names the
    /// subject and nothing else; usages and life are the signer's to decide.
    ///
    /// # Errors
    /// A failing generator of the operating system, or an encoder that refuses.
    pub fn create(subject: Subject) -> Result<Self, RequestCreateError> {
        let key = PrivateKey::generate().map_err(|source| RequestCreateError::Key {
            subject: subject.to_string(),
            source,
        })?;
        let pem = encode_request(&subject, &key).map_err(|source| RequestCreateError::Encode {
            subject: subject.to_string(),
            source,
        })?;
        Ok(Self { subject, key, pem })
    }

    /// The request as PEM `CERTIFICATE REQUEST`; no secret.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The public half as DER `SubjectPublicKeyInfo`: what tells one request from every other.
    #[must_use]
    pub fn public_key_der(&self) -> Vec<u8> {
        self.key.public_key_der()
    }

    /// Joins the signer's answer with the key, if the certificate is about this key and a server that trusts
    /// `ca` accepts it at this moment ([`Certificate::check_client`]).
    ///
    /// # Errors
    /// A text that is no certificate, another key's certificate, or one that would be refused.
    pub fn accept(
        &self,
        certificate_pem: &str,
        ca: &Certificate,
        now: OffsetDateTime,
    ) -> Result<Issued, AnswerError> {
        let subject = || self.subject.to_string();
        let certificate = Certificate::from_pem(certificate_pem).map_err(|source| {
            let subject = subject();
            AnswerError::Certificate { subject, source }
        })?;
        if !certificate.holds_public_key(&self.key.public_key_der()) {
            return Err(AnswerError::ForeignKey { subject: subject() });
        }
        certificate
            .check_client(&self.subject, ca, now)
            .map_err(|source| {
                let subject = subject();
                AnswerError::Check { subject, source }
            })?;
        Ok(Issued {
            certificate_pem: certificate_pem.to_owned(),
            key_pem: self.key.to_pem(),
        })
    }
}

impl fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateRequest({})", self.subject)
    }
}
