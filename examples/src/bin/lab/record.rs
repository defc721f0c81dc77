//! The events of all runs, kept in the lab's directory.

use cluster_lab::StateDir;
use host_exec::Event;
use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Appends events to the lab's `events.jsonl`, as soon as there is a lab.
///
/// The file is for people who look for what happened: where it cannot be written, the work goes on without it.
pub(crate) struct Recorder {
    state: StateDir,
    waiting: Vec<String>,
    file: Option<File>,
    broken: bool,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'e> {
    time: String,
    #[serde(flatten)]
    event: &'e Event,
}

impl Recorder {
    pub(crate) fn new(state: StateDir) -> Self {
        Self {
            state,
            waiting: Vec::new(),
            file: None,
            broken: false,
        }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        if self.broken {
            return;
        }
        let time = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        let Ok(line) = serde_json::to_string(&Line { time, event }) else {
            return;
        };
        self.waiting.push(line + "\n");
        self.broken = self.write().is_err();
    }

    fn write(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            // Before the record is there the directory may be somebody else's, or not there at all.
            if !matches!(self.state.record(), Ok(Some(_))) {
                return Ok(());
            }
            let mut options = OpenOptions::new();
            let options = options.create(true).append(true).mode(0o600);
            self.file = Some(options.open(self.state.events())?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(self.waiting.concat().as_bytes())?;
            self.waiting.clear();
        }
        Ok(())
    }
}
