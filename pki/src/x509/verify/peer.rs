//! What a peer would say, by webpki.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, IpAddr as TlsIpAddr, ServerName, UnixTime};
use time::OffsetDateTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId};
use webpki::{KeyPurposeIdIter, KeyUsage, anchor_from_trusted_cert};

use super::CheckError;
use crate::name::AltNames;
use crate::request::{LeafRequest, Purpose};
use crate::x509::Certificate;

/// id-kp-serverAuth, RFC 5280 section 4.2.1.12.
const SERVER_AUTH: KeyPurposeId<'_> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
/// id-kp-clientAuth.
const CLIENT_AUTH: KeyPurposeId<'_> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);

pub(super) fn verify_chain(
    leaf: &Certificate,
    request: &LeafRequest,
    ca: &CertificateDer<'_>,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    let what = match request.purpose() {
        Purpose::Server => "server",
        Purpose::Client => "client",
        Purpose::ServerAndClient => "server and client",
    };
    verify_usage(leaf, what, Usages(request.purpose()), ca, now)?;
    verify_names(leaf, request.alt_names())
}

/// Asks for each usage of a purpose at once, so that the signature is verified once.
struct Usages(Purpose);

impl ExtendedKeyUsageValidator for Usages {
    fn validate(&self, found: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let (mut serves, mut dials, mut present) = (false, false, Vec::new());
        for usage in found {
            let usage = usage?;
            serves |= usage == SERVER_AUTH;
            dials |= usage == CLIENT_AUTH;
            present.push(usage.to_decoded_oid());
        }
        let missing = match (self.0.serves() && !serves, self.0.dials() && !dials) {
            (false, false) => return Ok(()),
            (true, _) => KeyUsage::server_auth(),
            (false, true) => KeyUsage::client_auth(),
        };
        Err(webpki::Error::RequiredEkuNotFoundContext(
            webpki::RequiredEkuNotFoundContext {
                required: missing,
                present,
            },
        ))
    }
}

/// Whether a peer finds each of the names in a certificate.
pub(super) fn verify_names(leaf: &Certificate, names: &AltNames) -> Result<(), CheckError> {
    let end = EndEntityCert::try_from(&leaf.der).map_err(|e| refused(&"its form", e))?;
    for name in names.dns() {
        let server = ServerName::try_from(name.as_str())
            .map_err(|_| refused(&name, webpki::Error::MalformedDnsIdentifier))?;
        end.verify_is_valid_for_subject_name(&server)
            .map_err(|e| refused(&name, e))?;
    }
    for name in names.wildcards() {
        let example = format!("any.{}", name.parent());
        let server = ServerName::try_from(example.as_str())
            .map_err(|_| refused(&name, webpki::Error::MalformedDnsIdentifier))?;
        end.verify_is_valid_for_subject_name(&server)
            .map_err(|e| refused(&name, e))?;
    }
    for address in names.ips() {
        let server = ServerName::IpAddress(TlsIpAddr::from(address));
        end.verify_is_valid_for_subject_name(&server)
            .map_err(|e| refused(&address, e))?;
    }
    Ok(())
}

/// Whether the chain from `leaf` to `ca` holds for one usage.
pub(super) fn verify_usage(
    leaf: &Certificate,
    what: &str,
    usage: impl ExtendedKeyUsageValidator,
    ca: &CertificateDer<'_>,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    let anchor = anchor_from_trusted_cert(ca).map_err(|e| refused(&"its authority", e))?;
    let end = EndEntityCert::try_from(&leaf.der).map_err(|e| refused(&"its form", e))?;
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    end.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &[anchor],
        &[],
        moment,
        usage,
        None,
        None,
    )
    .map_err(|e| refused(&what, e))?;
    Ok(())
}

fn refused(what: &dyn std::fmt::Display, reason: webpki::Error) -> CheckError {
    CheckError::Refused {
        what: what.to_string(),
        reason: reason.to_string(),
    }
}
