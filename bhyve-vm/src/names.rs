//! Checked texts: every word of a specification that reaches a command line, a path or a configuration file.
//!
//! bhyve's own formats have no dependable escape: a comma cannot be written in `-s`, and `%` and `\` change their
//! meaning with what stands beside them in a `-k` file. So such characters are refused here, never escaped.

mod derive;

pub use derive::Derived;

use std::{fmt, str::FromStr};

/// A text that a field does not take, with the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?} {rule}")]
pub struct InvalidValue {
    /// What kind of value it should be, such as `VM name`.
    pub field: &'static str,
    /// The text.
    pub value: String,
    /// The rule, in words that say how to mend it.
    pub rule: &'static str,
}

/// A newtype of a text that is checked once, when it is made.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $broken:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match $broken(text) {
                    None => Ok(Self(text.to_owned())),
                    Some(rule) => Err(InvalidValue { field: $field, value: text.to_owned(), rule }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use checked_text;

/// A [`checked_text`] that is part of a specification, and so is read by `serde` with the same check.
macro_rules! specified_text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $broken:ident) => {
        $crate::names::checked_text! {
            $(#[$doc])*
            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(try_from = "String", into = "String")]
            $name, $field, $broken
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}
pub(crate) use specified_text;

specified_text! {
    /// The name of a VM: a label of a DNS name, at most 30 characters.
    ///
    /// Shorter than bhyve demands (229 since FreeBSD 13), so that it fits a host name, a device node and a path
    /// with room to spare.
    VmName, "VM name", broken_vm_name
}

specified_text! {
    /// The identity of a VM (RFC 9562): lower case, with hyphens, not all zeros.
    ///
    /// Always given: the one that bhyve would derive changes with the name, and the guest sees another machine.
    Uuid, "UUID", broken_uuid
}

specified_text! {
    /// A tap interface of the host: `tap` and its number.
    ///
    /// bhyve takes the kind of a network backend from the beginning of its name and opens `/dev/` + name, so a tap
    /// that was renamed cannot be used.
    TapName, "tap interface", broken_tap
}

specified_text! {
    /// A bridge interface of the host: at most 15 characters (`IFNAMSIZ`, FreeBSD ifconfig(8)).
    BridgeName, "bridge interface", broken_bridge
}

specified_text! {
    /// The MAC address of a network card: lower case, colons, unicast.
    ///
    /// Always given: the one that bhyve would derive changes with the slot and the name.
    MacAddress, "MAC address", broken_mac
}

specified_text! {
    /// An absolute path on the FreeBSD host, of characters that mean nothing to bhyve, cut or quote nowhere.
    HostPath, "path", broken_path
}

specified_text! {
    /// The serial number of a disk, by which the guest finds it in `/dev/disk/by-id`: at most 19 characters.
    ///
    /// virtio-blk keeps 20 bytes, the last of which may be a zero.
    DiskSerial, "disk serial", broken_serial
}

specified_text! {
    /// A ZFS dataset with its pool, such as `zroot/lab/etcd-0` (zfs(8), "ZFS File System Hierarchy").
    ZfsDataset, "ZFS dataset", broken_dataset
}

specified_text! {
    /// The name of a lab, which marks all that is its own on a host: 1 to 20 of a-z, 0-9 and '-'.
    LabMark, "lab name", broken_lab
}

impl LabMark {
    /// The description of the lab's interfaces: `lab:LAB`.
    pub fn interface_mark(&self) -> String {
        format!("lab:{self}")
    }

    /// The value of [`OWNER_PROPERTY`](crate::OWNER_PROPERTY) of a VM's volume: `LAB/VM`. Its taps carry
    /// `lab:LAB/VM`.
    pub fn vm_mark(&self, vm: &VmName) -> String {
        format!("{self}/{vm}")
    }
}

impl ZfsDataset {
    /// The device node of the volume.
    pub fn device(&self) -> HostPath {
        HostPath(format!("/dev/zvol/{}", self.0))
    }
}

impl VmName {
    /// The side of the VM's null-modem device that bhyve opens (nmdm(4)).
    pub(crate) fn console_device(&self) -> HostPath {
        HostPath(format!("/dev/nmdm-{}A", self.0))
    }
}

fn broken_vm_name(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=30).contains(&text.len()) {
        Some("must have 1 to 30 characters")
    } else if !text.bytes().all(legal) {
        Some("may hold only a-z, 0-9 and '-'")
    } else if text.starts_with('-') || text.ends_with('-') {
        Some("must not begin or end with '-'")
    } else {
        None
    }
}

fn broken_uuid(text: &str) -> Option<&'static str> {
    let shaped = text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        });
    if !shaped {
        Some("must be 36 characters such as 8f5c2b7e-0a41-4a52-9d4c-0a1b2c3d4e5f, in lower case")
    } else if text.bytes().all(|b| matches!(b, b'0' | b'-')) {
        Some("must not be all zeros")
    } else {
        None
    }
}

fn broken_lab(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=20).contains(&text.len()) {
        Some("must have 1 to 20 characters")
    } else if !text.bytes().all(legal) {
        Some("may hold only a-z, 0-9 and '-'")
    } else if text.starts_with('-') || text.ends_with('-') {
        Some("must not begin or end with '-'")
    } else if ["base", "files", "import"].contains(&text) {
        Some("is the name of a place that labs share; take another")
    } else {
        None
    }
}

fn broken_tap(text: &str) -> Option<&'static str> {
    let number = text.strip_prefix("tap").unwrap_or_default();
    let canonical = number == "0" || !number.starts_with('0');
    let good =
        (1..=5).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()) && canonical;
    (!good).then_some("must be 'tap' and a number of at most 5 digits, such as tap110")
}

fn broken_bridge(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let good = (1..=15).contains(&text.len())
        && text.bytes().all(legal)
        && text.starts_with(|c: char| c.is_ascii_lowercase());
    (!good).then_some("must have 1 to 15 of a-z, 0-9, '-' and '_', a letter first")
}

fn broken_mac(text: &str) -> Option<&'static str> {
    let digits = |part: &str| {
        part.len() == 2 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() != 6 || !parts.iter().all(|part| digits(part)) {
        return Some(
            "must be six pairs of hexadecimal digits in lower case, such as 58:9c:fc:0a:00:10",
        );
    }
    // The lowest bit of the first byte makes a group address (IEEE 802, clause 8.2.2).
    let first = u8::from_str_radix(parts[0], 16).unwrap_or(1);
    if first & 1 == 1 {
        return Some("is a group address; the second digit must be even");
    }
    (text == "00:00:00:00:00:00").then_some("must not be all zeros")
}

fn broken_path(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"/-_.+:@".contains(&b);
    if !text.starts_with('/') || text.ends_with('/') {
        Some("must be absolute and name a file")
    } else if text.len() > 1023 {
        Some("must have at most 1023 characters (PATH_MAX)")
    } else if !text.bytes().all(legal) {
        Some("may hold only letters, digits and any of '/-_.+:@': bhyve has no way to write others")
    } else if text.split('/').any(|part| part == "..") {
        Some("must not hold '..'")
    } else {
        None
    }
}

fn broken_serial(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let good = (1..=19).contains(&text.len()) && text.bytes().all(legal);
    (!good).then_some("must have 1 to 19 letters, digits, '-' or '_'")
}

fn broken_dataset(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
    let parts = text
        .split('/')
        .all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()));
    if text.len() > 200 || !text.bytes().all(legal) || !parts {
        Some(
            "must be parts of letters, digits and any of '-_.:', joined by '/', 200 characters at most",
        )
    } else if !text.contains('/') {
        Some("must lie below a pool, such as zroot/lab/etcd-0: a pool itself is never ours")
    } else {
        None
    }
}
