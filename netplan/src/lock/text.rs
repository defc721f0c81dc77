//! The lock as a text.

use std::fmt::Write as _;

use thiserror::Error;

use crate::hash::checksum;
use crate::lock::{HostNumbers, Lock, LockedClass};
use crate::names::{ClassName, LabName};
use crate::net::Net;
use crate::requirement::Role;

const HEADER: &str = "netplan lock, version 2";
const END: &str = "end";
/// How git marks what it could not merge, with and without the base (git-merge-file(1)).
const CONFLICT_MARKS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// Why a text is not a lock; `line` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LockError {
    /// The first line is not one of this version.
    #[error(
        "line 1 of the network lock is {found:?} instead of {HEADER:?}: it was not written by this version; restore the lock, or take the lab down and remove it"
    )]
    Version {
        /// The first line.
        found: String,
    },
    /// A merge that is not finished.
    #[error(
        "line {line} of the network lock is {found:?}, a mark of a merge conflict: remove the marks, keep one line about each thing, and sort them (LC_ALL=C sort)"
    )]
    Conflict {
        /// Its number.
        line: usize,
        /// The line.
        found: String,
    },
    /// A line that is not what belongs there.
    #[error("line {line} of the network lock is {found:?}: expected {expected}; restore the line")]
    Line {
        /// Its number.
        line: usize,
        /// The line.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// Lines out of order, or twice the same.
    #[error(
        "line {line} of the network lock does not sort behind the line before it: sort the lines between the first and the last (LC_ALL=C sort -u)"
    )]
    Order {
        /// The number of the second line.
        line: usize,
    },
    /// Two lines about one thing, as after a merge.
    #[error("line {line} of the network lock is the second about {id}: keep one of the two")]
    Twice {
        /// The number of the second line.
        line: usize,
        /// What both are about.
        id: String,
    },
    /// A line was changed without its checksum.
    #[error(
        "line {line} of the network lock ends in #{found}, its text has #{expected}: restore the line, or write the latter if the edit was meant"
    )]
    Checksum {
        /// The number of the line.
        line: usize,
        /// The checksum as written.
        found: String,
        /// The checksum of the text.
        expected: String,
    },
    /// A line that every lock has is not there.
    #[error("the network lock has no line `{missing}`: it is not whole, restore it")]
    Missing {
        /// How that line begins.
        missing: &'static str,
    },
    /// Something follows the end.
    #[error(
        "line {line} of the network lock follows its line `end`: remove it, or the `end` before it"
    )]
    Trailing {
        /// The number of the line.
        line: usize,
    },
}

impl Lock {
    /// The text, with a newline at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![
            format!("lab {}", self.lab()),
            format!("seed {:016x}", self.seed()),
        ];
        lines.extend(self.nets().map(|(id, net)| format!("{id} {net}")));
        lines.extend(self.gone().map(|(id, net)| format!("gone/{id} {net}")));
        lines.extend(self.classes().map(|(name, LockedClass { role, band })| {
            format!("class/{name} {role} {}+{}", band.first, band.room)
        }));
        for line in &mut lines {
            let sum = sum_of(line);
            // Writing to a String cannot fail.
            let _infallible = write!(line, " #{sum}");
        }
        lines.sort_unstable();
        let mut text = format!("{HEADER}\n");
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// Reads what [`Lock::to_text`] wrote; that and nothing else, so that both are inverse.
    ///
    /// # Errors
    /// Names the line: another version, a line that cannot be read, lines out of order, a
    /// checksum that does not fit, two lines about one thing, no end. Whether the allocations
    /// make sense together is for [`plan`](crate::plan) to say.
    pub fn from_text(text: &str) -> Result<Self, LockError> {
        let mut reader = Reader::default();
        let mut last = "";
        let mut ended = false;
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let number = at + 1;
            let whole = line.strip_suffix('\n');
            match (at, whole) {
                (0, Some(HEADER)) => continue,
                (0, _) => {
                    let found = line.trim_end().to_owned();
                    return Err(LockError::Version { found });
                }
                _ if ended => return Err(LockError::Trailing { line: number }),
                (_, Some(END)) => ended = true,
                (_, Some(whole)) => {
                    reader.read(number, whole)?;
                    if whole <= last {
                        return Err(LockError::Order { line: number });
                    }
                    last = whole;
                }
                (_, None) => return Err(unreadable(number, line, "a newline at the end")),
            }
        }
        if text.is_empty() {
            let found = String::new();
            return Err(LockError::Version { found });
        }
        if !ended {
            return Err(LockError::Missing { missing: END });
        }
        reader.finish()
    }
}

fn sum_of(line: &str) -> String {
    format!("{:08x}", checksum(line) >> 32)
}

fn unreadable(line: usize, found: &str, expected: &'static str) -> LockError {
    LockError::Line {
        line,
        found: found.to_owned(),
        expected,
    }
}

/// A line without its checksum, which is right.
fn checked(number: usize, line: &str) -> Result<&str, LockError> {
    if CONFLICT_MARKS.iter().any(|mark| line.starts_with(mark)) {
        let found = line.to_owned();
        return Err(LockError::Conflict {
            line: number,
            found,
        });
    }
    let (body, found) = line.rsplit_once(" #").ok_or_else(|| {
        unreadable(
            number,
            line,
            "a name, a value, and # with eight hexadecimal digits",
        )
    })?;
    let expected = sum_of(body);
    if found != expected {
        return Err(LockError::Checksum {
            line: number,
            found: found.to_owned(),
            expected,
        });
    }
    Ok(body)
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    lab: Option<LabName>,
    seed: Option<u64>,
    nets: Vec<(usize, String, Net)>,
    classes: Vec<(usize, String, LockedClass)>,
}

impl Reader {
    fn read(&mut self, number: usize, line: &str) -> Result<(), LockError> {
        let body = checked(number, line)?;
        let wrong = |expected| unreadable(number, line, expected);
        let (key, value) = body
            .split_once(' ')
            .ok_or_else(|| wrong("a name and a value"))?;
        match key {
            "lab" => {
                let lab = LabName::new(value).map_err(|_| wrong("`lab NAME`"))?;
                once(&mut self.lab, lab, number, key)
            }
            "seed" => {
                let seed =
                    parse_hex(value).ok_or_else(|| wrong("`seed` and 16 hexadecimal digits"))?;
                once(&mut self.seed, seed, number, key)
            }
            _ => match key.strip_prefix("class/") {
                Some(name) => {
                    let class = parse_class(name, value)
                        .ok_or_else(|| wrong("`class/NAME ROLE FIRST+ROOM`"))?;
                    self.classes.push((number, name.to_owned(), class));
                    Ok(())
                }
                None => {
                    let net = parse_net(key, value).ok_or_else(|| wrong("a name and a network"))?;
                    self.nets.push((number, key.to_owned(), net));
                    Ok(())
                }
            },
        }
    }

    fn finish(self) -> Result<Lock, LockError> {
        let lab = self.lab.ok_or(LockError::Missing { missing: "lab" })?;
        let seed = self.seed.ok_or(LockError::Missing { missing: "seed" })?;
        let mut lock = Lock::new(lab, seed);
        for (line, name, class) in self.classes {
            if lock.class(&name).is_some() {
                let id = format!("class/{name}");
                return Err(LockError::Twice { line, id });
            }
            lock.insert_class(name, class);
        }
        for (line, id, net) in self.nets {
            let gone = id.strip_prefix("gone/");
            let known = gone.unwrap_or(&id);
            // Gone and still asked for at the same time is a contradiction too.
            if lock.kept(known, net.family()).is_some() {
                let id = format!("{id} in {}", net.family());
                return Err(LockError::Twice { line, id });
            }
            match gone {
                Some(gone) => lock.insert_gone(gone.to_owned(), net),
                None => lock.insert(id, net),
            }
        }
        Ok(lock)
    }
}

fn once<T>(slot: &mut Option<T>, value: T, line: usize, key: &str) -> Result<(), LockError> {
    if slot.is_some() {
        let id = key.to_owned();
        return Err(LockError::Twice { line, id });
    }
    *slot = Some(value);
    Ok(())
}

fn parse_hex(text: &str) -> Option<u64> {
    let value = u64::from_str_radix(text, 16).ok()?;
    (format!("{value:016x}") == text).then_some(value)
}

fn parse_class(name: &str, value: &str) -> Option<LockedClass> {
    ClassName::new(name).ok()?;
    let (role, band) = value.split_once(' ')?;
    let role = Role::from_word(role)?;
    let (first, room) = band.split_once('+')?;
    let number = |text: &str| {
        let value: u32 = text.parse().ok()?;
        (value.to_string() == text).then_some(value)
    };
    let band = HostNumbers {
        first: number(first)?,
        room: number(room)?,
    };
    Some(LockedClass { role, band })
}

/// A name and a network, written as [`Lock::to_text`] writes them.
fn parse_net(id: &str, net: &str) -> Option<Net> {
    let known = id
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/".contains(&b));
    let parsed: Net = net.parse().ok()?;
    (known && !id.is_empty() && parsed.to_string() == net).then_some(parsed)
}
