//! What a running plan tells its caller: data, of which a display, a log and a timing report are views.

use serde::{Deserialize, Serialize};

/// What happened to a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// The step begins.
    Started,
    /// It goes on; the text says where it stands or what it waits for.
    Running(String),
    /// It is done; the text says what was found or changed.
    Done(String),
    /// It failed, with the message of the error.
    Failed(String),
}

/// One message about one step on one machine. The receiver adds the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The machine concerned; empty for the lab as a whole.
    pub machine: String,
    /// The step, in the words of the plan, such as `etcd: start`.
    pub step: String,
    /// What happened.
    pub progress: Progress,
}

/// Where events go. Called from several tasks at once; must not block for long.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);

    /// A step begins.
    fn started(&self, machine: &str, step: &str) {
        self.emit(Event::new(machine, step, Progress::Started));
    }

    /// A step goes on: where it stands, or what it waits for.
    fn running(&self, machine: &str, step: &str, what: &str) {
        self.emit(Event::new(
            machine,
            step,
            Progress::Running(what.to_owned()),
        ));
    }

    /// A step is done.
    fn done(&self, machine: &str, step: &str, what: &str) {
        self.emit(Event::new(machine, step, Progress::Done(what.to_owned())));
    }

    /// A step could not be done, and why.
    fn failed(&self, machine: &str, step: &str, why: &str) {
        self.emit(Event::new(machine, step, Progress::Failed(why.to_owned())));
    }
}

impl Event {
    /// An event of `machine` about `step`.
    pub fn new(machine: impl Into<String>, step: impl Into<String>, progress: Progress) -> Self {
        Self {
            machine: machine.into(),
            step: step.into(),
            progress,
        }
    }
}

/// Drops every event.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl EventSink for Silent {
    fn emit(&self, _: Event) {}
}
