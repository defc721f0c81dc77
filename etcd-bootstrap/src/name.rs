//! The checked names and versions that reach flags, paths and certificates.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Why a text is no name, token or version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?} {problem}")]
pub struct InvalidName {
    /// `member name`, `cluster token`, `etcd version`, `peer address` or `client address`.
    pub field: &'static str,
    /// The text as given.
    pub value: String,
    /// What it has to be.
    pub problem: &'static str,
}

impl InvalidName {
    pub(crate) fn new(field: &'static str, value: &str, problem: &'static str) -> Self {
        Self {
            field,
            value: value.to_owned(),
            problem,
        }
    }
}

/// The name of a member (`--name`): one label of RFC 1123 in lower case, at most 63 bytes.
///
/// etcd would take more, but the name is written into `--initial-cluster`, where `=` and `,` are
/// separators. `default` is refused: it is what a member without a name calls itself, and two of
/// them are read as one member with two addresses (etcd#13757).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberName(String);

/// What sets one cluster apart from another with the same addresses (`--initial-cluster-token`).
///
/// All IDs are made from it, so members of an earlier cluster on the same machines cannot get in:
/// use a new token for every cluster, also after a failed one or a restore.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterToken(String);

fn is_label(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(legal)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl FromStr for MemberName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const FIELD: &str = "member name";
        if !is_label(text) {
            let problem = "must be 1 to 63 of a-z, 0-9 and '-', with no '-' at either end";
            return Err(InvalidName::new(FIELD, text, problem));
        }
        if text == "default" {
            let problem = "is etcd's name for a member without one; give each member its own";
            return Err(InvalidName::new(FIELD, text, problem));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for ClusterToken {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(legal) {
            return Ok(Self(text.to_owned()));
        }
        let problem = "must be 1 to 128 of letters, digits, '-', '_' and '.'";
        Err(InvalidName::new("cluster token", text, problem))
    }
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The checked text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

text_newtype!(MemberName);
text_newtype!(ClusterToken);

/// An exact etcd version. The minor decides which settings exist, the patch which are safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EtcdVersion {
    /// Always 3.
    pub major: u16,
    /// The release line, as 7 in 3.7.3.
    pub minor: u16,
    /// The patch, as 3 in 3.7.3.
    pub patch: u16,
}

impl EtcdVersion {
    /// A version from its three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl FromStr for EtcdVersion {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = || InvalidName::new("etcd version", text, "must be MAJOR.MINOR.PATCH, as 3.7.3");
        let numbers: Vec<u16> = text
            .strip_prefix('v')
            .unwrap_or(text)
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| bad())?;
        match numbers[..] {
            [major, minor, patch] => Ok(Self {
                major,
                minor,
                patch,
            }),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for EtcdVersion {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<EtcdVersion> for String {
    fn from(version: EtcdVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_list_of_members() {
        for good in ["etcd-0", "a", "7"] {
            assert_eq!(good.parse::<MemberName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "default",
            "a=b",
            "a,b",
            "-a",
            "a-",
            "A",
            "a b",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<MemberName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tokens_need_no_quotes() {
        assert!("lab-1_a.B".parse::<ClusterToken>().is_ok());
        for bad in ["", "a b", "a\"", "a$b", &"x".repeat(129)] {
            assert!(bad.parse::<ClusterToken>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions_are_three_numbers() {
        let version = EtcdVersion::new(3, 7, 3);
        assert_eq!("3.7.3".parse(), Ok(version));
        assert_eq!("v3.7.3".parse(), Ok(version));
        for bad in ["3.7", "3.7.3.1", "3.7.x", "", "3.7.3-rc.0"] {
            assert!(bad.parse::<EtcdVersion>().is_err(), "{bad:?}");
        }
    }
}
