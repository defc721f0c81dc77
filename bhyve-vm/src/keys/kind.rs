//! The kinds of values that keys have, checked as bhyve's own code would read them, and no wider.

use super::{KeyError, Release};
use crate::SectorSizes;

/// What the value of a key must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    Uuid,
    /// A number above 0.
    Count,
    /// A number, 0 included.
    Number,
    /// A number in decimal or, after `0x`, in hexadecimal.
    Integer,
    /// A PCI register: an integer or `host`.
    Register,
    Memory,
    Bool,
    Path,
    Tty,
    /// A text for people, blanks inside it allowed.
    Text,
    Word,
    /// A word of at most so many bytes.
    Short(usize),
    Sectors,
    Backend,
    Mac,
    Port,
    Listen,
    Cpuset,
    OneOf(&'static [&'static str]),
}

/// The beginnings by which bhyve knows the kind of a network backend (net_backends.c), without `slirp`.
const BACKENDS: [&str; 5] = ["tap", "vmnet", "netgraph", "netmap", "vale"];

/// Whether a value can stand in both forms without meaning anything else: `%` begins a reference in a `-k` file, `\`
/// changes its meaning there, and nothing ends a line but its end.
fn harmless(value: &str) -> bool {
    value
        .bytes()
        .all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'%' | b'\\'))
}

fn words_of(value: &str, extra: &[u8], most: usize) -> bool {
    (1..=most).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

/// A decimal number as a person writes it: no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

fn integer(text: &str) -> bool {
    let hexadecimal = |digits: &str| {
        (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    decimal(text).is_some() || text.strip_prefix("0x").is_some_and(hexadecimal)
}

/// The form of expand_number(3), or a bare number, which means MiB if it is small.
fn memory(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text[number.len()..].to_ascii_lowercase();
    let unit = suffix.strip_suffix('b').unwrap_or(&suffix);
    let known =
        suffix.is_empty() || (unit.len() == 1 && unit.contains(['k', 'm', 'g', 't', 'p', 'e']));
    decimal(number).is_some_and(|n| n > 0) && known
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// As ether_aton(3) reads it, with what bhyve refuses: groups and all zeros.
fn mac(text: &str) -> bool {
    let byte = |part: &str| match part.len() {
        1 | 2 => u8::from_str_radix(part, 16)
            .ok()
            .filter(|_| !part.starts_with('+')),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    bytes.is_some_and(|b| b.len() == 6 && b[0] & 1 == 0 && b.iter().any(|byte| *byte != 0))
}

fn port(text: &str) -> bool {
    decimal(text).is_some_and(|n| (1..=65_535).contains(&n))
}

/// `PORT`, `IPV4:PORT` or `[IPV6]:PORT`.
fn listen(text: &str) -> bool {
    match text.rsplit_once(':') {
        None => port(text),
        Some((address, number)) => {
            let inside = address
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            let numeric = match inside {
                Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
                None => address.parse::<std::net::Ipv4Addr>().is_ok(),
            };
            numeric && port(number)
        }
    }
}

fn tty(text: &str) -> bool {
    match text.strip_prefix("tcp=") {
        Some(address) => listen(address) && address.contains(':'),
        None => text == "stdio" || (text.starts_with("/dev/") && path(text)),
    }
}

fn path(text: &str) -> bool {
    text.len() <= 1023 && !text.contains([',', ' ', '=']) && !text.is_empty()
}

/// Numbers and ranges of processors: `0-3,8`.
fn cpuset(text: &str) -> bool {
    text.split(',').all(|part| match part.split_once('-') {
        None => decimal(part).is_some(),
        Some((first, last)) => match (decimal(first), decimal(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    })
}

fn sectors(text: &str) -> bool {
    let pair = if text.contains('/') {
        text.to_owned()
    } else {
        format!("{text}/{text}")
    };
    pair.parse::<SectorSizes>().is_ok()
}

fn backend(text: &str, release: Release) -> bool {
    let named = BACKENDS.iter().any(|kind| text.starts_with(kind));
    let slirp = release >= Release::V15 && text == "slirp";
    (named || slirp) && words_of(text, b"-_.:@{}", 255)
}

impl Kind {
    /// The error of a key whose value is not of its kind.
    pub(super) fn judge_value(
        self,
        key: String,
        value: &str,
        release: Release,
    ) -> Result<(), KeyError> {
        match self.mismatch(value, release) {
            None => Ok(()),
            Some(expected) => Err(KeyError::Value {
                key,
                value: value.to_owned(),
                expected,
            }),
        }
    }

    /// What the value should have been, if it is not.
    pub(crate) fn mismatch(self, value: &str, release: Release) -> Option<&'static str> {
        let (good, expected) = self.judge(value, release);
        (!good || !harmless(value)).then_some(expected)
    }

    fn judge(self, value: &str, release: Release) -> (bool, &'static str) {
        let edges = |text: &str| text.trim() == text && !text.is_empty();
        match self {
            Self::Name => (
                words_of(value, b".-_", 229) && !value.starts_with(['-', '.']),
                "a VM name (letters, digits and any of '.-_', 229 at most)",
            ),
            Self::Uuid => (uuid(value), "a UUID"),
            Self::Count => (decimal(value).is_some_and(|n| n > 0), "a number above 0"),
            Self::Number => (decimal(value).is_some(), "a number"),
            Self::Integer => (integer(value), "a number, or one in hexadecimal after 0x"),
            Self::Register => (
                value == "host" || integer(value),
                "a number, one in hexadecimal after 0x, or 'host'",
            ),
            Self::Memory => (memory(value), "a size of memory such as 2048M"),
            Self::Bool => (
                ["true", "on", "yes", "1", "false", "off", "no", "0"]
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(value)),
                "one of true, on, yes, 1, false, off, no, 0",
            ),
            Self::Path => (
                path(value),
                "a path without comma, blank, '=', '%' and '\\', 1023 characters at most",
            ),
            Self::Text => (edges(value), "a printable text without '%' and '\\'"),
            Self::Word => (
                edges(value) && !value.contains([' ', ',']),
                "a word without blank, comma, '%' and '\\'",
            ),
            _ => self.judge_parts(value, release),
        }
    }

    fn judge_parts(self, value: &str, release: Release) -> (bool, &'static str) {
        match self {
            Self::Short(most) => (
                (1..=most).contains(&value.len()) && !value.contains([' ', ',']),
                match most {
                    8 => "a word of at most 8 characters",
                    20 => "a word of at most 20 characters",
                    _ => "a word of at most 40 characters",
                },
            ),
            Self::Tty => (
                tty(value),
                "a serial backend: stdio, /dev/DEVICE or tcp=ADDRESS:PORT",
            ),
            Self::Sectors => (
                sectors(value),
                "a sector size such as 512 or 512/4096 (powers of two from 512, the first not above the second)",
            ),
            Self::Backend => (
                backend(value, release),
                "a network backend: tapN, vmnetN, netgraph, netmap:INTERFACE, valeBRIDGE:PORT, and since FreeBSD 15 slirp",
            ),
            Self::Mac => (mac(value), "a unicast MAC address"),
            Self::Port => (port(value), "a port (1 to 65535)"),
            Self::Listen => (
                listen(value),
                "a place to listen: PORT, IPV4:PORT or [IPV6]:PORT",
            ),
            Self::Cpuset => (cpuset(value), "a set of processors such as 0-3,8"),
            Self::OneOf(words) => (words.contains(&value), one_of(words)),
            _ => (false, "of a kind that is judged elsewhere"),
        }
    }
}

/// The words of the closed sets in the catalogue, as an error says them.
fn one_of(words: &'static [&'static str]) -> &'static str {
    super::catalogue::SETS
        .iter()
        .find(|(set, _)| *set == words)
        .map_or("one of the words that bhyve knows", |(_, text)| *text)
}
