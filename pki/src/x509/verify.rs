//! The self-check: what was issued is read back, compared with what was asked, and verified as a
//! peer would verify it.
//!
//! webpki takes only name and key from an anchor, so the rules about the authority itself are
//! checked here: without them a chain would pass that Go and OpenSSL refuse.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, IpAddr as TlsIpAddr, ServerName, UnixTime};
use time::OffsetDateTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::Certificate;
use crate::{
    name::AltNames,
    request::{LeafRequest, Subject},
};

/// Bit 0 of RFC 5280 section 4.2.1.3.
const DIGITAL_SIGNATURE: u16 = 1;
/// Bit 5.
const KEY_CERT_SIGN: u16 = 1 << 5;

/// Why a certificate is not what was asked for, or would not be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A field differs from the request.
    #[error("{field} is `{found}`, wanted `{wanted}`")]
    Differs {
        /// The field, in words.
        field: &'static str,
        /// What the certificate says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// A rule about extensions is broken.
    #[error("the certificate {rule}")]
    Rule {
        /// The rule, as a half sentence.
        rule: &'static str,
    },
    /// The moment lies outside the certificate's life.
    #[error("the certificate is valid from {not_before} to {not_after} only")]
    Time {
        /// The first second of its life.
        not_before: OffsetDateTime,
        /// The last second of its life.
        not_after: OffsetDateTime,
    },
    /// webpki refuses the chain or a name.
    #[error("a peer would refuse it for {what}: {reason}")]
    Refused {
        /// The usage or the name tried.
        what: String,
        /// webpki's reason.
        reason: String,
    },
}

/// Whether a certificate may act as one of our authorities at a moment.
pub(crate) fn check_authority(ca: &Certificate, now: OffsetDateTime) -> Result<(), CheckError> {
    let rule = |holds: bool, rule| {
        if holds {
            Ok(())
        } else {
            Err(CheckError::Rule { rule })
        }
    };
    let extensions = &ca.extensions;
    let is_ca = matches!(extensions.basic_constraints, Some((true, _)));
    rule(is_ca, "is not an authority (basic constraints)")?;
    let signs = extensions
        .key_usage
        .is_some_and(|(bits, _)| bits & KEY_CERT_SIGN != 0);
    rule(signs, "may not sign certificates (key usage)")?;
    let usage = extensions.server_auth || extensions.client_auth || extensions.other_usage;
    rule(
        !usage,
        "limits its usage (extended key usage), which reaches every leaf in Go",
    )?;
    rule(
        extensions.subject_key_id.is_some(),
        "has no subject key identifier",
    )?;
    rule(ca.subject_der == ca.issuer_der, "is not self-signed")?;
    rule(
        positive(&ca.serial),
        "has a serial number that is not positive",
    )?;
    check_time(ca, now)?;
    check_self_signature(ca)
}

fn check_self_signature(ca: &Certificate) -> Result<(), CheckError> {
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let refused = CheckError::Rule {
        rule: "is not signed by its own ECDSA P-256 key",
    };
    let Ok((_, parsed)) = X509Certificate::from_der(&ca.der) else {
        return Err(refused);
    };
    let key = &parsed.public_key().subject_public_key.data;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(
            parsed.tbs_certificate.as_ref(),
            &parsed.signature_value.data,
        )
        .map_err(|_| refused)
}

/// Whether a leaf says what was asked for and is accepted by a peer at a moment.
pub(crate) fn check_leaf(
    leaf: &Certificate,
    request: &LeafRequest,
    ca: &Certificate,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    check_leaf_content(leaf, request)?;
    check_trust(leaf, request, ca, now)
}

/// The part that needs no authority: subject, names, usages and extensions.
pub(crate) fn check_leaf_content(
    leaf: &Certificate,
    request: &LeafRequest,
) -> Result<(), CheckError> {
    let subject = request.subject();
    same("common name", leaf.common_name(), subject.common_name())?;
    same(
        "groups",
        &leaf.groups().join(","),
        &subject.groups().join(","),
    )?;
    same(
        "alternative names",
        &leaf.alt_names.to_string(),
        &request.alt_names().to_string(),
    )?;
    let extensions = &leaf.extensions;
    let usages = (extensions.server_auth, extensions.client_auth);
    let wanted = (request.purpose().serves(), request.purpose().dials());
    if usages != wanted || extensions.other_usage {
        let words = |(serves, dials): (bool, bool)| match (serves, dials) {
            (true, true) => "server and client",
            (true, false) => "server",
            (false, true) => "client",
            (false, false) => "none",
        };
        return Err(CheckError::Differs {
            field: "usage",
            found: words(usages).to_owned(),
            wanted: words(wanted).to_owned(),
        });
    }
    let rule = |holds: bool, rule| {
        if holds {
            Ok(())
        } else {
            Err(CheckError::Rule { rule })
        }
    };
    let not_ca = extensions.basic_constraints == Some((false, None));
    rule(not_ca, "does not say that it is no authority")?;
    let usage = extensions.key_usage == Some((DIGITAL_SIGNATURE, true));
    rule(
        usage,
        "has other key usages than a critical digital signature",
    )?;
    rule(
        extensions.subject_key_id.is_some(),
        "has no subject key identifier",
    )?;
    rule(
        positive(&leaf.serial),
        "has a serial number that is not positive",
    )
}

/// The part that needs the authority: chain, life, and every name and usage through webpki.
pub(crate) fn check_trust(
    leaf: &Certificate,
    request: &LeafRequest,
    ca: &Certificate,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    check_authority(ca, now)?;
    check_time(leaf, now)?;
    let rule = |holds: bool, rule| {
        if holds {
            Ok(())
        } else {
            Err(CheckError::Rule { rule })
        }
    };
    rule(
        leaf.issuer_der == ca.subject_der,
        "names another issuer than its authority",
    )?;
    let linked = leaf.extensions.authority_key_id == ca.extensions.subject_key_id;
    rule(linked, "does not point at its authority's key")?;
    let nested = leaf.not_before >= ca.not_before && leaf.not_after <= ca.not_after;
    rule(nested, "lives outside its authority's life")?;
    verify_chain(leaf, request, &ca.der, now)
}

/// Whether a peer takes a certificate, whoever issued it under `ca`, for the client `subject`. Other programs'
/// signers leave out what the self-check above asks for (a subject key identifier), so this asks less.
pub(crate) fn check_client(
    leaf: &Certificate,
    subject: &Subject,
    ca: &Certificate,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    same("common name", leaf.common_name(), subject.common_name())?;
    same(
        "groups",
        &leaf.groups().join(","),
        &subject.groups().join(","),
    )?;
    check_time(leaf, now)?;
    verify_usage(leaf, "client", KeyUsage::client_auth(), &ca.der, now)
}

/// Whether a peer takes a certificate, whoever issued it under `ca`, for a server about `subject` with these names.
pub(crate) fn check_server(
    leaf: &Certificate,
    subject: &Subject,
    names: &AltNames,
    ca: &Certificate,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    same("common name", leaf.common_name(), subject.common_name())?;
    check_time(leaf, now)?;
    verify_usage(leaf, "server", KeyUsage::server_auth(), &ca.der, now)?;
    verify_names(leaf, names)
}

fn verify_chain(
    leaf: &Certificate,
    request: &LeafRequest,
    ca: &CertificateDer<'_>,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    let purpose = request.purpose();
    if purpose.serves() {
        verify_usage(leaf, "server", KeyUsage::server_auth(), ca, now)?;
    }
    if purpose.dials() {
        verify_usage(leaf, "client", KeyUsage::client_auth(), ca, now)?;
    }
    verify_names(leaf, request.alt_names())
}

/// Whether a peer finds each of the names in a certificate.
fn verify_names(leaf: &Certificate, names: &AltNames) -> Result<(), CheckError> {
    let end = EndEntityCert::try_from(&leaf.der).map_err(|e| refused(&"its form", e))?;
    for name in names.dns() {
        let server = ServerName::try_from(name.as_str())
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
fn verify_usage(
    leaf: &Certificate,
    what: &str,
    usage: KeyUsage,
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

fn same(field: &'static str, found: &str, wanted: &str) -> Result<(), CheckError> {
    if found == wanted {
        return Ok(());
    }
    Err(CheckError::Differs {
        field,
        found: found.to_owned(),
        wanted: wanted.to_owned(),
    })
}

fn check_time(certificate: &Certificate, now: OffsetDateTime) -> Result<(), CheckError> {
    let Certificate {
        not_before,
        not_after,
        ..
    } = *certificate;
    if now < not_before || now > not_after {
        return Err(CheckError::Time {
            not_before,
            not_after,
        });
    }
    Ok(())
}

/// DER integers are signed: the first bit set means negative, which Go refuses to parse.
fn positive(serial: &[u8]) -> bool {
    serial.first().is_some_and(|first| first & 0x80 == 0) && serial.iter().any(|byte| *byte != 0)
}
