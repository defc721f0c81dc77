//! What a certificate says, read back from its bytes.

mod read;

use std::fmt;

pub(crate) use read::hex;
pub(super) use read::{alt_names, key_algorithm};
use read::{common_name_of, key_spec, read_alt_names, read_extensions};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::verify::{CheckError, check_authority, check_client, check_server};
use super::{KeyAlgorithm, KeySpec, PrivateKey};
use crate::constraints::NameConstraints;
use crate::name::AltNames;
use crate::request::Subject;

/// A text or some bytes that are no certificate which can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No whole PEM `CERTIFICATE`.
    #[error("the text is not a whole PEM `CERTIFICATE`")]
    Pem,
    /// DER that breaks RFC 5280, or an extension that occurs twice.
    #[error("the certificate breaks the form of RFC 5280")]
    Form,
    /// An alternative name that is neither a host name nor an address of a machine.
    #[error("the certificate has an alternative name that is neither host name nor address")]
    AltName,
}

/// A certificate and what was read from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pub(in crate::x509) der: CertificateDer<'static>,
    pub(in crate::x509) common_name: String,
    pub(in crate::x509) groups: Vec<String>,
    pub(in crate::x509) subject_der: Vec<u8>,
    pub(in crate::x509) issuer_der: Vec<u8>,
    issuer_common_name: String,
    pub(in crate::x509) serial: Vec<u8>,
    pub(in crate::x509) not_before: OffsetDateTime,
    pub(in crate::x509) not_after: OffsetDateTime,
    pub(in crate::x509) public_key_der: Vec<u8>,
    /// `None` for a kind that is not issued here.
    pub(in crate::x509) key_algorithm: Option<KeyAlgorithm>,
    key_spec: Option<KeySpec>,
    pub(in crate::x509) alt_names: AltNames,
    pub(in crate::x509) extensions: Extensions,
}

/// The extensions that the checks look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::x509) struct Extensions {
    /// `CA` and `pathLenConstraint`, when the extension is there.
    pub(in crate::x509) basic_constraints: Option<(bool, Option<u32>)>,
    /// The bits of RFC 5280 section 4.2.1.3, bit 0 lowest, and whether it is critical.
    pub(in crate::x509) key_usage: Option<(u16, bool)>,
    pub(in crate::x509) server_auth: bool,
    pub(in crate::x509) client_auth: bool,
    /// Usages beside TLS, `any` among them.
    pub(in crate::x509) other_usage: bool,
    pub(in crate::x509) subject_key_id: Option<Vec<u8>>,
    pub(in crate::x509) authority_key_id: Option<Vec<u8>>,
    /// Those that this crate could have written; what others write is left to webpki.
    pub(in crate::x509) name_constraints: Option<NameConstraints>,
}

impl Certificate {
    /// Reads the first PEM `CERTIFICATE` of a text.
    ///
    /// # Errors
    /// Damaged text or DER, and alternative names of other kinds than host and address.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes());
        Self::from_der(&der.map_err(|_| CertificateError::Pem)?)
    }

    /// Every PEM `CERTIFICATE` of a text.
    pub(crate) fn all_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|der| Self::from_der(&der.map_err(|_| CertificateError::Pem)?))
            .collect::<Result<_, _>>()?;
        // The reader takes a block that has no end for none at all.
        if found.is_empty() || found.len() != pem.matches("-----BEGIN CERTIFICATE-----").count() {
            return Err(CertificateError::Pem);
        }
        Ok(found)
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        super::encode_pem("CERTIFICATE", &self.der).to_string()
    }

    pub(crate) fn from_der(der: &CertificateDer<'static>) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Form)?;
        if !rest.is_empty() {
            return Err(CertificateError::Form);
        }
        let groups = parsed.subject().iter_organization();
        Ok(Self {
            common_name: common_name_of(parsed.subject()),
            groups: groups
                .filter_map(|value| value.as_str().ok().map(str::to_owned))
                .collect(),
            subject_der: parsed.subject().as_raw().to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            issuer_common_name: common_name_of(parsed.issuer()),
            serial: parsed.raw_serial().to_vec(),
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            public_key_der: parsed.public_key().raw.to_vec(),
            key_algorithm: key_algorithm(parsed.public_key()),
            key_spec: key_spec(parsed.public_key()),
            alt_names: read_alt_names(&parsed)?,
            extensions: read_extensions(&parsed)?,
            der: der.clone(),
        })
    }

    /// The subject's common name, empty when there is none.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The common name of its issuer, empty when there is none.
    #[must_use]
    pub fn issuer_common_name(&self) -> &str {
        &self.issuer_common_name
    }

    /// The subject's organisations, which Kubernetes takes as groups.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Whether it is an authority's (RFC 5280, basic constraints).
    #[must_use]
    pub fn is_authority(&self) -> bool {
        matches!(self.extensions.basic_constraints, Some((true, _)))
    }

    /// The names under which it serves.
    #[must_use]
    pub fn alt_names(&self) -> &AltNames {
        &self.alt_names
    }

    /// The first second of its life.
    #[must_use]
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// The last second of its life.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The serial number's bytes as encoded.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The certificate's own bytes, for TLS libraries.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The pin of the public key, `sha256:` and 64 hex digits over the `SubjectPublicKeyInfo`, as
    /// `kubeadm join --discovery-token-ca-cert-hash` takes it.
    #[must_use]
    pub fn public_key_pin(&self) -> String {
        use sha2::Digest as _;
        format!(
            "sha256:{}",
            hex(&sha2::Sha256::digest(&self.public_key_der))
        )
    }

    /// Its fingerprint: SHA-256 over the whole certificate in hex, as `openssl x509 -fingerprint -sha256` without
    /// colons and in lower case.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::Digest as _;
        hex(&sha2::Sha256::digest(&self.der))
    }

    /// The serial number in hex, two digits for each byte.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        hex(&self.serial)
    }

    /// What kind of key it is about, or `None` for a kind that is not issued here.
    #[must_use]
    pub fn key_algorithm(&self) -> Option<KeyAlgorithm> {
        self.key_algorithm
    }

    /// The same with its size, or `None` for a kind that is drawn nowhere here.
    #[must_use]
    pub fn key_spec(&self) -> Option<KeySpec> {
        self.key_spec
    }

    /// The domains and networks that an authority permits, if it has constraints of the kind that are issued here.
    #[must_use]
    pub fn name_constraints(&self) -> Option<&NameConstraints> {
        self.extensions.name_constraints.as_ref()
    }

    /// Checks that this certificate may act as an authority at a moment, by the rules of the strictest verifiers:
    /// Go's and OpenSSL's, which look at a root's life, usages and flag.
    ///
    /// # Errors
    /// The first rule that it breaks. A missing key usage is none: verifiers take that for every usage.
    pub fn check_authority(&self, now: OffsetDateTime) -> Result<(), CheckError> {
        check_authority(self, now)
    }

    /// Whether its own key signed it.
    pub(in crate::x509) fn is_self_signed(&self) -> bool {
        let parsed = X509Certificate::from_der(&self.der);
        parsed.is_ok_and(|(_, parsed)| parsed.verify_signature(None).is_ok())
    }

    /// The subject key identifier, by which certificates below an authority name its key.
    pub(crate) fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions.subject_key_id.as_deref()
    }

    /// Whether it names `ca` as its issuer, byte for byte.
    pub(crate) fn is_issued_by(&self, ca: &Certificate) -> bool {
        self.issuer_der == ca.subject_der
    }

    /// Whether it is about this key.
    #[must_use]
    pub fn is_about(&self, key: &PrivateKey) -> bool {
        self.public_key_der == key.public_key_der()
    }

    pub(crate) fn holds_public_key(&self, public_key_der: &[u8]) -> bool {
        self.public_key_der == public_key_der
    }

    /// Checks that a server which trusts `ca` accepts this certificate from a client at a moment, and takes the
    /// client for `subject`. Also for certificates of other programs with the same authority, such as those
    /// that a controller manager signs.
    ///
    /// # Errors
    /// Another subject, a moment outside its life, a signature of another key than `ca`'s even if the authority
    /// has the same name, no client's usage. Whether `ca` itself has expired is not looked at.
    pub fn check_client(
        &self,
        subject: &Subject,
        ca: &Certificate,
        now: OffsetDateTime,
    ) -> Result<(), CheckError> {
        check_client(self, subject, ca, now)
    }

    /// Checks that a client which trusts `ca` accepts this certificate from a server at a moment, under each name of
    /// `names`, and that it is about `subject`. Also for certificates that a controller manager signs.
    ///
    /// # Errors
    /// As [`Certificate::check_client`], with a server's usage; a name that it does not have.
    pub fn check_server(
        &self,
        subject: &Subject,
        names: &AltNames,
        ca: &Certificate,
        now: OffsetDateTime,
    ) -> Result<(), CheckError> {
        check_server(self, subject, names, ca, now)
    }

    /// How much of the life is left at a moment: 1 at its start, 0 at its end and after.
    #[must_use]
    pub fn remaining(&self, now: OffsetDateTime) -> f64 {
        let life = (self.not_after - self.not_before).as_seconds_f64();
        let left = (self.not_after - now).as_seconds_f64();
        if life <= 0.0 {
            0.0
        } else {
            (left / life).clamp(0.0, 1.0)
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("common_name", &self.common_name)
            .field("groups", &self.groups)
            .field("alt_names", &self.alt_names)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
