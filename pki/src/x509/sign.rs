//! Encoding and signing, by rcgen. Its defaults are wrong for us in eight places, so every field
//! is set here: see the field comments.

use std::fmt;

use ipnet::IpNet;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CidrSubnet,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm,
    SigningKey, SubjectPublicKeyInfo,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use time::OffsetDateTime;

use super::{Certificate, KeyAlgorithm, PrivateKey};
use crate::constraints::NameConstraints;
use crate::request::{LeafRequest, Purpose, Subject};
use crate::revocation::{RevocationReason, Revoked};

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
    pub(crate) constraints: Option<&'a NameConstraints>,
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

pub(crate) struct RevocationParams<'a> {
    pub(crate) revoked: &'a [Revoked],
    pub(crate) number: u64,
    pub(crate) this_update: OffsetDateTime,
    pub(crate) next_update: OffsetDateTime,
    /// The authority's own key identifier: the encoder would write a hash of the key, which a foreign one is not.
    pub(crate) authority_key_id: &'a [u8],
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
    params.name_constraints = wanted.constraints.map(name_constraints).transpose()?;
    Ok(params.self_signed(&key.pair)?.into())
}

fn name_constraints(wanted: &NameConstraints) -> Result<rcgen::NameConstraints, SignError> {
    let domains = wanted
        .domains()
        .map(|name| GeneralSubtree::DnsName(name.as_str().to_owned()));
    let networks = wanted.networks().map(|network| {
        GeneralSubtree::IpAddress(match network {
            IpNet::V4(one) => CidrSubnet::V4(one.addr().octets(), one.netmask().octets()),
            IpNet::V6(one) => CidrSubnet::V6(one.addr().octets(), one.netmask().octets()),
        })
    });
    Ok(rcgen::NameConstraints {
        permitted_subtrees: domains.chain(networks).collect(),
        excluded_subtrees: Vec::new(),
    })
}

/// A key as rcgen takes it, so that none of its traits shows on [`PrivateKey`].
struct SignerKey(PrivateKey);

impl PublicKeyData for SignerKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.pair.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.pair.algorithm()
    }
}

impl SigningKey for SignerKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.pair.sign(message)
    }
}

/// An authority's name, key identifier and key, ready to sign.
pub(crate) struct Signer {
    issuer: Issuer<'static, SignerKey>,
}

impl Signer {
    /// Takes name and key identifier from the authority's certificate, so that a foreign one keeps both.
    pub(crate) fn new(ca: &Certificate, key: PrivateKey) -> Result<Self, SignError> {
        let issuer = Issuer::from_ca_cert_der(&ca.der, SignerKey(key))?;
        Ok(Self { issuer })
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        &self.issuer.key().0
    }

    /// A certificate that is thrown away: its issuer shows what the encoder makes of the authority's name.
    pub(crate) fn sign_probe(&self) -> Result<CertificateDer<'static>, SignError> {
        let params = CertificateParams::default();
        Ok(params.signed_by(self.issuer.key(), &self.issuer)?.into())
    }

    pub(crate) fn sign_leaf(
        &self,
        wanted: &LeafParams<'_>,
        subject_key: &PrivateKey,
    ) -> Result<CertificateDer<'static>, SignError> {
        let params = leaf_params(wanted, subject_key.algorithm())?;
        Ok(params.signed_by(&subject_key.pair, &self.issuer)?.into())
    }

    /// For a key that is somebody else's: only its public half is here.
    pub(crate) fn sign_leaf_of(
        &self,
        wanted: &LeafParams<'_>,
        public_key_der: &[u8],
        algorithm: KeyAlgorithm,
    ) -> Result<CertificateDer<'static>, SignError> {
        let subject_key = SubjectPublicKeyInfo::from_der(public_key_der)?;
        let params = leaf_params(wanted, algorithm)?;
        Ok(params.signed_by(&subject_key, &self.issuer)?.into())
    }

    pub(crate) fn sign_revocations(
        &self,
        wanted: &RevocationParams<'_>,
    ) -> Result<CertificateRevocationListDer<'static>, SignError> {
        let revoked = wanted.revoked.iter().map(|one| RevokedCertParams {
            serial_number: SerialNumber::from_slice(one.serial.as_bytes()),
            revocation_time: one.revoked_at,
            reason_code: Some(reason(one.reason)),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: wanted.this_update,
            next_update: wanted.next_update,
            crl_number: SerialNumber::from(wanted.number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::PreSpecified(wanted.authority_key_id.to_vec()),
        };
        Ok(params.signed_by(&self.issuer)?.into())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

fn reason(reason: RevocationReason) -> rcgen::RevocationReason {
    match reason {
        RevocationReason::KeyCompromise => rcgen::RevocationReason::KeyCompromise,
        RevocationReason::Superseded => rcgen::RevocationReason::Superseded,
        RevocationReason::CessationOfOperation => rcgen::RevocationReason::CessationOfOperation,
    }
}

fn leaf_params(
    wanted: &LeafParams<'_>,
    algorithm: KeyAlgorithm,
) -> Result<CertificateParams, SignError> {
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
    if algorithm == KeyAlgorithm::Rsa {
        // TLS 1.2 without a Diffie-Hellman exchange encrypts its secret to the key; no other kind of key can.
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
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
    let names = request.alt_names();
    let dns = names.dns().map(|name| name.as_str());
    for name in dns.chain(names.wildcards().map(|name| name.as_str())) {
        let name = Ia5String::try_from(name)?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    let addresses = names.ips().map(SanType::IpAddress);
    params.subject_alt_names.extend(addresses);
    Ok(params)
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
