//! The checked name of a host.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The name of a host: one label of RFC 1123, in lower case, at most 63 bytes.
///
/// It reaches command lines, paths and certificates, so nothing else can be constructed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// Why a text is not a [`HostName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host name {name:?} {problem}")]
pub struct InvalidHostName {
    name: String,
    problem: &'static str,
}

impl HostName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let problem = if text.is_empty() || text.len() > 63 {
            "must have 1 to 63 characters"
        } else if !text.bytes().all(legal) {
            "may hold only a-z, 0-9 and '-'"
        } else if text.starts_with('-') || text.ends_with('-') {
            "must not begin or end with '-'"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidHostName {
            name: text.to_owned(),
            problem,
        })
    }
}

impl TryFrom<String> for HostName {
    type Error = InvalidHostName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc_1123_labels_are_names() {
        for good in ["a", "etcd-0", "7", &"x".repeat(63)] {
            assert_eq!(good.parse::<HostName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a b",
            "a;b",
            "ä",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
    }
}
