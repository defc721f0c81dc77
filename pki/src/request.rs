//! What a certificate shall say, independent of who signs it.

use crate::constraints::NameConstraints;
use crate::name::AltNames;
use crate::x509::KeySpec;

/// Upper bound of X.520 for common and organisation names (RFC 5280 appendix A.1, `ub-common-name`).
const DN_VALUE_MAX: usize = 64;
/// rcgen keeps a name as a map and can encode an organisation twice at most.
const GROUPS_MAX: usize = 2;
/// A hundred years: longer lives leave the four-digit years of X.509 in sight.
const DAYS_MAX: u32 = 36_500;

/// A request that no certificate can fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A common name or group that is empty, too long or not printable ASCII.
    #[error("{field} `{value}` must be 1 to 64 printable ASCII characters")]
    Value {
        /// `common name` or `group`.
        field: &'static str,
        /// The value as given.
        value: String,
    },
    /// More groups than the encoder can write.
    #[error("`{common_name}` has {count} groups; at most 2 can be written into one certificate")]
    TooManyGroups {
        /// The subject's common name.
        common_name: String,
        /// How many groups were asked for.
        count: usize,
    },
    /// The same group twice.
    #[error("`{common_name}` has the group `{group}` twice; give it once")]
    DuplicateGroup {
        /// The subject's common name.
        common_name: String,
        /// The repeated group.
        group: String,
    },
    /// A server certificate that no client could accept.
    #[error("server certificate `{common_name}` has no alternative name; give a name or address")]
    NoNames {
        /// The subject's common name.
        common_name: String,
    },
    /// A life of zero days, or of more than a century.
    #[error("a certificate life of {days} days is out of range; give 1 to 36500")]
    Life {
        /// The life as given.
        days: u32,
    },
}

/// Who a certificate is about. Kubernetes reads the common name as the user and the organisations
/// as its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    common_name: String,
    groups: Vec<String>,
}

impl Subject {
    /// Checks a subject.
    ///
    /// # Errors
    /// An empty, overlong or unprintable value, a repeated group, or more than two groups.
    pub fn new(common_name: &str, groups: &[&str]) -> Result<Self, RequestError> {
        check_value("common name", common_name)?;
        if groups.len() > GROUPS_MAX {
            let common_name = common_name.to_owned();
            return Err(RequestError::TooManyGroups {
                common_name,
                count: groups.len(),
            });
        }
        for (index, group) in groups.iter().enumerate() {
            check_value("group", group)?;
            if groups[..index].contains(group) {
                let (common_name, group) = (common_name.to_owned(), (*group).to_owned());
                return Err(RequestError::DuplicateGroup { common_name, group });
            }
        }
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Ok(Self {
            common_name: common_name.to_owned(),
            groups,
        })
    }

    /// The user name that Kubernetes sees.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The groups that Kubernetes sees.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CN={}", self.common_name)?;
        self.groups
            .iter()
            .try_for_each(|group| write!(f, ", O={group}"))
    }
}

fn check_value(field: &'static str, value: &str) -> Result<(), RequestError> {
    let printable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if value.is_empty() || value.len() > DN_VALUE_MAX || !printable {
        return Err(RequestError::Value {
            field,
            value: value.to_owned(),
        });
    }
    Ok(())
}

/// What a leaf may be used for in TLS (RFC 5280 section 4.2.1.12). Never nothing and never `any`:
/// verifiers disagree about both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Serve only.
    Server,
    /// Dial only.
    Client,
    /// Both: etcd's servers and peers, whose programs dial themselves and each other.
    ServerAndClient,
}

impl Purpose {
    /// Whether a client may accept the certificate from a server.
    #[must_use]
    pub fn serves(self) -> bool {
        self != Self::Client
    }

    /// Whether a server may accept the certificate from a client.
    #[must_use]
    pub fn dials(self) -> bool {
        self != Self::Server
    }
}

/// How long a certificate lives, in whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    days: u32,
}

impl Life {
    /// A year, kubeadm's life of leaves.
    pub const LEAF: Self = Self { days: 365 };
    /// Ten years, kubeadm's life of authorities.
    pub const AUTHORITY: Self = Self { days: 3650 };

    /// Checks a life.
    ///
    /// # Errors
    /// Zero, or more than 36,500 days.
    pub fn days(days: u32) -> Result<Self, RequestError> {
        match days {
            1..=DAYS_MAX => Ok(Self { days }),
            _ => Err(RequestError::Life { days }),
        }
    }

    pub(crate) fn duration(self) -> time::Duration {
        time::Duration::days(self.days.into())
    }
}

/// An authority to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityRequest {
    /// Who it is.
    pub subject: Subject,
    /// How long it lives.
    pub life: Life,
    /// What it may vouch for; `None` for everything.
    pub constraints: Option<NameConstraints>,
}

/// A leaf to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRequest {
    subject: Subject,
    purpose: Purpose,
    alt_names: AltNames,
    life: Life,
    key: KeySpec,
}

impl LeafRequest {
    /// Checks that the parts fit each other. The key is to be ECDSA P-256, see [`LeafRequest::with_key`].
    ///
    /// # Errors
    /// [`RequestError::NoNames`] for a certificate that serves and has no alternative name; a
    /// client needs none.
    pub fn new(
        subject: Subject,
        purpose: Purpose,
        alt_names: AltNames,
        life: Life,
    ) -> Result<Self, RequestError> {
        if purpose.serves() && alt_names.is_empty() {
            return Err(RequestError::NoNames {
                common_name: subject.common_name,
            });
        }
        Ok(Self {
            subject,
            purpose,
            alt_names,
            life,
            key: KeySpec::default(),
        })
    }

    /// The same about a key of another kind, if one is drawn for it.
    #[must_use]
    pub fn with_key(mut self, key: KeySpec) -> Self {
        self.key = key;
        self
    }

    /// Who the certificate is about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What it may be used for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The names under which it serves.
    #[must_use]
    pub fn alt_names(&self) -> &AltNames {
        &self.alt_names
    }

    /// How long it lives.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }

    /// What kind of key is drawn for it.
    #[must_use]
    pub fn key(&self) -> KeySpec {
        self.key
    }
}
