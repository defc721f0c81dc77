//! What can be wrong with a certificate or a key, and what mends it.

use crate::{CertificateFault, MemberName};
use host_exec::Mode;
use serde::{Serialize, Serializer};
use std::{fmt, net::IpAddr, path::PathBuf};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// One of the six files of a member with what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFinding {
    /// The member.
    pub member: MemberName,
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: CertificateProblem,
}

/// A side of TLS that a certificate has to serve for, an extended key usage of RFC 5280.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateUse {
    /// `serverAuth`: whoever dials the member asks for it.
    Server,
    /// `clientAuth`: whoever the member dials asks for it; also its own JSON gateway, which dials the client
    /// port with the server's certificate (etcd#9785).
    Client,
}

/// What is wrong with a certificate or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It was not given.
    Missing,
    /// The file holds no PEM block of the kind that it should.
    NotPem {
        /// `certificate` or `private key`.
        wanted: &'static str,
    },
    /// The certificate cannot be read.
    Form {
        /// Why.
        reason: String,
    },
    /// Its life has not begun.
    NotYetValid {
        /// The first second of its life.
        not_before: OffsetDateTime,
        /// The moment it was looked at.
        now: OffsetDateTime,
        /// How many seconds the clock of the member is behind (below 0) or ahead of the caller's, when it is
        /// the member's clock by which its life has not begun.
        clock_off_s: Option<i64>,
    },
    /// Its life is over.
    Expired {
        /// The last second of its life.
        not_after: OffsetDateTime,
        /// The moment it was looked at.
        now: OffsetDateTime,
        /// As in [`CertificateProblem::NotYetValid`].
        clock_off_s: Option<i64>,
    },
    /// No authority in the file of authorities signed it.
    OtherAuthority {
        /// Who signed it, by its own word.
        issuer: String,
        /// The authorities that are trusted.
        trusted: Vec<String>,
        /// Their file.
        authorities: PathBuf,
    },
    /// A certificate in a file of authorities that may not sign others.
    NotAuthority {
        /// Its subject.
        subject: String,
    },
    /// It does not hold an address under which the member is dialled.
    LacksAddress {
        /// The address.
        ip: IpAddr,
        /// The names and addresses that it holds.
        has: Vec<String>,
    },
    /// It does not hold the address that the member's own connections come from, which etcd looks for when a
    /// peer comes in.
    LacksSource {
        /// The address.
        ip: IpAddr,
        /// The names and addresses that it holds.
        has: Vec<String>,
    },
    /// It may not be used for one side of TLS.
    LacksUse {
        /// The side.
        lacks: CertificateUse,
    },
    /// The key is of another certificate.
    OtherKey {
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// The key is encrypted, and etcd has no pass phrase.
    EncryptedKey,
    /// The key is of a kind that cannot be used (RSA, P-256, P-384 and Ed25519 can).
    UnusableKey,
    /// Others than its owner can read the key.
    ReadableKey {
        /// The mode of the file.
        mode: Mode,
    },
    /// Another rule of TLS forbids it.
    Refused {
        /// The rule, in webpki's words.
        reason: String,
    },
}

impl fmt::Display for CertificateUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "serverAuth",
            Self::Client => "clientAuth",
        })
    }
}

impl fmt::Display for CertificateFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            member,
            path,
            problem,
        } = self;
        write!(f, "member {member}: {} {problem}", path.display())
    }
}

impl From<CertificateFinding> for CertificateFault {
    fn from(finding: CertificateFinding) -> Self {
        Self {
            path: finding.path,
            problem: finding.problem.to_string(),
        }
    }
}

/// As one text: plans and observations are printed as data too.
impl Serialize for CertificateFinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("was not given; issue it first"),
            Self::NotPem { wanted } => write!(f, "holds no PEM block of a {wanted}; write it anew"),
            Self::Form { reason } => write!(f, "cannot be read ({reason}); issue it anew"),
            Self::NotYetValid {
                not_before,
                now,
                clock_off_s,
            } => {
                write!(f, "is valid only from {}, ", moment(*not_before))?;
                by_clock(f, *now, *clock_off_s)?;
                f.write_str("; set that clock, or issue it with an earlier start")
            }
            Self::Expired {
                not_after,
                now,
                clock_off_s,
            } => {
                write!(f, "expired at {}, ", moment(*not_after))?;
                by_clock(f, *now, *clock_off_s)?;
                f.write_str(if clock_off_s.is_some() {
                    "; set that clock"
                } else {
                    "; issue it anew"
                })
            }
            // A cluster that was made anew has authorities of the same names and other keys.
            Self::OtherAuthority {
                issuer,
                trusted,
                authorities,
            } if trusted.contains(issuer) => write!(
                f,
                "was signed by another {issuer} than the one in {}; issue it by that one",
                authorities.display()
            ),
            Self::OtherAuthority {
                issuer,
                trusted,
                authorities,
            } => write!(
                f,
                "was signed by {issuer}, and {} holds only {}; issue it by an authority that all members trust",
                authorities.display(),
                list(trusted)
            ),
            Self::NotAuthority { subject } => write!(
                f,
                "holds {subject}, which is no authority (RFC 5280, basic constraints); put the authority's own \
                 certificate there"
            ),
            Self::LacksAddress { ip, has } => write!(
                f,
                "lacks the address {ip} under which the member is dialled, and holds {}; issue it anew with that \
                 address",
                list(has)
            ),
            Self::LacksSource { ip, has } => write!(
                f,
                "lacks the address {ip} that the member's connections come from, and holds {}: its peers would \
                 refuse it; issue it anew with that address",
                list(has)
            ),
            Self::LacksUse { lacks } => {
                write!(
                    f,
                    "may not be used for {lacks}; issue it anew with serverAuth and clientAuth"
                )
            }
            Self::OtherKey { certificate } => write!(
                f,
                "does not belong to the certificate {}; issue both anew",
                certificate.display()
            ),
            Self::EncryptedKey => f.write_str(
                "is encrypted, and etcd asks for no pass phrase; write it in the clear, mode 0600",
            ),
            Self::UnusableKey => {
                f.write_str("is no key that can be used; take ECDSA P-256, P-384, Ed25519 or RSA")
            }
            Self::ReadableKey { mode } => write!(
                f,
                "has mode {mode}, so others can read the key; set it to 0600, and issue it anew if others were there"
            ),
            Self::Refused { reason } => write!(f, "would be refused ({reason}); issue it anew"),
        }
    }
}

/// The moment something was looked at, and by whose clock.
fn by_clock(
    f: &mut fmt::Formatter<'_>,
    now: OffsetDateTime,
    clock_off_s: Option<i64>,
) -> fmt::Result {
    match clock_off_s {
        None => write!(f, "and the clock here says {}", moment(now)),
        Some(off) => {
            let direction = if off < 0 { "behind" } else { "ahead of" };
            write!(
                f,
                "and the clock of this member says {}, {} s {direction} the one here",
                moment(now),
                off.unsigned_abs()
            )
        }
    }
}

pub(super) fn moment(moment: OffsetDateTime) -> String {
    // Only a year beyond 9999 cannot be written so.
    moment
        .format(&Rfc3339)
        .unwrap_or_else(|_| moment.to_string())
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}
