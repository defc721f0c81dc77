//! Checked names: each reaches a command line, a path or an interface.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Why a text is not the name it was to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} {problem}")]
pub struct InvalidName {
    what: &'static str,
    text: String,
    problem: &'static str,
}

impl InvalidName {
    fn new(what: &'static str, text: &str, problem: &'static str) -> Self {
        Self {
            what,
            text: text.to_owned(),
            problem,
        }
    }
}

/// The name of a group of machines: 1 to 20 of `a-z0-9-`, beginning with a letter, not ending in `-`.
///
/// The length leaves room for `lab.GROUP.MACHINE.service` and for socket paths below the run directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

impl GroupName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix of everything that belongs to the group: `lab.NAME`. Names hold no dot, so no prefix of one
    /// group is the prefix of another.
    pub(crate) fn prefix(&self) -> String {
        format!("lab.{}", self.0)
    }

    /// The network namespace of a machine, of the router or of the internet, as `ip netns` names it.
    pub fn netns(&self, machine: &str) -> String {
        format!("{}.{machine}", self.prefix())
    }

    /// The interface of a [`HostLink`](crate::HostLink) on the host's side, at most 15 bytes (`IFNAMSIZ`).
    pub fn host_link(&self) -> String {
        if self.0.len() <= 11 {
            return format!("lab-{}", self.0);
        }
        format!("lab-{:08x}", short_hash(&self.0))
    }
}

impl FromStr for GroupName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = |problem| Err(InvalidName::new("lab name", text, problem));
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > 20 {
            return bad("must have 1 to 20 characters");
        }
        if !text.bytes().all(legal) {
            return bad("may hold only a-z, 0-9 and '-'");
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with('-') {
            return bad("must begin with a letter and not end with '-'");
        }
        Ok(Self(text.to_owned()))
    }
}

/// FNV-1a, for names that are too long for an interface: stable for ever, unlike the standard library's hasher.
pub(crate) fn short_hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The name of a network interface: 1 to 15 bytes (`IFNAMSIZ` less its NUL), letters, digits and `.-_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(String);

impl IfName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IfName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let problem = match text {
            "" | "." | ".." => "is not a name",
            _ if text.len() > 15 => "must have at most 15 characters",
            _ if text.starts_with('-') || !text.bytes().all(legal) => {
                "may hold only letters, digits and '._-'"
            }
            _ => return Ok(Self(text.to_owned())),
        };
        Err(InvalidName::new("interface name", text, problem))
    }
}

/// An Ethernet address, unicast, written as `02:00:00:00:00:0a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl FromStr for MacAddr {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = |problem| InvalidName::new("MAC address", text, problem);
        let octets: Vec<u8> = text
            .split(':')
            .map(|part| {
                u8::from_str_radix(part, 16)
                    .ok()
                    .filter(|_| part.len() == 2)
            })
            .collect::<Option<_>>()
            .ok_or_else(|| bad("must be six pairs of hexadecimal digits"))?;
        let octets: [u8; 6] = octets.try_into().map_err(|_| bad("must have six parts"))?;
        if octets[0] & 1 == 1 {
            return Err(bad("is a multicast address"));
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

macro_rules! text_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    )*};
}

text_conversions!(GroupName, IfName, MacAddr);

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_names_are_safe_in_paths_and_interfaces() {
        for good in ["lab", "a", "my-lab-2", &"x".repeat(20)] {
            let name: GroupName = good.parse().unwrap();
            assert!(name.host_link().parse::<IfName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "2lab",
            "a.b",
            "a/b",
            "a_b",
            "A",
            "a-",
            "-a",
            &"x".repeat(21),
        ] {
            assert!(bad.parse::<GroupName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn mac_addresses_are_unicast_and_whole() {
        assert_eq!(
            "02:00:00:00:00:0a".parse::<MacAddr>().unwrap().to_string(),
            "02:00:00:00:00:0a"
        );
        for bad in [
            "",
            "02:00",
            "03:00:00:00:00:0a",
            "02:00:00:00:00:0a:0b",
            "2:0:0:0:0:a",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad:?}");
        }
    }
}
