//! How long each step took, from the events.

use host_exec::{Event, Progress};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// One step and its time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Timing {
    /// Empty for the lab as a whole.
    pub(crate) machine: String,
    pub(crate) step: String,
    /// Seconds from the beginning of the run.
    pub(crate) start_s: f64,
    /// Seconds; for a step that did not end, up to its last event.
    pub(crate) seconds: f64,
}

#[cfg(test)]
impl Timing {
    pub(crate) fn new(machine: &str, step: &str, start_s: f64, seconds: f64) -> Self {
        Self {
            machine: machine.to_owned(),
            step: step.to_owned(),
            start_s,
            seconds,
        }
    }
}

/// Collects the first and the last event of each step.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    running: BTreeMap<(String, String), (Duration, Duration)>,
    over: Vec<Timing>,
}

impl Stopwatch {
    /// Takes an event that happened `at` this time of the run.
    pub(crate) fn take(&mut self, at: Duration, event: &Event) {
        let key = (event.machine.clone(), event.step.clone());
        match event.progress {
            Progress::Started | Progress::Running(_) => {
                self.running
                    .entry(key)
                    .and_modify(|times| times.1 = at)
                    .or_insert((at, at));
            }
            Progress::Done(_) | Progress::Failed(_) => {
                let (start, _) = self.running.remove(&key).unwrap_or((at, at));
                self.over.push(timing(&key, start, at));
            }
        }
    }

    /// All steps, in the order in which they began.
    pub(crate) fn timings(&self) -> Vec<Timing> {
        let running = self
            .running
            .iter()
            .map(|(key, &(start, last))| timing(key, start, last));
        let mut all: Vec<Timing> = self.over.iter().cloned().chain(running).collect();
        all.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        all
    }
}

fn timing((machine, step): &(String, String), start: Duration, end: Duration) -> Timing {
    Timing {
        machine: machine.clone(),
        step: step.clone(),
        start_s: start.as_secs_f64(),
        seconds: end.saturating_sub(start).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_sorted_by_their_start_and_last_until_they_are_done() {
        let mut stopwatch = Stopwatch::default();
        let mut take = |ms, machine: &str, progress| {
            stopwatch.take(
                Duration::from_millis(ms),
                &Event::new(machine, "boot", progress),
            );
        };
        take(500, "b", Progress::Started);
        take(250, "a", Progress::Started);
        take(750, "a", Progress::Running("on it".into()));
        take(1000, "b", Progress::Done(String::new()));
        let seen: Vec<_> = stopwatch
            .timings()
            .into_iter()
            .map(|timing| (timing.machine, timing.start_s, timing.seconds))
            .collect();
        assert_eq!(seen, [("a".into(), 0.25, 0.5), ("b".into(), 0.5, 0.5)]);
    }
}
