//! The key tree of bhyve: what both ways to configure it come down to.

use crate::{DiskSerial, HostPath, MacAddress, SectorSizes, TapName, Uuid, VmName};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The release of FreeBSD on the host, as far as bhyve's keys depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 14.x: the firmware is part of the LPC bridge (`lpc.bootrom`).
    V14,
    /// 15.x: the firmware stands by itself (`bootrom`).
    V15,
}

/// Keys and values as `bhyve -k` reads them (bhyve_config(5)), in an order for people.
///
/// Holds only keys that this crate prints. bhyve ignores a key that it does not know, without a word; here it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTree {
    release: Release,
    values: BTreeMap<Key, String>,
}

/// A key cut at its dots; numbers are compared as numbers, so that slot 4 comes before slot 10.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Number(u32),
    Word(String),
}

/// Why a key and its value do not belong into a [`KeyTree`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is none that this crate prints for this release.
    #[error("unknown key {0:?}")]
    Unknown(String),
    /// The key has a value already; bhyve would silently take the later one.
    #[error("key {0:?} is set twice")]
    Twice(String),
    /// The value is not of the key's kind.
    #[error("{key}={value} is not {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl KeyTree {
    /// An empty tree for a host of this release.
    pub fn new(release: Release) -> Self {
        Self {
            release,
            values: BTreeMap::new(),
        }
    }

    /// The release whose keys these are.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The value of a key, if it is set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(&Key::new(key)).map(String::as_str)
    }

    /// The keys and their values in order.
    pub fn iter(&self) -> impl Iterator<Item = (String, &str)> {
        self.values
            .iter()
            .map(|(key, value)| (key.to_string(), value.as_str()))
    }

    /// Sets a key that is not set yet.
    ///
    /// # Errors
    ///
    /// The key is unknown or set already, or the value is not of its kind.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), KeyError> {
        let Some(kind) = kind_of(key, self.release) else {
            return Err(KeyError::Unknown(key.to_owned()));
        };
        if let Some(expected) = kind.mismatch(value) {
            let (key, value) = (key.to_owned(), value.to_owned());
            return Err(KeyError::Value {
                key,
                value,
                expected,
            });
        }
        match self.put(key, value) {
            None => Ok(()),
            Some(_) => Err(KeyError::Twice(key.to_owned())),
        }
    }

    /// Sets a key of our own printer, made from checked values; returns what it held before.
    pub(crate) fn put(&mut self, key: &str, value: &str) -> Option<String> {
        self.values.insert(Key::new(key), value.to_owned())
    }
}

/// The kinds of values that we write, narrower than what bhyve would read.
enum Kind {
    Name,
    Uuid,
    Count,
    MemoryMib,
    Bool,
    Path,
    Device,
    Serial,
    Sectors,
    Tap,
    Mac,
}

/// The kind of a key's value; `None` for a key that we do not print.
fn kind_of(key: &str, release: Release) -> Option<Kind> {
    let kind = match (key, release) {
        ("name", _) => Kind::Name,
        ("uuid", _) => Kind::Uuid,
        ("cpus" | "sockets" | "cores" | "threads", _) => Kind::Count,
        ("memory.size", _) => Kind::MemoryMib,
        ("acpi_tables" | "rtc.use_localtime", _) => Kind::Bool,
        ("x86.mptable" | "x86.strictmsr" | "x86.vmexit_on_hlt" | "x86.vmexit_on_pause", _) => {
            Kind::Bool
        }
        ("lpc.bootrom" | "lpc.bootvars", Release::V14) => Kind::Path,
        ("bootrom" | "bootvars", Release::V15) => Kind::Path,
        ("lpc.com1.path", _) => Kind::Path,
        _ => return kind_of_pci(key),
    };
    Some(kind)
}

fn kind_of_pci(key: &str) -> Option<Kind> {
    let (slot, name) = key.strip_prefix("pci.0.")?.split_once(".0.")?;
    let number: u8 = slot.parse().ok()?;
    if number > crate::Slot::MAX || number.to_string() != slot {
        return None;
    }
    match name {
        "device" => Some(Kind::Device),
        "path" => Some(Kind::Path),
        "ser" => Some(Kind::Serial),
        "sectorsize" => Some(Kind::Sectors),
        "ro" => Some(Kind::Bool),
        "backend" => Some(Kind::Tap),
        "mac" => Some(Kind::Mac),
        _ => None,
    }
}

impl Kind {
    /// What the value should have been, if it is not.
    fn mismatch(&self, value: &str) -> Option<&'static str> {
        fn is<T: FromStr>(value: &str) -> bool {
            value.parse::<T>().is_ok()
        }
        let count = |text: &str| {
            text.parse::<u32>()
                .is_ok_and(|n| n > 0 && n.to_string() == text)
        };
        let (good, expected) = match self {
            Self::Name => (is::<VmName>(value), "a VM name"),
            Self::Uuid => (is::<Uuid>(value), "a UUID in lower case"),
            Self::Count => (count(value), "a number above 0"),
            Self::MemoryMib => (
                value.strip_suffix('M').is_some_and(count),
                "a number of MiB such as 2048M",
            ),
            Self::Bool => (matches!(value, "true" | "false"), "true or false"),
            Self::Path => (is::<HostPath>(value), "a path that bhyve can read back"),
            Self::Device => (
                matches!(
                    value,
                    "hostbridge" | "virtio-rnd" | "virtio-blk" | "virtio-net" | "lpc"
                ),
                "a device that this crate knows",
            ),
            Self::Serial => (is::<DiskSerial>(value), "a disk serial"),
            Self::Sectors => (
                is::<SectorSizes>(value),
                "a pair of sector sizes such as 512/4096",
            ),
            Self::Tap => (is::<TapName>(value), "a tap interface"),
            Self::Mac => (
                is::<MacAddress>(value),
                "a unicast MAC address in lower case",
            ),
        };
        (!good).then_some(expected)
    }
}

impl Key {
    fn new(text: &str) -> Self {
        let segment = |part: &str| match part.parse::<u32>() {
            Ok(number) if number.to_string() == part => Segment::Number(number),
            _ => Segment::Word(part.to_owned()),
        };
        Self(text.split('.').map(segment).collect())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            let dot = if i == 0 { "" } else { "." };
            match segment {
                Segment::Number(number) => write!(f, "{dot}{number}")?,
                Segment::Word(word) => write!(f, "{dot}{word}")?,
            }
        }
        Ok(())
    }
}
