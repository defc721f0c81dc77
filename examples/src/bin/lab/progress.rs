//! Showing events while they happen: spinners on a terminal, lines elsewhere, JSON for programs.

use crate::{
    args::Format,
    record::Recorder,
    screen,
    timings::{Stopwatch, Timing},
};
use cluster_lab::StateDir;
use host_exec::{Event, EventSink, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a step that goes on may say so in a line of its own.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A step of a machine.
type Key = (String, String);

/// Shows, times and records every event.
pub(crate) struct Reporter {
    began: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    display: Display,
    recorder: Recorder,
    stopwatch: Stopwatch,
    verbose: bool,
}

enum Display {
    Spinners {
        all: MultiProgress,
        running: BTreeMap<Key, ProgressBar>,
    },
    Lines {
        last: BTreeMap<Key, Duration>,
    },
    Json,
}

/// A line of `--output json`.
#[derive(Serialize)]
struct JsonLine<'e> {
    /// Seconds since the program began.
    at_s: f64,
    #[serde(flatten)]
    event: &'e Event,
}

impl Reporter {
    /// Begins to count the time.
    pub(crate) fn new(output: Format, verbose: bool, state: StateDir) -> Self {
        let display = match output {
            Format::Json => Display::Json,
            Format::Text if io::stderr().is_terminal() => Display::Spinners {
                all: MultiProgress::new(),
                running: BTreeMap::new(),
            },
            Format::Text => Display::Lines {
                last: BTreeMap::new(),
            },
        };
        let inner = Inner {
            display,
            recorder: Recorder::new(state),
            stopwatch: Stopwatch::default(),
            verbose,
        };
        Self {
            began: Instant::now(),
            inner: Mutex::new(inner),
        }
    }

    /// The time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes the spinners away, and returns the steps with their times.
    pub(crate) fn finish(&self) -> Vec<Timing> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Display::Spinners { all, running } = &mut inner.display {
            running.clear();
            // A terminal that has gone away needs no cleaning.
            let _ = all.clear();
        }
        inner.stopwatch.timings()
    }
}

impl EventSink for Reporter {
    fn emit(&self, event: Event) {
        let at = self.began.elapsed();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.stopwatch.take(at, &event);
        inner.recorder.take(&event);
        let verbose = inner.verbose;
        inner.display.show(at, &event, verbose);
    }
}

impl Display {
    fn show(&mut self, at: Duration, event: &Event, verbose: bool) {
        let key = (event.machine.clone(), event.step.clone());
        match self {
            Self::Json => {
                let line = JsonLine {
                    at_s: at.as_secs_f64(),
                    event,
                };
                // A reader that has gone away must not stop the work.
                let _ = screen::print_json(&line);
            }
            Self::Lines { last } => {
                let (quiet, text) = match &event.progress {
                    Progress::Started => (!verbose, "begins"),
                    Progress::Running(text) => {
                        let due = last.get(&key).is_none_or(|last| at >= *last + LINE_EVERY);
                        (!(verbose || due), text.as_str())
                    }
                    Progress::Done(text) => (false, text.as_str()),
                    Progress::Failed(text) => (false, text.as_str()),
                };
                // A step that just began need not say yet that it goes on.
                if !quiet || event.progress == Progress::Started {
                    last.insert(key, at);
                }
                if !quiet {
                    screen::tell(&format!("{}\n", line(at, event, text)));
                }
            }
            Self::Spinners { all, running } => spin(all, running, key, at, event),
        }
    }
}

fn spin(
    all: &MultiProgress,
    running: &mut BTreeMap<Key, ProgressBar>,
    key: Key,
    at: Duration,
    event: &Event,
) {
    match &event.progress {
        Progress::Started | Progress::Running(_) => {
            let bar = running
                .entry(key)
                .or_insert_with(|| all.add(spinner(event)));
            if let Progress::Running(text) = &event.progress {
                bar.set_message(one_line(text));
            }
        }
        Progress::Done(text) | Progress::Failed(text) => {
            if let Some(bar) = running.remove(&key) {
                bar.finish_and_clear();
                all.remove(&bar);
            }
            all.suspend(|| screen::tell(&format!("{}\n", line(at, event, text))));
        }
    }
}

fn spinner(event: &Event) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {prefix} {wide_msg}");
    let bar = ProgressBar::new_spinner();
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_prefix(format!("{}: {}", machine(event), event.step));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn line(at: Duration, event: &Event, text: &str) -> String {
    let failed = match event.progress {
        Progress::Failed(_) => "failed",
        _ => "",
    };
    let text = one_line(text);
    let words = [machine(event), &event.step, failed, &text];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("[{:5.1} s] {}", at.as_secs_f64(), words.join(": "))
}

fn machine(event: &Event) -> &str {
    match event.machine.as_str() {
        "" => "lab",
        name => name,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_time_machine_step_and_result() {
        let done = |machine: &str| Event::new(machine, "boot", Progress::Done("is\nup".into()));
        let at = Duration::from_millis(3_240);
        assert_eq!(
            line(at, &done("cp-0"), "is\nup"),
            "[  3.2 s] cp-0: boot: is up"
        );
        assert_eq!(line(at, &done(""), ""), "[  3.2 s] lab: boot");
        let failed = Event::new("cp-0", "boot", Progress::Failed("no".into()));
        assert_eq!(line(at, &failed, "no"), "[  3.2 s] cp-0: boot: failed: no");
    }
}
