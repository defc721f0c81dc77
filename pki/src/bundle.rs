//! Several certificates in one file: what a verifier trusts, or a leaf with what leads to its root.

use crate::x509::{Certificate, CertificateError};

/// Puts certificates into one PEM text in the order given; what appears again is left out.
///
/// For a file of trusted authorities the order says nothing, except to programs that look at the first one only. For what
/// a server sends, its own certificate comes first (RFC 8446 section 4.4.2).
#[must_use]
pub fn bundle<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> String {
    let mut seen: Vec<&Certificate> = Vec::new();
    for certificate in certificates {
        if !seen.contains(&certificate) {
            seen.push(certificate);
        }
    }
    seen.into_iter().map(Certificate::to_pem).collect()
}

/// Reads every certificate of a PEM text.
///
/// # Errors
/// A text without one, or with one that is damaged. Other blocks, as a key, are skipped.
pub fn read_bundle(pem: &str) -> Result<Vec<Certificate>, CertificateError> {
    Certificate::all_from_pem(pem)
}
