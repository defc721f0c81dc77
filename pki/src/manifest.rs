//! What lies in a store, certificate by certificate, for people who compare and for tools that keep lists.

use std::fmt;
use std::path::PathBuf;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::store::{ReadError, Store};
use crate::x509::Certificate;

/// One certificate of a store. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The file, relative to the store's directory.
    pub file: PathBuf,
    /// The subject's common name.
    pub subject: String,
    /// The subject's organisations, which Kubernetes takes as groups.
    pub groups: Vec<String>,
    /// The issuer's common name.
    pub issuer: String,
    /// The names under which it serves, as `DNS:` and `IP:`.
    pub alt_names: String,
    /// The serial number in hex.
    pub serial: String,
    /// The first second of its life.
    pub not_before: OffsetDateTime,
    /// The last second of its life.
    pub not_after: OffsetDateTime,
    /// SHA-256 over the certificate in hex, see [`Certificate::fingerprint`].
    pub fingerprint: String,
    /// The pin of its public key, see [`Certificate::public_key_pin`].
    pub public_key_pin: String,
}

impl ManifestEntry {
    /// What a manifest says about a certificate in a file.
    #[must_use]
    pub fn new(file: PathBuf, certificate: &Certificate) -> Self {
        Self {
            file,
            subject: certificate.common_name().to_owned(),
            groups: certificate.groups().to_vec(),
            issuer: certificate.issuer_common_name().to_owned(),
            alt_names: certificate.alt_names().to_string(),
            serial: certificate.serial_hex(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            fingerprint: certificate.fingerprint(),
            public_key_pin: certificate.public_key_pin(),
        }
    }
}

impl serde::Serialize for ManifestEntry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error as _, SerializeStruct as _};
        let date = |moment: OffsetDateTime| moment.format(&Rfc3339).map_err(S::Error::custom);
        let mut entry = serializer.serialize_struct("ManifestEntry", 10)?;
        entry.serialize_field("file", &self.file)?;
        entry.serialize_field("subject", &self.subject)?;
        entry.serialize_field("groups", &self.groups)?;
        entry.serialize_field("issuer", &self.issuer)?;
        entry.serialize_field("alt_names", &self.alt_names)?;
        entry.serialize_field("serial", &self.serial)?;
        entry.serialize_field("not_before", &date(self.not_before)?)?;
        entry.serialize_field("not_after", &date(self.not_after)?)?;
        entry.serialize_field("fingerprint", &self.fingerprint)?;
        entry.serialize_field("public_key_pin", &self.public_key_pin)?;
        entry.end()
    }
}

impl fmt::Display for ManifestEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, end) = (self.file.display(), self.not_after.date());
        let (subject, issuer) = (&self.subject, &self.issuer);
        write!(
            f,
            "{file} {} {subject} by {issuer} until {end}",
            self.fingerprint
        )
    }
}

/// Lists every certificate of a store by file name, also those of machines that left.
///
/// # Errors
/// When a file cannot be read or is no certificate. An empty store is not an error.
pub fn manifest(store: &Store) -> Result<Vec<ManifestEntry>, ReadError> {
    let files = store.certificate_files()?;
    files
        .into_iter()
        .map(|path| {
            let certificate = store.certificate_at(&path)?;
            let file = path.strip_prefix(store.root()).unwrap_or(&path).to_owned();
            Ok(ManifestEntry::new(file, &certificate))
        })
        .collect()
}
