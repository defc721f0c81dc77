//! How long the certificates of a store will last.

use std::fmt;
use std::path::PathBuf;

use time::{OffsetDateTime, UtcOffset};

use crate::store::{ReadError, Store};
use crate::x509::Certificate;

/// Below this share of its life a certificate is worth a word.
const WARN_BELOW: f64 = 1.0 / 3.0;
/// Below this share somebody has to act.
const ERROR_BELOW: f64 = 0.1;

/// How pressing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryLevel {
    /// More than a third of the life is left.
    Fine,
    /// Less than a third is left: the next run renews a leaf; an authority has to be rotated.
    Warning,
    /// Less than a tenth is left.
    Error,
    /// Nothing is left.
    Expired,
}

/// One certificate and the end of its life. Kubeconfigs are made from leaves of the store and end
/// with them.
#[derive(Debug, Clone, PartialEq)]
pub struct Expiry {
    /// The file in the store, or on a machine.
    pub file: PathBuf,
    /// The common name.
    pub subject: String,
    /// The moment from which on a run renews it, see [`Certificate::renewal`]; none for an authority, which is
    /// rotated when somebody says so.
    pub renewal: Option<OffsetDateTime>,
    /// The last second of its life.
    pub not_after: OffsetDateTime,
    /// The share of its life that is left, 1 to 0.
    pub remaining: f64,
    /// How pressing it is.
    pub level: ExpiryLevel,
}

impl serde::Serialize for Expiry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let format = &time::format_description::well_known::Rfc3339;
        let text = |moment: OffsetDateTime| {
            let moment = moment.to_offset(UtcOffset::UTC);
            moment.format(format).map_err(serde::ser::Error::custom)
        };
        let renewal = self.renewal.map(text).transpose()?;
        let mut expiry = serializer.serialize_struct("Expiry", 6)?;
        expiry.serialize_field("file", &self.file)?;
        expiry.serialize_field("subject", &self.subject)?;
        expiry.serialize_field("renewal", &renewal)?;
        expiry.serialize_field("not_after", &text(self.not_after)?)?;
        expiry.serialize_field("remaining", &self.remaining)?;
        expiry.serialize_field("level", &self.level)?;
        expiry.end()
    }
}

impl fmt::Display for ExpiryLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Expired => "expired",
        })
    }
}

impl Expiry {
    /// How long the certificate that lies in `file` will last.
    #[must_use]
    pub fn of(file: PathBuf, certificate: &Certificate, now: OffsetDateTime) -> Self {
        let (remaining, not_after) = (certificate.remaining(now), certificate.not_after());
        let is_leaf = !certificate.is_authority();
        Self {
            file,
            subject: certificate.common_name().to_owned(),
            renewal: is_leaf.then(|| certificate.renewal()),
            not_after,
            remaining,
            level: level(remaining, now > not_after),
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level;
        let percent = self.remaining * 100.0;
        let (file, subject, end) = (self.file.display(), &self.subject, self.not_after.date());
        write!(
            f,
            "{level}: {file} ({subject}) ends {end}, {percent:.0} % left"
        )
    }
}

/// Reports every certificate of a store, the first to end first, also of machines that left.
///
/// # Errors
/// When a file cannot be read or is no certificate. An empty store is not an error.
pub fn expiry(store: &Store, now: OffsetDateTime) -> Result<Vec<Expiry>, ReadError> {
    let mut report = Vec::new();
    for file in store.certificate_files()? {
        let pem = std::fs::read_to_string(&file).map_err(|source| ReadError::Io {
            path: file.clone(),
            source,
        })?;
        let certificate = Certificate::from_pem(&pem).map_err(|source| ReadError::Certificate {
            path: file.clone(),
            source,
        })?;
        report.push(Expiry::of(file, &certificate, now));
    }
    report.sort_by_key(|expiry| expiry.not_after);
    Ok(report)
}

fn level(remaining: f64, over: bool) -> ExpiryLevel {
    match remaining {
        _ if over => ExpiryLevel::Expired,
        left if left < ERROR_BELOW => ExpiryLevel::Error,
        left if left < WARN_BELOW => ExpiryLevel::Warning,
        _ => ExpiryLevel::Fine,
    }
}
