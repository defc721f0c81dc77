//! The processes of the host: those of its own pid namespace that are not plumbing of the stand-ins.

use crate::world;
use std::{fs, io, time::Duration};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// The name of its program's file, at most 15 characters.
    pub(super) name: String,
    /// Its arguments, or the title that it has given itself as the first.
    pub(super) arguments: Vec<String>,
    pub(super) resident_kib: u64,
    /// One letter, as in proc_pid_stat(5).
    pub(super) state: char,
    /// Since it was started.
    pub(super) age: Duration,
}

/// All, by number.
pub(super) fn all() -> io::Result<Vec<Process>> {
    let uptime = fs::read_to_string("/proc/uptime")?;
    let uptime = uptime.split(' ').next().and_then(|text| text.parse().ok());
    let uptime = Duration::from_secs_f64(uptime.unwrap_or(0.0));
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            all.extend(one(pid, uptime));
        }
    }
    all.sort_by_key(|process: &Process| process.pid);
    Ok(all)
}

/// None if it has just ended, or is not seen on FreeBSD.
fn one(pid: i32, uptime: Duration) -> Option<Process> {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).ok();
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
    };
    let parent = field("PPid")?.parse().ok()?;
    let state = field("State")?.chars().next()?;
    let arguments = arguments(&read("cmdline")?);
    // A guest's: the host knows nothing of what runs in its VMs.
    let is_guests = field("NSpid")?.split_whitespace().count() > 1;
    // Of a login whose connection broke: the machine's own init reaps it in its time.
    let is_leftover = state == 'Z' && parent == 0;
    let first = arguments.first();
    let is_plumbing = first.is_some_and(|word| word.contains(world::HERE));
    if is_guests || is_leftover || is_plumbing {
        return None;
    }
    let resident = field("VmRSS").and_then(|text| text.trim().split(' ').next());
    let started = started(&String::from_utf8_lossy(&read("stat")?))?;
    Some(Process {
        pid,
        parent,
        name: field("Name")?.to_owned(),
        arguments,
        resident_kib: resident.and_then(|text| text.parse().ok()).unwrap_or(0),
        state,
        age: uptime.saturating_sub(started),
    })
}

/// Each ends with a NUL.
fn arguments(cmdline: &[u8]) -> Vec<String> {
    let words = cmdline.split(|byte| *byte == 0);
    let words = words.filter(|word| !word.is_empty());
    let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
    words.collect()
}

/// When it was started, since boot: field 22, the 20th behind the name, which may hold anything. It is in ticks of
/// 1/100 s on every architecture (USER_HZ).
fn started(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields.split(' ').nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

impl Process {
    /// Whether it has ended, and only its parent does not know yet.
    pub(super) fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// As ps(1) shows it: a title is followed by the program's name.
    pub(super) fn command(&self) -> String {
        let [first, ..] = &self.arguments[..] else {
            return if self.is_zombie() {
                "<defunct>".to_owned()
            } else {
                format!("[{}]", self.name)
            };
        };
        if is_title(first) {
            return format!("{first} ({})", self.name);
        }
        self.arguments.join(" ")
    }
}

/// setproctitle(3) leaves one text, which begins with the program's name and a colon.
fn is_title(first: &str) -> bool {
    first.contains(": ") && !first.starts_with('/')
}
