//! A program that runs: its lines as they come, signals, its end.

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long any run may take. One that takes longer hangs: on a busy machine the rotation of etcd's authority took 211 s, and
/// that of the one which everything trusts more than 300.
const LIMIT: Duration = Duration::from_secs(900);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit status; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What came next.
pub(crate) enum Next {
    Line(String),
    Silence,
    End,
}

/// A program that runs, in a process group of its own, as a shell would start it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    err: Option<JoinHandle<String>>,
    out: String,
    deadline: Instant,
    words: String,
}

impl Running {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let words = format!("{command:?}");
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let err = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = err.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self {
            child,
            lines,
            err: Some(err),
            out: String::new(),
            deadline: Instant::now() + LIMIT,
            words,
        }
    }

    /// Its next line on standard output, awaited for `limit` at most.
    #[track_caller]
    pub(crate) fn next(&mut self, limit: Duration) -> Next {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(limit.min(left)) {
            Ok(line) => {
                self.out.push_str(&line);
                self.out.push('\n');
                Next::Line(line)
            }
            Err(RecvTimeoutError::Disconnected) => Next::End,
            Err(RecvTimeoutError::Timeout) if limit < left => Next::Silence,
            Err(RecvTimeoutError::Timeout) => {
                self.signal(Signal::SIGKILL);
                panic!("{} hangs after\n{}", self.words, self.out);
            }
        }
    }

    /// Its next line that `chosen` likes; `None` if it ends before.
    #[track_caller]
    pub(crate) fn line(&mut self, mut chosen: impl FnMut(&str) -> bool) -> Option<String> {
        loop {
            match self.next(LIMIT) {
                Next::Line(line) if chosen(&line) => return Some(line),
                Next::End => return None,
                Next::Line(_) | Next::Silence => {}
            }
        }
    }

    /// As [`Running::line`], for programs whose lines are events.
    #[track_caller]
    pub(crate) fn event(&mut self, mut chosen: impl FnMut(&Event) -> bool) -> Option<Event> {
        let mut found = None;
        self.line(|line| {
            found = Event::read(line).filter(|event| chosen(event));
            found.is_some()
        })?;
        found
    }

    /// Its process number, which is also that of its group.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Sends a signal to the program alone, as kill(1) does.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended meanwhile.
        let _ = kill(self.pid(), signal);
    }

    /// Sends a signal to the program and all that it started, as a terminal does.
    pub(crate) fn signal_all(&self, signal: Signal) {
        let _ = killpg(self.pid(), signal);
    }

    /// Kills it as `kill -9` does, and waits for its end.
    #[track_caller]
    pub(crate) fn kill(self) -> Done {
        self.signal(Signal::SIGKILL);
        self.end()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Done {
        while !matches!(self.next(LIMIT), Next::End) {}
        let status = self.child.wait().unwrap();
        Done {
            code: status.code(),
            signal: status.signal(),
            out: std::mem::take(&mut self.out),
            err: self.err.take().unwrap().join().unwrap(),
        }
    }
}

impl Done {
    /// The object that is its whole output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.out) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }
}

/// An event of `lab up --output json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) machine: String,
    pub(crate) step: String,
    /// `started`, `running`, `done` or `failed`.
    pub(crate) progress: String,
}

impl Event {
    /// The event of a line; `None` for the result.
    #[track_caller]
    pub(crate) fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).unwrap();
        if value.get("result").is_some() {
            return None;
        }
        assert!(value["at_s"].is_f64(), "{line}");
        let progress = match &value["progress"] {
            Value::String(word) => word.clone(),
            Value::Object(one) => one.keys().next().unwrap().clone(),
            _ => panic!("{line}"),
        };
        Some(Self {
            machine: value["machine"].as_str().unwrap().to_owned(),
            step: value["step"].as_str().unwrap().to_owned(),
            progress,
        })
    }

    pub(crate) fn is(&self, step: &str, progress: &str) -> bool {
        self.step == step && self.progress == progress
    }
}
