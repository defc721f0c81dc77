//! [`Lock`]: the memory of a plan, so that an edit renumbers nobody.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thiserror::Error;

use crate::hash::checksum;
use crate::names::LabName;
use crate::net::{Family, Net};

const HEADER: &str = "netplan lock, version 1";

/// What was allocated to whom, as a sorted text with one line per allocation.
///
/// ```text
/// netplan lock, version 1
/// lab demo
/// seed 0000000000000007
/// address/etcd/etcd-0 10.77.0.10/32
/// address/etcd/etcd-0 fd5c:1b2a:9e10::10/128
/// checksum 0123456789abcdef
/// ```
///
/// The checksum (FNV-1a, 64 bits, over the text before its line) finds accidents, not intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    lab: LabName,
    seed: u64,
    entries: BTreeMap<(String, Family), Net>,
}

/// Why a text is not a lock; `line` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LockError {
    /// The first line is not one of this version.
    #[error(
        "line 1 of the network lock is {found:?} instead of {HEADER:?}: it was not written by this version"
    )]
    Version {
        /// The first line.
        found: String,
    },
    /// A line that is not what belongs there.
    #[error("line {line} of the network lock is {found:?}: expected {expected}")]
    Line {
        /// Its number.
        line: usize,
        /// The line.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// Lines out of order, or twice the same allocation.
    #[error(
        "line {line} of the network lock does not sort behind the line before it: sort the lines, and keep one per name and family"
    )]
    Order {
        /// The number of the second line.
        line: usize,
    },
    /// The text was changed without its checksum.
    #[error(
        "line {line} of the network lock says checksum {found}, the text has {expected}: restore the file, or write the latter if the edit was meant"
    )]
    Checksum {
        /// The number of the checksum's line.
        line: usize,
        /// The checksum as written.
        found: String,
        /// The checksum of the text.
        expected: String,
    },
    /// Something follows the checksum.
    #[error("line {line} of the network lock follows the checksum: it ends there")]
    Trailing {
        /// The number of the line.
        line: usize,
    },
}

impl Lock {
    pub(crate) fn new(lab: LabName, seed: u64) -> Self {
        Self {
            lab,
            seed,
            entries: BTreeMap::new(),
        }
    }

    pub(crate) fn insert(&mut self, id: String, net: Net) {
        self.entries.insert((id, net.family()), net);
    }

    /// The lab that this lock belongs to.
    #[must_use]
    pub fn lab(&self) -> &LabName {
        &self.lab
    }

    /// The seed that the lab was first planned with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What is allocated under this name, like `network/etcd` or `address/kube/worker-0`.
    #[must_use]
    pub fn get(&self, id: &str, family: Family) -> Option<Net> {
        self.entries.get(&(id.to_owned(), family)).copied()
    }

    /// All allocations with their names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Net)> {
        self.entries
            .iter()
            .map(|((id, _), net)| (id.as_str(), *net))
    }

    /// The text, with a newline at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\nlab {}\nseed {:016x}\n", self.lab, self.seed);
        for (id, net) in self.iter() {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{id} {net}");
        }
        let checksum = checksum(&text);
        let _infallible = writeln!(text, "checksum {checksum:016x}");
        text
    }

    /// Reads what [`Lock::to_text`] wrote; that and nothing else, so that both are inverse.
    ///
    /// # Errors
    /// Names the line: another version, a line that cannot be read, lines out of order, a
    /// checksum that does not fit, text behind it.
    pub fn from_text(text: &str) -> Result<Self, LockError> {
        let mut lines = Lines {
            text,
            at: 0,
            number: 0,
        };
        let header = lines.next_line();
        if header != Some(HEADER) {
            return Err(LockError::Version {
                found: header.unwrap_or_default().to_owned(),
            });
        }
        let lab = lines.next_line().and_then(|line| line.strip_prefix("lab "));
        let lab = lab.and_then(|text| LabName::new(text).ok());
        let lab = lab.ok_or_else(|| lines.error("`lab NAME`"))?;
        let seed = lines
            .next_line()
            .and_then(|line| line.strip_prefix("seed "));
        let seed = seed
            .and_then(parse_hex)
            .ok_or_else(|| lines.error("`seed` and 16 hexadecimal digits"))?;
        let mut lock = Self::new(lab, seed);
        loop {
            let before = lines.at;
            let line = lines
                .next_line()
                .ok_or_else(|| lines.error("`checksum` and 16 hexadecimal digits"))?;
            if let Some(found) = line.strip_prefix("checksum ") {
                return lines.finish(lock, found, &text[..before]);
            }
            let (id, net) = parse_entry(line).ok_or_else(|| lines.error("a name and a network"))?;
            let last = lock.entries.last_key_value().map(|(key, _)| key);
            if last.is_some_and(|last| *last >= (id.to_owned(), net.family())) {
                return Err(LockError::Order { line: lines.number });
            }
            lock.insert(id.to_owned(), net);
        }
    }
}

/// The lines of a text, each of which must end in a newline.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Option<&'a str> {
        self.number += 1;
        let rest = &self.text[self.at..];
        let end = rest.find('\n')?;
        self.at += end + 1;
        Some(&rest[..end])
    }

    /// The error for the line that was read last.
    fn error(&self, expected: &'static str) -> LockError {
        let found = self
            .text
            .lines()
            .nth(self.number - 1)
            .unwrap_or_default()
            .to_owned();
        LockError::Line {
            line: self.number,
            found,
            expected,
        }
    }

    fn finish(&self, lock: Lock, found: &str, summed: &str) -> Result<Lock, LockError> {
        let expected = format!("{:016x}", checksum(summed));
        if found != expected {
            let found = found.to_owned();
            return Err(LockError::Checksum {
                line: self.number,
                found,
                expected,
            });
        }
        if self.at < self.text.len() {
            return Err(LockError::Trailing {
                line: self.number + 1,
            });
        }
        Ok(lock)
    }
}

fn parse_hex(text: &str) -> Option<u64> {
    let value = u64::from_str_radix(text, 16).ok()?;
    (format!("{value:016x}") == text).then_some(value)
}

/// A name and a network, written as [`Lock::to_text`] writes them.
fn parse_entry(line: &str) -> Option<(&str, Net)> {
    let (id, net) = line.split_once(' ')?;
    let known = id
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/".contains(&b));
    let parsed: Net = net.parse().ok()?;
    (known && !id.is_empty() && parsed.to_string() == net).then_some((id, parsed))
}
