//! The self-check of a revocation list: read back, compared with what was asked, its signature verified.

use rustls_pki_types::CertificateRevocationListDer;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::Certificate;
use super::sign::RevocationParams;

/// A revocation list that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationListError {
    /// A reader cannot read it.
    #[error("a reader refuses its form: {reason}")]
    Form {
        /// The reader's reason.
        reason: String,
    },
    /// A part of it differs.
    #[error("its {field} differs from what was asked for")]
    Differs {
        /// Which part.
        field: &'static str,
    },
    /// Its signature is not of the authority's key.
    #[error("its signature is not of the authority's key")]
    Signature,
}

pub(crate) fn check_revocations(
    der: &CertificateRevocationListDer<'_>,
    wanted: &RevocationParams<'_>,
    ca: &Certificate,
) -> Result<(), RevocationListError> {
    let form = |reason: String| RevocationListError::Form { reason };
    let (_, list) = CertificateRevocationList::from_der(der).map_err(|e| form(e.to_string()))?;
    let list_key = list
        .extensions()
        .iter()
        .find_map(|found| match found.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
            _ => None,
        });
    let same = |holds: bool, field| match holds {
        true => Ok(()),
        false => Err(RevocationListError::Differs { field }),
    };
    same(list.issuer().as_raw() == ca.subject_der, "issuer")?;
    let list_key = list_key.map(|id| id.0);
    same(
        list_key == ca.extensions.subject_key_id.as_deref(),
        "authority key identifier",
    )?;
    same(
        list.last_update().to_datetime() == wanted.this_update,
        "start",
    )?;
    let end = list.next_update().map(|end| end.to_datetime());
    same(end == Some(wanted.next_update), "end")?;
    let count = list.iter_revoked_certificates().count();
    same(count == wanted.revoked.len(), "number of certificates")?;
    let (_, parsed) = X509Certificate::from_der(&ca.der).map_err(|e| form(e.to_string()))?;
    list.verify_signature(parsed.public_key())
        .map_err(|_| RevocationListError::Signature)?;
    let read = OwnedCertRevocationList::from_der(der).map_err(|e| form(e.to_string()))?;
    let read = CertRevocationList::from(read);
    for one in wanted.revoked {
        let found = read.find_serial(one.serial.as_bytes());
        let found = found.map_err(|e| form(e.to_string()))?;
        same(found.is_some(), "certificates")?;
    }
    Ok(())
}
