//! The log that a supervisor keeps on the host, one line an event.
//!
//! ```text
//! 1764180000 0 supervising pid=812
//! 1764180000 1 starting
//! 1764180000 1 started pid=820
//! 1764183600 1 exited status=0 ran=3600 asked=nothing node=yes said=nothing console=nothing cause=guest-rebooted
//! 1764183600 1 restarting after=0 used=0
//! ```
//!
//! First the time in seconds since 1970, then the number of the run, then what happened.

use crate::{Asked, Ending, ExitCause, exit_cause};
use host_exec::Status;
use std::{collections::BTreeMap, fmt, time::Duration};

/// What happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Seconds since 1970, by the host's clock.
    pub at: u64,
    /// The number of the run of bhyve, from 1; 0 before the first.
    pub boot: u32,
    /// What.
    pub what: EventWord,
}

/// What may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventWord {
    /// A supervisor took charge; this is its process.
    Supervising(u32),
    /// bhyve ran already, as this process, and goes on running.
    Adopted(u32),
    /// A run was begun that is neither running nor has left a status: the host went down under it.
    Lost,
    /// The node of a run that is over still held its memory, and is destroyed.
    LeakedNode,
    /// The node did not vanish after it was destroyed.
    NodeStuck,
    /// bhyve is about to be run.
    Starting,
    /// bhyve runs as this process; 0 if it ended before it could be seen.
    Started(u32),
    /// Somebody asked for something.
    Requested(RequestWord),
    /// A file `request` held something else.
    Refused,
    /// A rung of the escalation was taken.
    Rung(Rung),
    /// bhyve ended.
    Exited(Exited),
    /// It will be run again.
    Restarting {
        /// After this pause, in seconds.
        after_s: u32,
        /// So many restarts of the budget were used before.
        used: u32,
    },
    /// The supervisor is done: the VM is stopped.
    Stopped(String),
    /// The supervisor is done: the VM has failed. The word of an [`ExitCause`], or `will-not-end`.
    Failed(String),
}

/// What can be written into the file `request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestWord {
    /// Shut down, by force in the end.
    Stop,
    /// The same, then run again.
    Reboot,
    /// Power off by force at once.
    Kill,
}

/// The rungs of the escalation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// `SIGTERM`, the power button.
    Acpi,
    /// The power button again.
    AcpiAgain,
    /// `bhyvectl --force-poweroff`.
    ForcePowerOff,
    /// `SIGKILL`.
    Kill,
    /// `bhyvectl --destroy`.
    Destroy,
}

/// The end of a run, as the supervisor saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exited {
    /// bhyve's status, 128 + signal for a signal; none if who waited for it was killed.
    pub status: Option<i32>,
    /// In seconds, by the host's clock.
    pub ran_s: u64,
    /// The last thing that was asked for in this run.
    pub asked: Option<Asked>,
    /// Whether the VM's node was seen.
    pub node: bool,
    /// What kind of words bhyve said.
    pub said: Said,
    /// What kind of words the guest said last.
    pub console: ConsoleWord,
    /// What the supervisor made of it: the word of an [`ExitCause`].
    pub cause: String,
}

/// What bhyve said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nothing of note.
    Nothing,
    /// How to call it.
    Usage,
    /// A complaint under its name.
    Complaint,
}

/// What the guest said at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleWord {
    /// Nothing of note.
    Nothing,
    /// `Kernel panic - not syncing`.
    Panic,
    /// `reboot: Power down`.
    PowerDown,
}

impl Exited {
    /// The cause with its evidence, from the files `stderr` and `console` of that run.
    pub fn cause(&self, stderr: &str, console: &str) -> ExitCause {
        let Some(status) = self.status else {
            return ExitCause::StatusLost;
        };
        exit_cause(&Ending {
            status: Status::Exited(status),
            ran_for: Duration::from_secs(self.ran_s),
            node_existed: self.node,
            asked: self.asked,
            stderr,
            console,
        })
    }
}

/// A log, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventLog {
    /// In the order of the file.
    pub events: Vec<Event>,
    /// Lines that were cut off: the disk was full, or the host went down.
    pub torn: u32,
}

/// A line that no supervisor of ours wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the event log, {text:?}: {cause}")]
pub struct EventError {
    /// From 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong.
    pub cause: String,
}

/// Reads a log: `events`, or `events.1` and `events` joined.
///
/// A last line without an end is still being written, and counts as torn; so does one that a later supervisor
/// marked with `~`.
///
/// # Errors
///
/// The first line that is not one of ours.
pub fn parse_events(text: &str) -> Result<EventLog, EventError> {
    let mut log = EventLog::default();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match line.strip_suffix('\n') {
            Some(whole) if !whole.ends_with('~') => {
                let event = event(whole).map_err(|cause| EventError {
                    line: index + 1,
                    text: whole.to_owned(),
                    cause,
                })?;
                log.events.push(event);
            }
            _ => log.torn += 1,
        }
    }
    Ok(log)
}

fn event(line: &str) -> Result<Event, String> {
    let mut words = line.split(' ');
    let at = number("time", words.next())?;
    let boot = number("run", words.next())?;
    let name = words.next().unwrap_or_default();
    let mut fields = Fields(BTreeMap::new());
    for word in words {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| format!("{word:?} is not KEY=VALUE"))?;
        if fields.0.insert(key, value).is_some() {
            return Err(format!("{key} stands twice"));
        }
    }
    let what = what(name, &mut fields)?;
    match fields.0.keys().next() {
        Some(key) => Err(format!("{name} has no {key}")),
        None => Ok(Event { at, boot, what }),
    }
}

fn what(name: &str, fields: &mut Fields<'_>) -> Result<EventWord, String> {
    Ok(match name {
        "supervising" => EventWord::Supervising(fields.number("pid")?),
        "adopted" => EventWord::Adopted(fields.number("pid")?),
        "lost" => EventWord::Lost,
        "leaked-node" => EventWord::LeakedNode,
        "node-stuck" => EventWord::NodeStuck,
        "starting" => EventWord::Starting,
        "started" => EventWord::Started(fields.number("pid")?),
        "requested" => EventWord::Requested(fields.one_of("what", &REQUESTS)?),
        "refused" => EventWord::Refused,
        "rung" => EventWord::Rung(fields.one_of("what", &RUNGS)?),
        "exited" => EventWord::Exited(exited(fields)?),
        "restarting" => EventWord::Restarting {
            after_s: fields.number("after")?,
            used: fields.number("used")?,
        },
        "stopped" => EventWord::Stopped(fields.cause()?),
        "failed" => EventWord::Failed(fields.cause()?),
        _ => return Err(format!("no event is named {name:?}")),
    })
}

fn exited(fields: &mut Fields<'_>) -> Result<Exited, String> {
    let status = fields.take("status")?;
    Ok(Exited {
        status: match status {
            "lost" => None,
            status => Some(number("status", Some(status))?),
        },
        ran_s: fields.number("ran")?,
        asked: fields.one_of("asked", &ASKED)?,
        node: fields.one_of("node", &[("yes", true), ("no", false)])?,
        said: fields.one_of("said", &SAID)?,
        console: fields.one_of("console", &CONSOLE)?,
        cause: fields.cause()?,
    })
}

const REQUESTS: [(&str, RequestWord); 3] = [
    ("stop", RequestWord::Stop),
    ("reboot", RequestWord::Reboot),
    ("kill", RequestWord::Kill),
];

const RUNGS: [(&str, Rung); 5] = [
    ("acpi", Rung::Acpi),
    ("acpi-again", Rung::AcpiAgain),
    ("force-poweroff", Rung::ForcePowerOff),
    ("kill", Rung::Kill),
    ("destroy", Rung::Destroy),
];

const ASKED: [(&str, Option<Asked>); 5] = [
    ("nothing", None),
    ("power-button", Some(Asked::PowerButton)),
    ("force-power-off", Some(Asked::ForcePowerOff)),
    ("kill", Some(Asked::Kill)),
    ("destroy", Some(Asked::Destroy)),
];

const SAID: [(&str, Said); 3] = [
    ("nothing", Said::Nothing),
    ("usage", Said::Usage),
    ("complaint", Said::Complaint),
];

const CONSOLE: [(&str, ConsoleWord); 3] = [
    ("nothing", ConsoleWord::Nothing),
    ("panic", ConsoleWord::Panic),
    ("power-down", ConsoleWord::PowerDown),
];

struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn take(&mut self, key: &str) -> Result<&'a str, String> {
        self.0
            .remove(key)
            .ok_or_else(|| format!("{key} is missing"))
    }

    fn number<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, String> {
        let value = self.take(key)?;
        number(key, Some(value))
    }

    fn one_of<T: Copy>(&mut self, key: &str, table: &[(&str, T)]) -> Result<T, String> {
        let value = self.take(key)?;
        let found = table.iter().find(|(word, _)| *word == value);
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| format!("{key} cannot be {value:?}"))
    }

    fn cause(&mut self) -> Result<String, String> {
        let value = self.take("cause")?;
        if ExitCause::WORDS.contains(&value) || value == "will-not-end" {
            return Ok(value.to_owned());
        }
        Err(format!("cause cannot be {value:?}"))
    }
}

fn number<T: std::str::FromStr>(what: &str, text: Option<&str>) -> Result<T, String> {
    let text = text.unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("{what} {text:?} is not a number that fits"))
}

fn word<T: PartialEq + Copy>(table: &[(&'static str, T)], meaning: T) -> &'static str {
    let found = table.iter().find(|(_, known)| *known == meaning);
    found.map_or("nothing", |(word, _)| word)
}

impl fmt::Display for RequestWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(&REQUESTS, *self))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.at, self.boot, self.what)
    }
}

impl fmt::Display for EventWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supervising(pid) => write!(f, "supervising pid={pid}"),
            Self::Adopted(pid) => write!(f, "adopted pid={pid}"),
            Self::Lost => f.write_str("lost"),
            Self::LeakedNode => f.write_str("leaked-node"),
            Self::NodeStuck => f.write_str("node-stuck"),
            Self::Starting => f.write_str("starting"),
            Self::Started(pid) => write!(f, "started pid={pid}"),
            Self::Requested(what) => write!(f, "requested what={what}"),
            Self::Refused => f.write_str("refused"),
            Self::Rung(rung) => write!(f, "rung what={}", word(&RUNGS, *rung)),
            Self::Exited(exited) => write!(f, "{exited}"),
            Self::Restarting { after_s, used } => {
                write!(f, "restarting after={after_s} used={used}")
            }
            Self::Stopped(cause) => write!(f, "stopped cause={cause}"),
            Self::Failed(cause) => write!(f, "failed cause={cause}"),
        }
    }
}

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "exited status={status}")?,
            None => f.write_str("exited status=lost")?,
        }
        write!(
            f,
            " ran={} asked={} node={} said={} console={} cause={}",
            self.ran_s,
            word(&ASKED, self.asked),
            if self.node { "yes" } else { "no" },
            word(&SAID, self.said),
            word(&CONSOLE, self.console),
            self.cause
        )
    }
}
