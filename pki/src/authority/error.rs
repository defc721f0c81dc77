//! Why a certificate is not issued and an authority not loaded.

use time::OffsetDateTime;

use crate::moment::rfc3339;
use crate::random::RandomError;
use crate::serial::SerialNumber;
use crate::x509::{CertificateError, CheckError, KeyError, SignError};

/// A certificate could not be made, or did not pass the check of what was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// No serial number could be drawn.
    #[error("drawing a serial number for `{subject}`")]
    Serial {
        /// Whom the certificate is about.
        subject: String,
        /// The failure of the source.
        #[source]
        source: RandomError,
    },
    /// The source of random bytes gave a number that the authority has given before.
    #[error(
        "the serial number {serial} drawn for `{subject}` was given before; 127 random bits do not repeat, so the source \
         of random bytes is broken"
    )]
    RepeatedSerial {
        /// Whom the certificate is about.
        subject: String,
        /// The number.
        serial: SerialNumber,
    },
    /// No key could be drawn.
    #[error("drawing a key for `{subject}`")]
    Key {
        /// Whom the certificate is about.
        subject: String,
        /// The generator's failure.
        #[source]
        source: KeyError,
    },
    /// The clock shows a moment that certificates cannot hold, or the life ends beyond them.
    #[error(
        "`{subject}` would live to a moment outside 1970 to 9999; check the clock, {}",
        rfc3339(*.now)
    )]
    Clock {
        /// Whom the certificate is about.
        subject: String,
        /// The moment given.
        now: OffsetDateTime,
    },
    /// The leaf would outlive its authority.
    #[error(
        "`{subject}` would live until {}, past the end of its authority `{authority}`, {}; ask for a shorter life or make a \
         new authority", rfc3339(*.leaf_end), rfc3339(*.authority_end)
    )]
    OutlivesAuthority {
        /// Whom the certificate is about.
        subject: String,
        /// The end that was asked for.
        leaf_end: OffsetDateTime,
        /// The authority's common name.
        authority: String,
        /// The authority's end.
        authority_end: OffsetDateTime,
    },
    /// The authority may not vouch for one of the names.
    #[error(
        "`{subject}` has the name `{name}`, which the name constraints of its authority `{authority}` do not permit; leave \
         the name out, or make an authority that permits it"
    )]
    Constrained {
        /// Whom the certificate is about.
        subject: String,
        /// The first name or address that is not permitted.
        name: String,
        /// The authority's common name.
        authority: String,
    },
    /// The encoder refused.
    #[error("signing `{subject}`")]
    Sign {
        /// Whom the certificate is about.
        subject: String,
        /// The encoder's reason.
        #[source]
        source: SignError,
    },
    /// What was made cannot be read back.
    #[error("reading back the certificate of `{subject}`")]
    ReadBack {
        /// Whom the certificate is about.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// What was made is not what was asked for, or would be refused.
    #[error("checking the certificate of `{subject}`")]
    Check {
        /// Whom the certificate is about.
        subject: String,
        /// The first check that failed.
        #[source]
        source: CheckError,
    },
}

/// A certificate and key are no authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The certificate cannot be read.
    #[error("the authority's certificate cannot be read; restore the file, it may be cut off")]
    Certificate(#[source] CertificateError),
    /// The key cannot be read.
    #[error("reading the authority's key")]
    Key(#[source] KeyError),
    /// Two halves that do not belong together.
    #[error("the key is not the one of the certificate `{common_name}`; restore the pair")]
    Mismatch {
        /// The certificate's common name.
        common_name: String,
    },
    /// Every certificate below it would be refused, since the encoder writes its name in other bytes.
    #[error(
        "the name of `{common_name}` cannot be written as it is: it has an attribute twice, or several in one part; \
         sign by another program, or make a new authority"
    )]
    Name {
        /// The certificate's common name.
        common_name: String,
    },
    /// The encoder cannot sign in its name.
    #[error("signing in the name of `{common_name}`")]
    Sign {
        /// The certificate's common name.
        common_name: String,
        /// The encoder's reason.
        #[source]
        source: SignError,
    },
    /// The certificate is none of an authority, or not at this moment.
    #[error("`{common_name}` cannot act as an authority; give one that can, or make a new one")]
    Unusable {
        /// The certificate's common name.
        common_name: String,
        /// The first rule that it breaks.
        #[source]
        source: CheckError,
    },
}
