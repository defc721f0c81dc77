//! Names that enter certificates, paths and kubeconfigs, checked once in their constructors.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The longest host name, RFC 1035 section 2.3.4 without the trailing dot.
const HOST_NAME_MAX: usize = 253;
/// The longest label, RFC 1035 section 2.3.4.
const LABEL_MAX: usize = 63;

/// A name or an address that no certificate of ours may carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Empty, or longer than 253 characters.
    #[error("host name `{name}` has {length} characters; give 1 to 253")]
    Length {
        /// The name as given.
        name: String,
        /// Its length in characters.
        length: usize,
    },
    /// A label outside RFC 1123 section 2.1.
    #[error(
        "host name `{name}` has the label `{label}`; a label is 1 to 63 of a-z, 0-9 and inner \
         hyphens, in lower case"
    )]
    Label {
        /// The name as given.
        name: String,
        /// Its first label that breaks the rule.
        label: String,
    },
    /// The last label is a number, so verifiers would take it for an IPv4 address.
    #[error("host name `{name}` ends in a number and reads as an address; give it as an address")]
    LooksLikeAddress {
        /// The name as given.
        name: String,
    },
    /// An IPv4 address written as IPv6, which Go's parser refuses in a certificate.
    #[error("address `{address}` is IPv4 inside IPv6; write it as `{canonical}`")]
    Mapped {
        /// The address as given.
        address: IpAddr,
        /// The form to use.
        canonical: IpAddr,
    },
    /// An address that names no single machine.
    #[error("address `{address}` is unspecified or multicast; give a machine's own address")]
    NotAMachine {
        /// The address as given.
        address: IpAddr,
    },
    /// The same name or address twice in one list.
    #[error("`{name}` is given twice; give it once")]
    Duplicate {
        /// What is repeated.
        name: String,
    },
    /// A wildcard that verifiers disagree about.
    #[error(
        "wildcard `{name}` is not `*.` and a name of at least two labels, as `*.lab.test`; OpenSSL and webpki match \
         no other"
    )]
    Wildcard {
        /// The wildcard as given.
        name: String,
    },
    /// A server URL that is not `https://HOST[:PORT]`.
    #[error("API server URL `{url}` is not of the form https://HOST[:PORT]")]
    Url {
        /// The URL as given.
        url: String,
    },
}

/// A lower-case RFC 1123 host name: also the form of node and cluster names here.
///
/// Wildcards, trailing dots and underscores are refused, because verifiers disagree about them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Checks a host name.
    ///
    /// # Errors
    /// [`NameError`] with the rule that is broken; upper case is one of them.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() || name.len() > HOST_NAME_MAX {
            return Err(NameError::Length {
                name: name.into(),
                length: name.chars().count(),
            });
        }
        if let Some(label) = name.split('.').find(|label| !is_label(label)) {
            return Err(NameError::Label {
                name: name.into(),
                label: label.into(),
            });
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NameError::LooksLikeAddress { name: name.into() });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty()
        && label.len() <= LABEL_MAX
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

/// A wildcard for every name of one more label, as `*.apps.lab.test`: asked for by name only, since whoever holds its
/// key can stand for all of them.
///
/// The star is the whole first label and two labels or more follow. `*.lab` is accepted by Go and by nobody else
/// (tests/data/verifiers.txt).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WildcardName(String);

impl WildcardName {
    /// Checks a wildcard.
    ///
    /// # Errors
    /// [`NameError::Wildcard`] for another form, and the errors of [`HostName::new`] for the part behind the star.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Wildcard { name: name.into() };
        let parent = name.strip_prefix("*.").ok_or_else(wrong)?;
        if !HostName::new(parent)?.as_str().contains('.') {
            return Err(wrong());
        }
        Ok(Self(name.to_owned()))
    }

    /// The wildcard as text, with its star.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part behind the star and its dot.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.0[2..]
    }
}

impl fmt::Display for WildcardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses addresses that a certificate of one machine cannot hold.
pub(crate) fn check_address(address: IpAddr) -> Result<IpAddr, NameError> {
    let canonical = address.to_canonical();
    if canonical != address {
        return Err(NameError::Mapped { address, canonical });
    }
    if address.is_unspecified() || address.is_multicast() {
        return Err(NameError::NotAMachine { address });
    }
    Ok(address)
}

/// The subject alternative names of one certificate: sorted, checked, without repetition.
///
/// Verifiers look at nothing else; the common name is not consulted (RFC 9525 section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AltNames {
    dns: BTreeSet<HostName>,
    wildcards: BTreeSet<WildcardName>,
    ips: BTreeSet<IpAddr>,
}

impl AltNames {
    /// Checks two lists given by a person or a file.
    ///
    /// # Errors
    /// A name or address that is repeated, or an address that names no machine. An empty list is
    /// not an error: client certificates have none.
    pub fn new(dns: Vec<HostName>, ips: Vec<IpAddr>) -> Result<Self, NameError> {
        let mut names = Self::default();
        for name in dns {
            if names.dns.contains(&name) {
                return Err(NameError::Duplicate {
                    name: name.to_string(),
                });
            }
            names.dns.insert(name);
        }
        for address in ips {
            if !names.ips.insert(check_address(address)?) {
                return Err(NameError::Duplicate {
                    name: address.to_string(),
                });
            }
        }
        Ok(names)
    }

    /// The same names and wildcards beside them.
    ///
    /// # Errors
    /// A wildcard that is repeated.
    pub fn with_wildcards(mut self, wildcards: Vec<WildcardName>) -> Result<Self, NameError> {
        for name in wildcards {
            if let Some(name) = self.wildcards.replace(name) {
                return Err(NameError::Duplicate { name: name.0 });
            }
        }
        Ok(self)
    }

    /// Both sets of names together; what both hold appears once.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.dns.extend(other.dns.iter().cloned());
        self.wildcards.extend(other.wildcards.iter().cloned());
        self.ips.extend(other.ips.iter().copied());
        self
    }

    /// The DNS names in their order.
    pub fn dns(&self) -> impl Iterator<Item = &HostName> {
        self.dns.iter()
    }

    /// The wildcards in their order.
    pub fn wildcards(&self) -> impl Iterator<Item = &WildcardName> {
        self.wildcards.iter()
    }

    /// The addresses in their order.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ips.iter().copied()
    }

    /// Whether there is neither a name nor an address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.wildcards.is_empty() && self.ips.is_empty()
    }

    /// Whether every name, wildcard and address of `other` is also here, letter by letter: a wildcard here does not
    /// hold the names that it matches.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.dns.is_subset(&self.dns)
            && other.wildcards.is_subset(&self.wildcards)
            && other.ips.is_subset(&self.ips)
    }
}

impl fmt::Display for AltNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dns = self.dns.iter().map(|name| format!("DNS:{name}"));
        let wildcards = self.wildcards.iter().map(|name| format!("DNS:{name}"));
        let ips = self.ips.iter().map(|address| format!("IP:{address}"));
        f.write_str(
            &dns.chain(wildcards)
                .chain(ips)
                .collect::<Vec<_>>()
                .join(", "),
        )
    }
}

/// The address of a Kubernetes API as kubeconfigs hold it: `https://HOST[:PORT]`, no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl {
    host: UrlHost,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum UrlHost {
    Name(HostName),
    Address(IpAddr),
}

impl ApiUrl {
    /// Checks a URL; port 443 when none is written.
    ///
    /// # Errors
    /// [`NameError::Url`] when the form is another one, and the errors of [`HostName::new`] for
    /// its host. `http` is an error: the API serves TLS only.
    pub fn new(url: &str) -> Result<Self, NameError> {
        let bad = || NameError::Url {
            url: url.to_owned(),
        };
        let rest = url.strip_prefix("https://").ok_or_else(bad)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, tail) = bracketed.split_once(']').ok_or_else(bad)?;
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| bad())?;
            let port = match tail {
                "" => "443",
                tail => tail.strip_prefix(':').ok_or_else(bad)?,
            };
            return Self::of_address(address.into(), port.parse().map_err(|_| bad())?);
        }
        let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
        let port = port.parse().map_err(|_| bad())?;
        match host.parse::<IpAddr>() {
            Ok(address) => Self::of_address(address, port),
            Err(_) => Ok(Self {
                host: UrlHost::Name(HostName::new(host)?),
                port,
            }),
        }
    }

    /// The URL of an API server at an address.
    ///
    /// # Errors
    /// When the address names no single machine.
    pub fn of_address(address: IpAddr, port: u16) -> Result<Self, NameError> {
        Ok(Self {
            host: UrlHost::Address(check_address(address)?),
            port,
        })
    }

    /// The address to dial, or `None` where the host is a name.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.host {
            UrlHost::Name(_) => None,
            UrlHost::Address(address) => Some(SocketAddr::new(*address, self.port)),
        }
    }

    /// The host as the alternative name that the serving certificate must carry.
    pub(crate) fn alt_names(&self) -> AltNames {
        let mut names = AltNames::default();
        match &self.host {
            UrlHost::Name(name) => names.dns.insert(name.clone()),
            UrlHost::Address(address) => names.ips.insert(*address),
        };
        names
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            UrlHost::Name(name) => write!(f, "https://{name}:{}", self.port),
            UrlHost::Address(IpAddr::V4(address)) => write!(f, "https://{address}:{}", self.port),
            UrlHost::Address(IpAddr::V6(address)) => write!(f, "https://[{address}]:{}", self.port),
        }
    }
}

impl FromStr for ApiUrl {
    type Err = NameError;

    fn from_str(url: &str) -> Result<Self, NameError> {
        Self::new(url)
    }
}
