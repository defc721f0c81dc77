//! One VM is started, stopped, rebooted or killed: through its supervisor, which answers in its log.

use super::ask::{AskError, Asker, question};
use super::list::look;
use super::model::VmDefinition;
use super::observe::{VmFound, events_of_tail, tail};
use crate::{Contradiction, Event, EventWord, IllegalRequest, Request, RequestWord, VmName};
use host_exec::poll::{Attempt, Wait, WaitError, until};
use host_exec::{EventSink, File, FileError, Host, HostName, Mode, RunError};
use std::time::Duration;

/// For bhyve to have its process and its node; a slow host gets time for its disks.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A VM that did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{host}: cannot {request} {vm}")]
#[non_exhaustive]
pub struct LifeError {
    /// The host.
    pub host: HostName,
    /// The VM.
    pub vm: VmName,
    /// `start`, `stop`, `reboot` or `kill`.
    pub request: &'static str,
    /// Why.
    #[source]
    pub kind: Box<LifeErrorKind>,
}

/// Why a VM did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifeErrorKind {
    /// It cannot do that as it stands.
    #[error(transparent)]
    Illegal(#[from] IllegalRequest),
    /// The host was not asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A command failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The request was not written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The supervisor gave up.
    #[error("its supervisor says {event:?}; bhyve said: {stderr}")]
    Failed {
        /// The last event.
        event: String,
        /// The end of bhyve's own words.
        stderr: String,
    },
    /// The supervisor did not answer in time.
    #[error("no {awaited} within {} s; the last event is {last:?}", .limit.as_secs())]
    Silent {
        /// What was waited for.
        awaited: &'static str,
        /// How long.
        limit: Duration,
        /// The last event of its log.
        last: String,
    },
}

/// Starts a VM: its supervisor is run under daemon(8), and answers with `started`.
///
/// A VM that runs without a supervisor gets one, which takes it up. Ends when bhyve runs and its node is there; how
/// far the guest comes is told by its console.
///
/// # Errors
///
/// The VM is not made, or runs already; bhyve ended at once; nothing answered.
pub async fn start(
    host: &dyn Host,
    vm: &VmDefinition,
    events: &dyn EventSink,
) -> Result<(), LifeError> {
    let life = Life::new(host, vm, "start", events);
    let found = life.found().await?;
    let unsupervised = found
        .observed
        .contradictions
        .contains(&Contradiction::Unsupervised);
    if !unsupervised {
        life.allow(&found, Request::Start)?;
    }
    start_now(host, vm, events).await
}

/// Stops a VM: its guest is asked, then forced (see [`Supervision`](crate::Supervision)). Ends when it has stopped.
///
/// # Errors
///
/// The VM does not run; it survives every rung of the escalation; nothing answered in [`VmDefinition::longest_stop`].
pub async fn stop(
    host: &dyn Host,
    vm: &VmDefinition,
    events: &dyn EventSink,
) -> Result<(), LifeError> {
    Life::new(host, vm, "stop", events)
        .ask(Request::Stop, RequestWord::Stop)
        .await
}

/// Has the guest shut down and runs it again. Ends when bhyve runs again.
///
/// # Errors
///
/// As [`stop`] and [`start`].
pub async fn reboot(
    host: &dyn Host,
    vm: &VmDefinition,
    events: &dyn EventSink,
) -> Result<(), LifeError> {
    Life::new(host, vm, "reboot", events)
        .ask(Request::Reboot, RequestWord::Reboot)
        .await
}

/// Powers a VM off by force. Ends when it has stopped.
///
/// # Errors
///
/// As [`stop`].
pub async fn kill(
    host: &dyn Host,
    vm: &VmDefinition,
    events: &dyn EventSink,
) -> Result<(), LifeError> {
    Life::new(host, vm, "kill", events)
        .ask(Request::Stop, RequestWord::Kill)
        .await
}

/// Starts without asking first how the VM stands: who planned it has asked.
pub(super) async fn start_now(
    host: &dyn Host,
    vm: &VmDefinition,
    events: &dyn EventSink,
) -> Result<(), LifeError> {
    let life = Life::new(host, vm, "start", events);
    let before = life.log().await?;
    life.events.started(vm.name().as_str(), "start");
    life.supervise().await?;
    life.await_event("started", START_LIMIT, &before, is_start)
        .await?;
    life.await_node().await?;
    life.events.done(vm.name().as_str(), "start", "bhyve runs");
    Ok(())
}

fn is_start(event: &EventWord) -> bool {
    matches!(event, EventWord::Started(_) | EventWord::Adopted(_))
}

fn is_stop(event: &EventWord) -> bool {
    matches!(event, EventWord::Stopped(_))
}

#[derive(Clone, Copy)]
struct Life<'a> {
    ask: Asker<'a>,
    vm: &'a VmDefinition,
    request: &'static str,
    events: &'a dyn EventSink,
}

impl<'a> Life<'a> {
    fn new(
        host: &'a dyn Host,
        vm: &'a VmDefinition,
        request: &'static str,
        events: &'a dyn EventSink,
    ) -> Self {
        Self {
            ask: Asker { host },
            vm,
            request,
            events,
        }
    }

    fn error(&self, kind: impl Into<LifeErrorKind>) -> LifeError {
        LifeError {
            host: self.ask.host.name().clone(),
            vm: self.vm.name().clone(),
            request: self.request,
            kind: Box::new(kind.into()),
        }
    }

    async fn found(&self) -> Result<VmFound, LifeError> {
        look(self.ask, self.vm)
            .await
            .map_err(|error| self.error(error))
    }

    fn allow(&self, found: &VmFound, request: Request) -> Result<(), LifeError> {
        let allowed = found.observed.state.allow(request);
        allowed.map_err(|error| self.error(error))
    }

    /// Writes a request and waits for what answers it. A VM that nobody supervises gets a supervisor first.
    async fn ask(&self, request: Request, word: RequestWord) -> Result<(), LifeError> {
        let found = self.found().await?;
        self.allow(&found, request)?;
        self.events.started(self.vm.name().as_str(), self.request);
        if !found.facts.supervised && found.facts.running.is_empty() {
            return self.free(&found).await;
        }
        let mut before = self.log().await?;
        if !found.facts.supervised {
            self.supervise().await?;
            before = self
                .await_event("started", START_LIMIT, &before, is_start)
                .await?;
        }
        let file = File::public(self.vm.file("request"), format!("{word}\n"));
        let written = self
            .ask
            .host
            .write_file(&file.with_mode(Mode::SECRET))
            .await;
        written.map_err(|error| self.error(error))?;
        let stop = self.vm.longest_stop();
        let reboots = word == RequestWord::Reboot;
        let (awaited, limit, answer, told): (_, _, fn(&EventWord) -> bool, _) = if reboots {
            ("restart", stop + START_LIMIT, is_start, "bhyve runs again")
        } else {
            ("stop", stop, is_stop, "it has stopped")
        };
        self.await_event(awaited, limit, &before, answer).await?;
        self.events
            .done(self.vm.name().as_str(), self.request, told);
        Ok(())
    }

    /// A VM that has ended without its supervisor may still hold its memory.
    async fn free(&self, found: &VmFound) -> Result<(), LifeError> {
        if found.facts.node {
            let name = format!("--vm={}", self.vm.name());
            let destroy = question(&["bhyvectl", &name, "--destroy"]);
            let ran = self.ask.host.run(&destroy).await;
            ran.map_err(|error| self.error(error))?;
        }
        let told = "it did not run";
        self.events
            .done(self.vm.name().as_str(), self.request, told);
        Ok(())
    }

    async fn supervise(&self) -> Result<(), LifeError> {
        let start = self.vm.supervision().start();
        let journal = self.vm.directory.as_str().rsplit_once('/');
        let journal = journal.map_or_else(String::new, |(lab, _)| format!("{lab}/journal.log"));
        let what = format!("{}: start its supervisor", self.vm.name());
        let start = super::apply::journalled(&journal, &what, &start);
        let ran = self.ask.host.run(&start).await;
        ran.map(drop).map_err(|error| self.error(error))
    }

    async fn log(&self) -> Result<Vec<Event>, LifeError> {
        let text = tail(self.ask, &self.vm.file("events")).await;
        let events = text.and_then(|text| events_of_tail(self.ask, self.vm, &text));
        events.map_err(|error| self.error(error))
    }

    /// Waits for an event that was not there before, and gives the log as it is then.
    async fn await_event(
        &self,
        awaited: &'static str,
        limit: Duration,
        before: &[Event],
        wanted: fn(&EventWord) -> bool,
    ) -> Result<Vec<Event>, LifeError> {
        let look = || async {
            let log = self.log().await?;
            let new = since(&log, before);
            if new.iter().any(|event| wanted(&event.what)) {
                return Ok(Attempt::Ready(log));
            }
            let failed = new
                .iter()
                .find(|event| matches!(event.what, EventWord::Failed(_)));
            match failed {
                Some(event) => Err(self.failed(event).await),
                None => Ok(Attempt::NotYet(last(new))),
            }
        };
        let wait = Wait::new(awaited, limit).longest_pause(Duration::from_millis(500));
        until(&wait, look).await.map_err(|error| match error {
            WaitError::Failed(error) => error,
            WaitError::TimedOut { last, .. } => self.error(LifeErrorKind::Silent {
                awaited,
                limit,
                last,
            }),
        })
    }

    /// bhyve opens all that it needs before it makes its node, or ends.
    async fn await_node(&self) -> Result<(), LifeError> {
        let question = crate::Condition::Exists(crate::plan::node(self.vm.name())).question();
        let look = || async {
            let asked = self.ask.host.output(&question).await;
            let there = asked.map_err(|error| self.error(error))?.status.success();
            if there {
                return Ok(Attempt::Ready(()));
            }
            let log = self.log().await?;
            match log.last().map(|event| &event.what) {
                Some(EventWord::Failed(_) | EventWord::Stopped(_)) => {
                    Err(self.failed(&log[log.len() - 1]).await)
                }
                _ => Ok(Attempt::NotYet(last(&log))),
            }
        };
        let wait = Wait::new("node", START_LIMIT).longest_pause(Duration::from_millis(500));
        until(&wait, look).await.map_err(|error| match error {
            WaitError::Failed(error) => error,
            WaitError::TimedOut { last, .. } => self.error(LifeErrorKind::Silent {
                awaited: "node",
                limit: START_LIMIT,
                last,
            }),
        })
    }

    async fn failed(&self, event: &Event) -> LifeError {
        let stderr = match tail(self.ask, &self.vm.file("stderr")).await {
            Ok(text) if text.trim().is_empty() => "nothing".to_owned(),
            Ok(text) => last_lines(&text, 5),
            Err(error) => return self.error(error),
        };
        self.error(LifeErrorKind::Failed {
            event: event.to_string(),
            stderr,
        })
    }
}

/// The events after those that were there before; all of them if the log was begun anew.
fn since<'e>(log: &'e [Event], before: &[Event]) -> &'e [Event] {
    let Some(last) = before.last() else {
        return log;
    };
    let at = log.iter().rposition(|event| event == last);
    at.map_or(log, |at| &log[at + 1..])
}

fn last(events: &[Event]) -> String {
    let event = events.last();
    event.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// The last lines of a text.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
