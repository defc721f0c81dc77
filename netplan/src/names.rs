//! Names that reach a command line or a file, each checked where it is made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hash::stable_hash;

/// A text that cannot be a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not {kind}: {rule}")]
pub struct NameError {
    /// The text as given.
    pub text: String,
    /// What it should have been.
    pub kind: &'static str,
    /// What such a name looks like.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// When the text breaks the rule of this kind of name; the error says the rule.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(NameError { text, kind: $kind, rule: $rule })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// The name of a lab, part of names of interfaces, tables, units and directories.
    LabName,
    "a lab name",
    "write 1 to 20 of a-z, 0-9 and '-', a letter first, no '-' at the end",
    |text| is_label(text, 20)
);

name!(
    /// The name of a network, part of names of bridges, interfaces, address sets and lock lines:
    /// one word.
    NetworkName,
    "a network name",
    "write 1 to 12 of a-z and 0-9, a letter first",
    |text| is_label(text, 12) && !text.contains('-')
);

name!(
    /// The name of a class of machines, the first part of their names.
    ClassName,
    "a class name",
    "write 1 to 20 of a-z, 0-9 and '-', a letter first, no '-' at the end",
    |text| is_label(text, 20)
);

name!(
    /// The name of a machine, its host name at the same time (one label of RFC 1123).
    MachineName,
    "a machine name",
    "write 1 to 63 of a-z, 0-9 and '-', a letter first, no '-' at the end",
    |text| is_label(text, 63)
);

name!(
    /// The name of a network interface: at most 15 bytes, the limit of both kernels
    /// (`IFNAMSIZ` is 16 with the final zero in Linux and FreeBSD).
    InterfaceName,
    "an interface name",
    "write 1 to 15 of a-z, A-Z, 0-9, '_', '.' and '-', a letter first",
    |text| {
        text.len() <= 15
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    }
);

fn is_label(text: &str, max_len: usize) -> bool {
    text.len() <= max_len
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl InterfaceName {
    /// A name that this crate composes within the limits.
    pub(crate) fn composed(text: String) -> Self {
        Self::new(text).expect("composed names keep to letters, digits, '-' and 15 bytes")
    }

    /// The text, or where that is too long its start and eight digits of its hash.
    pub(crate) fn fitted(text: &str) -> Self {
        if text.len() <= 15 {
            return Self::composed(text.to_owned());
        }
        let start: String = text.chars().take(7).collect();
        let hash = stable_hash(&[b"interface", text.as_bytes()]) >> 32;
        Self::composed(format!("{start}{hash:08x}"))
    }

    /// Another name with the same start, for when this one is taken.
    pub(crate) fn another(&self, attempt: u64) -> Self {
        let start: String = self.0.chars().take(7).collect();
        let parts: [&[u8]; 3] = [b"another", self.0.as_bytes(), &attempt.to_le_bytes()];
        Self::composed(format!("{start}{:08x}", stable_hash(&parts) >> 32))
    }

    /// `{lab}-{machine}-{network}`, or where that is too long or `lab` has a '-' a start of the
    /// lab's name and eight digits of the hash of all three.
    pub(crate) fn of_machine(lab: &LabName, machine: &MachineName, network: &NetworkName) -> Self {
        let text = format!("{lab}-{machine}-{network}");
        if text.len() <= 15 && !lab.as_str().contains('-') {
            return Self::composed(text);
        }
        Self::hashed(lab, &[lab.as_str(), machine.as_str(), network.as_str()])
    }

    /// `{lab}-{network}`, or where that is too long or `lab` has a '-' a start of the lab's name and
    /// eight digits of the hash of both. Names of two labs never meet: the first form has one '-',
    /// and neither of its parts has any.
    pub(crate) fn of_network(lab: &LabName, network: &NetworkName) -> Self {
        let text = format!("{lab}-{network}");
        if text.len() <= 15 && !lab.as_str().contains('-') {
            return Self::composed(text);
        }
        Self::hashed(lab, &[lab.as_str(), network.as_str()])
    }

    fn hashed(lab: &LabName, parts: &[&str]) -> Self {
        let start = lab.as_str().chars().filter(|c| *c != '-').take(7);
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let hash = stable_hash(&parts) >> 32;
        Self::composed(format!("{}{hash:08x}", start.collect::<String>()))
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Mac([u8; 6]);

impl Mac {
    /// `02:` (locally administered, unicast) and the lowest 40 bits of a hash.
    pub(crate) fn from_hash(hash: u64) -> Self {
        let [a, b, c, d, e, ..] = hash.to_le_bytes();
        Self([2, e, d, c, b, a])
    }

    /// The six bytes as they go over the wire.
    #[must_use]
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}
