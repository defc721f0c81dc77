//! What a PEM file says: the only place that knows the encodings.

use super::problem::CertificateProblem;
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use std::{net::IpAddr, path::Path};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// A certificate with what the rules ask of it.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) der: CertificateDer<'static>,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
    /// Names and addresses, as people write them.
    pub(super) names: Vec<String>,
    /// Whether it may sign certificates (RFC 5280, 4.2.1.9).
    pub(super) is_authority: bool,
}

/// All certificates of a file, at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<Read>, CertificateProblem> {
    const NOT_PEM: CertificateProblem = CertificateProblem::NotPem {
        wanted: "certificate",
    };
    let blocks: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let blocks = blocks.map_err(|_| NOT_PEM)?;
    if blocks.is_empty() {
        return Err(NOT_PEM);
    }
    blocks.into_iter().map(read).collect()
}

/// What a server presented, its own certificate first.
pub(super) fn chain(
    presented: Vec<CertificateDer<'static>>,
) -> Result<Vec<Read>, CertificateProblem> {
    presented.into_iter().map(read).collect()
}

fn read(der: CertificateDer<'static>) -> Result<Read, CertificateProblem> {
    let form = |reason: String| CertificateProblem::Form { reason };
    let (rest, parsed) = X509Certificate::from_der(&der).map_err(|e| form(e.to_string()))?;
    if !rest.is_empty() {
        return Err(form("bytes after its end".to_owned()));
    }
    let names = parsed.subject_alternative_name();
    let names = names.map_err(|e| form(e.to_string()))?;
    let names = names.iter().flat_map(|found| &found.value.general_names);
    let names = names.map(name_text).collect();
    let constraints = parsed.basic_constraints();
    let constraints = constraints.map_err(|e| form(e.to_string()))?;
    Ok(Read {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        not_before: parsed.validity().not_before.to_datetime(),
        not_after: parsed.validity().not_after.to_datetime(),
        names,
        is_authority: constraints.is_some_and(|found| found.value.ca),
        der: der.clone(),
    })
}

fn name_text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let any = v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            any.map_or_else(|_| "a malformed address".to_owned(), |ip| ip.to_string())
        }
        other => other.to_string(),
    }
}

/// Whether the key of a file is the one of `certificate`, which lies at `path`.
pub(super) fn key(pem: &[u8], certificate: &Read, path: &Path) -> Result<(), CertificateProblem> {
    // RFC 7468 section 11, and the older form of OpenSSL. rustls skips the first and chokes on the second.
    let text = String::from_utf8_lossy(pem);
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(CertificateProblem::EncryptedKey);
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| CertificateProblem::NotPem {
        wanted: "private key",
    })?;
    let key = any_supported_type(&key).map_err(|_| CertificateProblem::UnusableKey)?;
    CertifiedKey::new(vec![certificate.der.clone()], key)
        .keys_match()
        .map_err(|_| CertificateProblem::OtherKey {
            certificate: path.to_owned(),
        })
}
