//! The lock as a text.

use std::fmt::{self, Write as _};

use crate::addresses::Nets;
use crate::decimal::decimal;
use crate::hash::checksum;
use crate::lock::{HostNumbers, Lock, LockError, LockedClass, Named};
use crate::names::{ClassName, LabName};
use crate::net::Net;
use crate::requirement::Role;

pub(super) const HEADER: &str = "netplan lock, version 2";
const END: &str = "end";
/// How git marks what it could not merge, with and without the base (git-merge-file(1)).
const CONFLICT_MARKS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

impl Lock {
    /// The text, with a newline at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = Lines::default();
        lines.add(format_args!("lab {}", self.lab()));
        lines.add(format_args!("seed {:016x}", self.seed()));
        for (id, net) in self.nets() {
            lines.add(format_args!("{id} {net}"));
        }
        for (id, net) in self.gone() {
            lines.add(format_args!("gone/{id} {net}"));
        }
        for (name, LockedClass { role, band }) in self.classes() {
            let HostNumbers { first, room } = band;
            lines.add(format_args!("class/{name} {role} {first}+{room}"));
        }
        lines.sorted()
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

/// The lines between the first and the last, in one text: a lock may have a million of them.
#[derive(Default)]
struct Lines {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Lines {
    /// Adds a line, with its checksum.
    fn add(&mut self, line: fmt::Arguments<'_>) {
        let start = self.text.len();
        // Writing to a String cannot fail.
        let _infallible = self.text.write_fmt(line);
        let sum = sum_of(&self.text[start..]);
        let _infallible = writeln!(self.text, " #{sum:08x}");
        self.ends.push(self.text.len());
    }

    /// The whole text.
    fn sorted(self) -> String {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let lines = starts.zip(&self.ends);
        let mut lines: Vec<&str> = lines.map(|(from, to)| &self.text[from..*to]).collect();
        // Not `sort_unstable`: this one finds the runs that are in order already.
        lines.sort();
        let mut text = String::with_capacity(self.text.len() + HEADER.len() + END.len() + 2);
        text.extend([HEADER, "\n"]);
        text.extend(lines);
        text.extend([END, "\n"]);
        text
    }
}

fn sum_of(line: &str) -> u64 {
    checksum(line) >> 32
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
    match line.rsplit_once(" #") {
        Some((body, found)) if parse_hex(found, 8) == Some(sum_of(body)) => Ok(body),
        split => Err(unchecked(number, line, split)),
    }
}

/// Why a line is not one with its checksum.
#[cold]
fn unchecked(number: usize, line: &str, split: Option<(&str, &str)>) -> LockError {
    if CONFLICT_MARKS.iter().any(|mark| line.starts_with(mark)) {
        let found = line.to_owned();
        return LockError::Conflict {
            line: number,
            found,
        };
    }
    match split {
        None => unreadable(
            number,
            line,
            "a name, a value, and # with eight hexadecimal digits",
        ),
        Some((body, found)) => LockError::Checksum {
            line: number,
            found: found.to_owned(),
            expected: format!("{:08x}", sum_of(body)),
        },
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader<'t> {
    lab: Option<LabName>,
    seed: Option<u64>,
    nets: Vec<NetLine<'t>>,
    gone: Vec<NetLine<'t>>,
    classes: Vec<(usize, &'t str, LockedClass)>,
}

/// A line about an allocation.
#[derive(Clone, Copy)]
struct NetLine<'t> {
    number: usize,
    /// The name, without the `gone/`.
    id: &'t str,
    net: Net,
}

impl<'t> Reader<'t> {
    fn read(&mut self, number: usize, line: &'t str) -> Result<(), LockError> {
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
                let seed = parse_hex(value, 16)
                    .ok_or_else(|| wrong("`seed` and 16 hexadecimal digits"))?;
                once(&mut self.seed, seed, number, key)
            }
            _ => match key.strip_prefix("class/") {
                Some(name) => {
                    let class = parse_class(name, value)
                        .ok_or_else(|| wrong("`class/NAME ROLE FIRST+ROOM`"))?;
                    self.classes.push((number, name, class));
                    Ok(())
                }
                None => {
                    let net = parse_net(key, value).ok_or_else(|| wrong("a name and a network"))?;
                    let (lines, id) = match key.strip_prefix("gone/") {
                        Some(id) => (&mut self.gone, id),
                        None => (&mut self.nets, key),
                    };
                    lines.push(NetLine { number, id, net });
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
            if lock.class(name).is_some() {
                let id = format!("class/{name}");
                return Err(LockError::Twice { line, id });
            }
            lock.insert_class(name.to_owned(), class);
        }
        lock.nets = named(&self.nets, "")?;
        lock.gone = named(&self.gone, "gone/")?;
        for gone in &self.gone {
            // Gone and still asked for at the same time is a contradiction too.
            if lock.net(gone.id, gone.net.family()).is_some() {
                return Err(contradiction(&self.nets, *gone));
            }
        }
        Ok(lock)
    }
}

/// The second of the two lines about what is gone and still asked for.
#[cold]
fn contradiction(asked: &[NetLine<'_>], gone: NetLine<'_>) -> LockError {
    let same = |line: &&NetLine<'_>| line.id == gone.id && line.net.family() == gone.net.family();
    let asked = asked.iter().find(same);
    match asked.filter(|asked| asked.number > gone.number) {
        Some(asked) => asked.twice(""),
        None => gone.twice("gone/"),
    }
}

impl NetLine<'_> {
    fn twice(&self, prefix: &str) -> LockError {
        LockError::Twice {
            line: self.number,
            id: format!("{prefix}{} in {}", self.id, self.net.family()),
        }
    }
}

/// The allocations of these lines, by name. The lines are sorted, so those about one name are
/// neighbours: a name ends in a space, which sorts before all that a name may have.
fn named(lines: &[NetLine<'_>], prefix: &str) -> Result<Named, LockError> {
    let mut named: Vec<(String, Nets)> = Vec::new();
    for line in lines {
        let known = named.last_mut().filter(|(id, _)| id == line.id);
        match known {
            Some((_, nets)) if nets.of(line.net.family()).is_some() => {
                return Err(line.twice(prefix));
            }
            Some((_, nets)) => nets.insert(line.net),
            None => {
                let mut nets = Nets::default();
                nets.insert(line.net);
                named.push((line.id.to_owned(), nets));
            }
        }
    }
    Ok(named.into_iter().collect())
}

fn once<T>(slot: &mut Option<T>, value: T, line: usize, key: &str) -> Result<(), LockError> {
    if slot.is_some() {
        let id = key.to_owned();
        return Err(LockError::Twice { line, id });
    }
    *slot = Some(value);
    Ok(())
}

/// This many hexadecimal digits, written as [`Lock::to_text`] writes them.
fn parse_hex(text: &str, digits: usize) -> Option<u64> {
    let plain = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let value = u64::from_str_radix(text, 16).ok()?;
    (plain && text.len() == digits).then_some(value)
}

fn parse_class(name: &str, value: &str) -> Option<LockedClass> {
    ClassName::new(name).ok()?;
    let (role, band) = value.split_once(' ')?;
    let role = Role::from_word(role)?;
    let (first, room) = band.split_once('+')?;
    let band = HostNumbers {
        first: decimal(first)?,
        room: decimal(room)?,
    };
    Some(LockedClass { role, band })
}

/// A name and a network, written as [`Lock::to_text`] writes them.
fn parse_net(id: &str, net: &str) -> Option<Net> {
    let known = id
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/".contains(&b));
    let parsed: Net = net.parse().ok()?;
    (known && !id.is_empty() && is_written(parsed, net)).then_some(parsed)
}

/// Whether this is how the network is written; without a text for each of a million lines.
fn is_written(net: Net, text: &str) -> bool {
    let mut rest = Rest(text);
    write!(rest, "{net}").is_ok() && rest.0.is_empty()
}

/// What is left of a text; what is written to it has to be how it begins.
struct Rest<'t>(&'t str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
        Ok(())
    }
}
