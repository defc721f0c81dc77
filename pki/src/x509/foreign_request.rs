//! Reading a certificate request that another program made.

use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509CertificationRequest};

use super::KeyAlgorithm;
use super::certificate::{alt_names, key_algorithm};
use crate::name::AltNames;

/// A text that is no certificate request, or asks for what nobody here would sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignRequestError {
    /// No PEM of this kind.
    #[error("it is no PEM CERTIFICATE REQUEST")]
    Pem,
    /// Damaged DER.
    #[error("it is no PKCS #10 request")]
    Form,
    /// The subject has something else than one common name and organisations.
    #[error("its subject has more than one common name and organisations")]
    Subject,
    /// An alternative name that is no host name and no address.
    #[error("it asks for an alternative name that is no host name and no address")]
    AltName,
}

/// What somebody else's request (PKCS #10, RFC 2986) asks for.
///
/// Its signature is told by [`ForeignRequest::proves_its_key`], and is no reason not to read it: the Kubernetes API refuses a
/// request that its own key has not signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRequest {
    common_name: String,
    groups: Vec<String>,
    alt_names: AltNames,
    public_key_der: Vec<u8>,
    key_algorithm: Option<KeyAlgorithm>,
    proven: bool,
}

impl ForeignRequest {
    /// Reads the first PEM `CERTIFICATE REQUEST` of a text.
    ///
    /// # Errors
    /// Damaged text or DER, a subject with other parts than one common name and organisations, names of other kinds
    /// than host and address.
    pub fn from_pem(pem: &str) -> Result<Self, ForeignRequestError> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| ForeignRequestError::Pem)?;
        let form = ForeignRequestError::Form;
        let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| form)?;
        if !rest.is_empty() {
            return Err(form);
        }
        let info = &request.certification_request_info;
        let subject = &info.subject;
        let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            value.as_str().map(str::to_owned).map_err(|_| form)
        };
        let names: Vec<String> = subject
            .iter_common_name()
            .map(text)
            .collect::<Result<_, _>>()?;
        let groups: Vec<String> = subject
            .iter_organization()
            .map(text)
            .collect::<Result<_, _>>()?;
        let [common_name] =
            <[String; 1]>::try_from(names).map_err(|_| ForeignRequestError::Subject)?;
        if subject.iter_attributes().count() != 1 + groups.len() {
            return Err(ForeignRequestError::Subject);
        }
        let (mut general, mut unread) = (Vec::new(), false);
        for extension in request.requested_extensions().into_iter().flatten() {
            match extension {
                ParsedExtension::SubjectAlternativeName(names) => {
                    general.extend(&names.general_names);
                }
                ParsedExtension::ParseError { .. } => unread = true,
                _ => {}
            }
        }
        if unread {
            return Err(form);
        }
        Ok(Self {
            common_name,
            groups,
            alt_names: alt_names(general).map_err(|_| ForeignRequestError::AltName)?,
            public_key_der: info.subject_pki.raw.to_vec(),
            key_algorithm: key_algorithm(&info.subject_pki),
            proven: request.verify_signature().is_ok(),
        })
    }

    /// The subject's common name.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The subject's organisations, which Kubernetes takes as groups.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The names under which the holder wants to serve.
    #[must_use]
    pub fn alt_names(&self) -> &AltNames {
        &self.alt_names
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// What kind of key it is about, or `None` for a kind that is not issued here.
    #[must_use]
    pub fn key_algorithm(&self) -> Option<KeyAlgorithm> {
        self.key_algorithm
    }

    /// Whether its own key signed it, so that its sender holds the private half.
    #[must_use]
    pub fn proves_its_key(&self) -> bool {
        self.proven
    }
}
