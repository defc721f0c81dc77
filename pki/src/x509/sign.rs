//! Encoding and signing, by rcgen. Its defaults are wrong for us in eight places, so every field
//! is set here: see the field comments.

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use super::{Certificate, PrivateKey};
use crate::request::{LeafRequest, Purpose, Subject};

/// The encoder refused, with its own words; it sees no secret that it could repeat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the encoder refused: {message}")]
pub struct SignError {
    message: String,
}

impl From<rcgen::Error> for SignError {
    fn from(error: rcgen::Error) -> Self {
        Self {
            message: error.to_string(),
        }
    }
}

pub(crate) struct AuthorityParams<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) serial: [u8; 16],
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
}

pub(crate) struct LeafParams<'a> {
    pub(crate) request: &'a LeafRequest,
    pub(crate) serial: [u8; 16],
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
}

pub(crate) fn sign_authority(
    wanted: &AuthorityParams<'_>,
    key: &PrivateKey,
) -> Result<CertificateDer<'static>, SignError> {
    let mut params = common(
        wanted.subject,
        wanted.serial,
        wanted.not_before,
        wanted.not_after,
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        // kubeadm leaves this out, and then OpenSSL refuses every revocation list of the authority.
        KeyUsagePurpose::CrlSign,
    ];
    Ok(params.self_signed(&key.pair)?.into())
}

pub(crate) fn sign_leaf(
    wanted: &LeafParams<'_>,
    subject_key: &PrivateKey,
    issuer: &Certificate,
    issuer_key: &PrivateKey,
) -> Result<CertificateDer<'static>, SignError> {
    let request = wanted.request;
    let mut params = common(
        request.subject(),
        wanted.serial,
        wanted.not_before,
        wanted.not_after,
    );
    // `NoCa` would leave out both the basic constraints and the subject key identifier.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match request.purpose() {
        Purpose::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Purpose::ServerAndClient => {
            vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ]
        }
    };
    for name in request.alt_names().dns() {
        params
            .subject_alt_names
            .push(SanType::DnsName(Ia5String::try_from(name.as_str())?));
    }
    params
        .subject_alt_names
        .extend(request.alt_names().ips().map(SanType::IpAddress));
    let issuer = Issuer::from_ca_cert_der(&issuer.der, &issuer_key.pair)?;
    Ok(params.signed_by(&subject_key.pair, &issuer)?.into())
}

/// A request (PKCS #10, RFC 2986) as PEM, with nothing in it but subject and public key: whoever signs decides
/// about the rest.
pub(crate) fn encode_request(subject: &Subject, key: &PrivateKey) -> Result<String, SignError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(subject);
    Ok(params.serialize_request(&key.pair)?.pem()?)
}

fn common(
    subject: &Subject,
    serial: [u8; 16],
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = not_before;
    params.not_after = not_after;
    // The default is a hash of the key, which repeats when a key is used again.
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = distinguished_name(subject);
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::Sha256;
    params
}

/// Groups first, as Go writes them. The name is a map from type to value in rcgen, so a second
/// group goes in under a custom type of the same object identifier (2.5.4.10); `Subject` allows
/// no third.
fn distinguished_name(subject: &Subject) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    let types = [
        DnType::OrganizationName,
        DnType::CustomDnType(vec![2, 5, 4, 10]),
    ];
    for (kind, group) in types.into_iter().zip(subject.groups()) {
        name.push(kind, group.as_str());
    }
    name.push(DnType::CommonName, subject.common_name());
    name
}
