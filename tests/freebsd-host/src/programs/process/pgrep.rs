//! pgrep(1) and pkill(1).

use super::table::{self, Process};
use crate::{
    programs::{fail, getopt::Options, print, strerror},
    world::World,
};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::{Pid, getpid},
};
use std::{fs, process::ExitCode};

const USAGE: &str = "usage: NAME OPTIONS[-F pidfile] [-G gid] [-M core] [-N system]";

/// Prints the numbers of processes.
pub(crate) fn pgrep(_: &World, words: &[String]) -> ExitCode {
    let found = match Wanted::read("pgrep", words, "F:LP:fnoqxl")
        .and_then(|wanted| Ok((wanted.find()?, wanted)))
    {
        Ok((found, wanted)) if wanted.options.has('q') || found.is_empty() => {
            return ExitCode::from(u8::from(found.is_empty()));
        }
        Ok((found, wanted)) => (found, wanted),
        Err((status, text)) => return fail(status, text),
    };
    let (found, wanted) = found;
    for process in found {
        let line = if wanted.options.has('l') {
            format!(
                "{} {}\n",
                process.pid,
                if wanted.options.has('f') {
                    process.arguments.join(" ")
                } else {
                    process.name
                }
            )
        } else {
            format!("{}\n", process.pid)
        };
        print(line);
    }
    ExitCode::SUCCESS
}

/// Sends processes a signal.
pub(crate) fn pkill(_: &World, words: &[String]) -> ExitCode {
    let mut signal = Signal::SIGTERM;
    let mut rest = words;
    if let Some((first, others)) = words.split_first()
        && let Some(named) = first.strip_prefix('-').and_then(signal_of)
    {
        (signal, rest) = (named, others);
    }
    let found = Wanted::read("pkill", rest, "F:LP:fnoqx").and_then(|wanted| wanted.find());
    match found {
        Err((status, text)) => fail(status, text),
        Ok(found) => {
            let mut signalled = false;
            for process in found {
                match kill(Pid::from_raw(process.pid), signal) {
                    Ok(()) => signalled = true,
                    Err(error) => drop(fail(
                        3,
                        format!("pkill: signalling pid {}: {}", process.pid, error.desc()),
                    )),
                }
            }
            ExitCode::from(u8::from(!signalled))
        }
    }
}

/// `TERM`, `SIGTERM` or `15`.
fn signal_of(text: &str) -> Option<Signal> {
    if let Ok(number) = text.parse::<i32>() {
        return Signal::try_from(number).ok();
    }
    let name = if text.starts_with("SIG") {
        text.to_owned()
    } else {
        format!("SIG{text}")
    };
    name.parse().ok()
}

/// What is looked for.
struct Wanted {
    program: &'static str,
    options: Options,
}

type Refused = (u8, String);

impl Wanted {
    fn read(program: &'static str, words: &[String], known: &str) -> Result<Self, Refused> {
        let usage = USAGE.replace("NAME", program).replace(
            "OPTIONS",
            if program == "pkill" {
                "[-signal] [-fILnovx] "
            } else {
                "[-LafilnoqvSx] [-d delim] "
            },
        );
        let options = Options::parse(words, known)
            .map_err(|problem| (2, format!("{program}: {problem}\n{usage}")))?;
        if options.operands.is_empty()
            && options.value('F').is_none()
            && options.value('P').is_none()
        {
            return Err((2, usage));
        }
        if options.has('L') && options.value('F').is_none() {
            return Err((
                3,
                format!("{program}: Option -L doesn't make sense without -F"),
            ));
        }
        // Patterns are extended regular expressions; here only those that mean themselves.
        if let Some(odd) = options
            .operands
            .iter()
            .find(|pattern| pattern.contains(|c| r".*+?()[]{}|^$\".contains(c)))
        {
            return Err((
                2,
                format!("{program}: the stand-in reads no regular expressions: {odd}"),
            ));
        }
        Ok(Self { program, options })
    }

    fn find(&self) -> Result<Vec<Process>, Refused> {
        let only = self
            .options
            .value('F')
            .map(|file| self.pid_file(file))
            .transpose()?;
        let parent = match self.options.value('P').map(str::parse::<i32>) {
            None => None,
            Some(Ok(pid)) => Some(pid),
            Some(Err(_)) => return Err((2, format!("{}: invalid pid", self.program))),
        };
        let ours = getpid().as_raw();
        let all = table::all().map_err(|error| (3, format!("{}: {error}", self.program)))?;
        let mut found: Vec<Process> = all
            .into_iter()
            .filter(|process| !process.is_zombie() && process.pid != ours)
            .filter(|process| only.is_none_or(|pid| pid == process.pid))
            .filter(|process| parent.is_none_or(|pid| pid == process.parent))
            .filter(|process| self.matches(process))
            .collect();
        found.sort_by_key(|process| std::cmp::Reverse(process.age));
        if self.options.has('n') {
            found.drain(..found.len().saturating_sub(1));
        }
        if self.options.has('o') {
            found.truncate(1);
        }
        Ok(found)
    }

    fn matches(&self, process: &Process) -> bool {
        if self.options.operands.is_empty() {
            return true;
        }
        let text = if self.options.has('f') {
            process.arguments.join(" ")
        } else {
            process.name.clone()
        };
        self.options.operands.iter().any(|pattern| {
            if self.options.has('x') {
                text == *pattern
            } else {
                text.contains(pattern.as_str())
            }
        })
    }

    /// The number in a file; with -L only while its writer still holds the lock on it.
    fn pid_file(&self, path: &str) -> Result<i32, Refused> {
        let refused = |text: String| (3, format!("{}: {text}", self.program));
        let text = fs::read_to_string(path).map_err(|error| {
            refused(format!(
                "Cannot open pidfile `{path}': {}",
                strerror(&error)
            ))
        })?;
        if self.options.has('L') {
            let file = fs::File::open(path).map_err(|error| refused(strerror(&error)))?;
            if Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok() {
                return Err(refused(format!(
                    "File '{path}' can be locked; seems like process isn't running"
                )));
            }
        }
        let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
        pid.ok_or_else(|| refused(format!("File '{path}' is not a valid pid file")))
    }
}
