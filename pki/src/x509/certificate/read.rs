//! The parts of a certificate, taken out of what the parser gives.

use std::net::IpAddr;

use ipnet::IpNet;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::{CertificateError, Extensions};
use crate::constraints::NameConstraints;
use crate::name::{AltNames, HostName, WildcardName};
use crate::x509::{KeyAlgorithm, KeySpec};

pub(super) fn common_name_of(name: &X509Name<'_>) -> String {
    let first = name.iter_common_name().next();
    let text = first.and_then(|value| value.as_str().ok());
    text.unwrap_or_default().to_owned()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn read_alt_names(parsed: &X509Certificate<'_>) -> Result<AltNames, CertificateError> {
    let extension = parsed
        .subject_alternative_name()
        .map_err(|_| CertificateError::Form)?;
    let names = extension.iter();
    alt_names(names.flat_map(|found| &found.value.general_names))
}

/// Names of a certificate or of a request for one.
pub(in crate::x509) fn alt_names<'a>(
    names: impl IntoIterator<Item = &'a GeneralName<'a>>,
) -> Result<AltNames, CertificateError> {
    let (mut dns, mut wildcards, mut ips) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match name {
            GeneralName::DNSName(name) => {
                let bad = |_| CertificateError::AltName;
                match name.starts_with('*') {
                    true => wildcards.push(WildcardName::new(name).map_err(bad)?),
                    false => dns.push(HostName::new(name).map_err(bad)?),
                }
            }
            GeneralName::IPAddress(octets) => {
                ips.push(read_address(octets).ok_or(CertificateError::AltName)?);
            }
            _ => return Err(CertificateError::AltName),
        }
    }
    AltNames::new(dns, ips)
        .and_then(|names| names.with_wildcards(wildcards))
        .map_err(|_| CertificateError::AltName)
}

fn read_address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// The kind of a public key, by RFC 5480 and RFC 8017.
pub(in crate::x509) fn key_algorithm(key: &SubjectPublicKeyInfo<'_>) -> Option<KeyAlgorithm> {
    let curve = || key.algorithm.parameters.as_ref()?.as_oid().ok();
    match key.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => Some(KeyAlgorithm::Rsa),
        "1.2.840.10045.2.1" => match curve()?.to_id_string().as_str() {
            "1.2.840.10045.3.1.7" => Some(KeyAlgorithm::EcdsaP256),
            "1.3.132.0.34" => Some(KeyAlgorithm::EcdsaP384),
            _ => None,
        },
        _ => None,
    }
}

/// The kind of a public key as it is asked for when one is drawn.
pub(super) fn key_spec(key: &SubjectPublicKeyInfo<'_>) -> Option<KeySpec> {
    match key_algorithm(key)? {
        KeyAlgorithm::EcdsaP256 => Some(KeySpec::EcdsaP256),
        KeyAlgorithm::EcdsaP384 => Some(KeySpec::EcdsaP384),
        KeyAlgorithm::Rsa => match key.parsed() {
            Ok(PublicKey::RSA(key)) => match key.key_size() {
                2048 => Some(KeySpec::Rsa2048),
                3072 => Some(KeySpec::Rsa3072),
                4096 => Some(KeySpec::Rsa4096),
                _ => None,
            },
            _ => None,
        },
    }
}

fn read_constraints(
    found: &x509_parser::extensions::NameConstraints<'_>,
) -> Option<NameConstraints> {
    let (mut domains, mut networks) = (Vec::new(), Vec::new());
    if found.excluded_subtrees.is_some() {
        return None;
    }
    for subtree in found.permitted_subtrees.as_deref().unwrap_or_default() {
        match &subtree.base {
            GeneralName::DNSName(name) => domains.push(HostName::new(name).ok()?),
            GeneralName::IPAddress(octets) => {
                let (address, mask) = octets.split_at(octets.len() / 2);
                let network = IpNet::with_netmask(read_address(address)?, read_address(mask)?);
                networks.push(network.ok()?);
            }
            _ => return None,
        }
    }
    NameConstraints::new(domains, networks).ok()
}

pub(super) fn read_extensions(
    parsed: &X509Certificate<'_>,
) -> Result<Extensions, CertificateError> {
    // The map is built for its refusal of an extension that occurs twice.
    parsed
        .extensions_map()
        .map_err(|_| CertificateError::Form)?;
    let mut found = Extensions::default();
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                found.basic_constraints = Some((basic.ca, basic.path_len_constraint));
            }
            ParsedExtension::KeyUsage(usage) => {
                found.key_usage = Some((usage.flags, extension.critical));
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                found.server_auth = usage.server_auth;
                found.client_auth = usage.client_auth;
                found.other_usage = usage.any
                    || usage.code_signing
                    || usage.email_protection
                    || usage.time_stamping
                    || usage.ocsp_signing
                    || !usage.other.is_empty();
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                found.subject_key_id = Some(id.0.to_vec());
            }
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                found.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::NameConstraints(constraints) => {
                found.name_constraints = read_constraints(constraints);
            }
            ParsedExtension::ParseError { .. } => return Err(CertificateError::Form),
            _ => {}
        }
    }
    Ok(found)
}
