//! The self-check: what was issued is read back, compared with what was asked, and verified as a
//! peer would verify it.
//!
//! webpki takes only name, key and name constraints from an anchor, so the rules about the authority
//! itself are checked here: without them a chain would pass that Go and OpenSSL refuse
//! (tests/data/verifiers.txt).

mod peer;

use time::OffsetDateTime;
use webpki::KeyUsage;

use self::peer::{verify_chain, verify_names, verify_usage};
use super::{Certificate, KeyAlgorithm};
use crate::{
    constraints::NameConstraints,
    moment::rfc3339,
    name::AltNames,
    request::{LeafRequest, Subject},
};

/// Bit 0 of RFC 5280 section 4.2.1.3.
const DIGITAL_SIGNATURE: u16 = 1;
/// Bit 2.
const KEY_ENCIPHERMENT: u16 = 1 << 2;
/// Bit 5.
const KEY_CERT_SIGN: u16 = 1 << 5;
/// Bit 6.
const CRL_SIGN: u16 = 1 << 6;
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
    #[error(
        "the certificate is valid from {} to {} only, and it is {}",
        rfc3339(*.not_before), rfc3339(*.not_after), rfc3339(*.at)
    )]
    Time {
        /// The moment given.
        at: OffsetDateTime,
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

fn rule(holds: bool, rule: &'static str) -> Result<(), CheckError> {
    if holds {
        Ok(())
    } else {
        Err(CheckError::Rule { rule })
    }
}

/// Whether a certificate may act as an authority at a moment, whoever made it: what Go and OpenSSL ask of a root and
/// webpki does not.
pub(crate) fn check_authority(ca: &Certificate, now: OffsetDateTime) -> Result<(), CheckError> {
    check_authority_rules(ca, now)?;
    rule(ca.is_self_signed(), "is not signed by its own key")
}

/// The part that costs no signature.
fn check_authority_rules(ca: &Certificate, now: OffsetDateTime) -> Result<(), CheckError> {
    let extensions = &ca.extensions;
    let is_ca = matches!(extensions.basic_constraints, Some((true, _)));
    rule(is_ca, "is not an authority (basic constraints)")?;
    // `openssl req -x509` leaves key usages out, which Go and OpenSSL take for all of them.
    let signs = extensions
        .key_usage
        .is_none_or(|(bits, _)| bits & KEY_CERT_SIGN != 0);
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
    check_time(ca, now)
}

/// Whether what was made as an authority is all that ours are, beyond what is asked of foreign ones.
pub(crate) fn check_own_authority(
    ca: &Certificate,
    wanted: &Subject,
    constraints: Option<&NameConstraints>,
    now: OffsetDateTime,
) -> Result<(), CheckError> {
    check_authority(ca, now)?;
    same("common name", ca.common_name(), wanted.common_name())?;
    same("groups", &ca.groups().join(","), &wanted.groups().join(","))?;
    let extensions = &ca.extensions;
    let usage = Some((DIGITAL_SIGNATURE | KEY_CERT_SIGN | CRL_SIGN, true));
    rule(
        extensions.key_usage == usage,
        "has other key usages than critical ones for signatures, certificates and revocation lists",
    )?;
    rule(
        extensions.basic_constraints == Some((true, Some(0))),
        "does not limit its path to leaves",
    )?;
    rule(
        extensions.authority_key_id == extensions.subject_key_id,
        "does not point at its own key",
    )?;
    let words = |constraints: Option<&NameConstraints>| {
        constraints.map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    let found = words(extensions.name_constraints.as_ref());
    same("name constraints", &found, &words(constraints))
}

/// Whether an authority may sign revocation lists: a kubeadm's may not, and OpenSSL refuses them then.
pub(crate) fn may_sign_revocations(ca: &Certificate) -> bool {
    let usage = ca.extensions.key_usage;
    usage.is_none_or(|(bits, _)| bits & CRL_SIGN != 0)
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
    let not_ca = extensions.basic_constraints == Some((false, None));
    rule(not_ca, "does not say that it is no authority")?;
    let bits = match leaf.key_algorithm {
        Some(KeyAlgorithm::Rsa) => DIGITAL_SIGNATURE | KEY_ENCIPHERMENT,
        _ => DIGITAL_SIGNATURE,
    };
    rule(
        extensions.key_usage == Some((bits, true)),
        "has other key usages than a critical digital signature (and key encipherment for RSA)",
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
    // The authority's own signature was checked when it was loaded; it says nothing about the leaf.
    check_authority_rules(ca, now)?;
    check_time(leaf, now)?;
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
    check_parts(leaf, now)?;
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
    check_parts(leaf, now)?;
    verify_usage(leaf, "server", KeyUsage::server_auth(), &ca.der, now)?;
    verify_names(leaf, names)
}

/// What Go refuses about a leaf and webpki does not look at, and its life.
fn check_parts(leaf: &Certificate, now: OffsetDateTime) -> Result<(), CheckError> {
    rule(
        positive(&leaf.serial),
        "has a serial number that is not positive",
    )?;
    check_time(leaf, now)
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
            at: now,
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
