//! Certificates as they are found on machines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use rustls_pki_types::CertificateDer;

use crate::x509::{Certificate, CertificateError};

impl Certificate {
    /// Reads a certificate as a server shows it, in DER.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`].
    pub fn from_der_bytes(der: &[u8]) -> Result<Self, CertificateError> {
        Self::from_der(&CertificateDer::from(der.to_vec()))
    }
}

/// The field of a kubeconfig with the certificate of its user.
const EMBEDDED: &str = "client-certificate-data:";

/// The certificate with which whoever has this file shows itself: the first PEM `CERTIFICATE` of the text, or the
/// user's of a kubeconfig. `None` for a kubeconfig that holds none, because it names a file or has a token.
///
/// # Errors
/// The text is neither, or its certificate cannot be read.
pub fn certificate_in(text: &str) -> Result<Option<Certificate>, CertificateError> {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Certificate::from_pem(text).map(Some);
    }
    let is_kubeconfig = text.lines().any(|line| line.trim() == "kind: Config");
    let embedded = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(EMBEDDED));
    let Some(embedded) = embedded else {
        return match is_kubeconfig {
            true => Ok(None),
            false => Err(CertificateError::Pem),
        };
    };
    let bytes = STANDARD.decode(embedded.trim());
    let pem = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    Certificate::from_pem(&pem.ok_or(CertificateError::Pem)?).map(Some)
}
