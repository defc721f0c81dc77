//! The steps of a plan, done: the only place that changes a host.

use super::life::{LifeError, start_now};
use super::model::{Fleet, VmDefinition};
use super::observe::{SIDE_BY_SIDE, observe};
use super::plan::{FleetPlan, FleetPlanError, StartBatch, VmSteps, plan};
use super::survey::SurveyError;
use super::upload::{SendError, Supply, SupplyError, send};
use crate::{Action, InvalidValue, Step};
use futures::{StreamExt, TryStreamExt, stream};
use host_exec::poll::{Attempt, Wait, WaitError, until};
use host_exec::{Command, EventSink, FileError, Host, HostName, RunError, Stdin};
use std::{convert::Infallible, time::Duration};

/// Runs a command between two lines of the journal.
const JOURNAL: &str = include_str!("journal.sh");

/// A plan that was not done to its end. Run again, the rest is done: what is there is asked of the host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetApplyError {
    /// A file to be sent is missing or wrong. Nothing was changed.
    #[error(transparent)]
    Supply(#[from] SupplyError),
    /// A path is too long. Nothing was changed.
    #[error(transparent)]
    Name(#[from] InvalidValue),
    /// A step failed.
    #[error("{host}: {}cannot {what}", of(.vm))]
    Step {
        /// The host.
        host: HostName,
        /// The VM, if it is one's; else empty.
        vm: String,
        /// What the step is for.
        what: String,
        /// Why.
        #[source]
        source: StepError,
    },
    /// A VM did not start.
    #[error(transparent)]
    Start(#[from] LifeError),
    /// What there is could not be asked afterwards.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// What there is afterwards stands against the plan.
    #[error("after all steps the host is not as it was planned")]
    Plan(#[from] FleetPlanError),
    /// Every step succeeded, and still something is missing.
    #[error(
        "all steps are done, and the host still lacks: {missing}; somebody else changes it, or a command did not do what it said"
    )]
    Unfinished {
        /// What a further plan would do.
        missing: String,
    },
}

fn of(vm: &str) -> String {
    if vm.is_empty() {
        String::new()
    } else {
        format!("{vm}: ")
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The command failed, or the host is out of reach.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The file was not written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Something else is there than has to be.
    #[error("{command} printed {found:?}, and has to print {wanted:?}")]
    Other {
        /// The question.
        command: String,
        /// What it printed.
        found: String,
        /// What it has to print.
        wanted: String,
    },
    /// The time for something is over.
    #[error(transparent)]
    Late(#[from] WaitError<Infallible>),
}

/// Does what a plan says, tells of every step, and makes sure afterwards that nothing is left to do.
///
/// The host's steps come one after the other, then the VMs side by side, then the starts in their order. A step that
/// fails ends its own sequence; nothing is taken back, so that the next run goes on from there.
///
/// # Errors
///
/// A file to be sent is wrong (then nothing was changed); a step failed; the host lacks something after all.
pub async fn apply(
    host: &dyn Host,
    fleet: &Fleet,
    plan: &FleetPlan,
    supply: &Supply,
    events: &dyn EventSink,
) -> Result<(), FleetApplyError> {
    supply.check(plan).await?;
    let journal = format!("{}/journal.log", fleet.lab_directory()?);
    let work = Work {
        host,
        journal: &journal,
        supply,
        events,
    };
    work.all("", &plan.host).await?;
    let vms = stream::iter(plan.vms.iter().map(|vm| work.vm(vm)));
    vms.buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<()>()
        .await?;
    for batch in &plan.start {
        work.start(batch).await?;
    }
    if plan.is_empty() {
        return Ok(());
    }
    verify(host, fleet).await
}

async fn verify(host: &dyn Host, fleet: &Fleet) -> Result<(), FleetApplyError> {
    let left = plan(fleet, &observe(host, fleet).await?)?;
    // A VM that ended meanwhile is for its own events to tell.
    let missing: Vec<_> = left.steps().map(|step| step.what.clone()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join("; ");
    Err(FleetApplyError::Unfinished { missing })
}

/// One run of a plan on one host.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) journal: &'a str,
    pub(super) supply: &'a Supply,
    pub(super) events: &'a dyn EventSink,
}

impl Work<'_> {
    async fn vm(self, vm: &VmSteps) -> Result<(), FleetApplyError> {
        self.all(vm.vm.as_str(), &vm.steps).await
    }

    async fn start(self, batch: &StartBatch) -> Result<(), FleetApplyError> {
        let start = |vm: &VmDefinition| {
            let vm = vm.clone();
            async move { start_now(self.host, &vm, self.events).await }
        };
        let starts = stream::iter(batch.vms.iter().map(start));
        starts
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// Does steps one after the other.
    pub(super) async fn all(self, vm: &str, steps: &[Step]) -> Result<(), FleetApplyError> {
        for step in steps {
            self.events.started(vm, &step.what);
            let done = self.act(vm, step).await;
            let done = done.map_err(|source| FleetApplyError::Step {
                host: self.host.name().clone(),
                vm: vm.to_owned(),
                what: step.what.clone(),
                source,
            });
            match &done {
                Ok(()) => self.events.done(vm, &step.what, ""),
                Err(error) => self.events.failed(vm, &step.what, &error.to_string()),
            }
            done?;
        }
        Ok(())
    }

    async fn act(self, vm: &str, step: &Step) -> Result<(), StepError> {
        match &step.action {
            Action::Run(command) => {
                self.host.run(&self.noted(vm, step, command)).await?;
            }
            Action::Try(command) => {
                self.host.output(&self.noted(vm, step, command)).await?;
            }
            Action::Insist { command, limit } => self.insist(vm, step, command, *limit).await?,
            Action::Require { command, line } => self.require(command, line).await?,
            Action::Await { condition, limit } => {
                self.wait(&condition.question(), &condition.to_string(), *limit)
                    .await??;
            }
            Action::Allow { condition, limit } => {
                // Time running out is answered by the next step.
                let _late = self
                    .wait(&condition.question(), &condition.to_string(), *limit)
                    .await?;
            }
            Action::Write(file) => self.host.write_file(file).await?,
            Action::Upload {
                sha256, to, mode, ..
            } => {
                let local = self.supply.path(sha256, to.as_str());
                let local = local.map_err(SendError::from)?;
                send(self.host, local, to.as_str(), *mode, sha256).await?;
            }
        }
        Ok(())
    }

    /// The command with its lines in the journal; time limit and input are those of the command.
    fn noted(self, vm: &str, step: &Step, command: &Command) -> Command {
        let what = format!("{}{}", of(vm), step.what);
        journalled(self.journal, &what, command)
    }

    async fn require(self, command: &Command, line: &str) -> Result<(), StepError> {
        let output = self.host.run(command).await?;
        let found = output.stdout_text();
        let found = found.trim_end_matches('\n');
        if found == line {
            return Ok(());
        }
        Err(StepError::Other {
            command: command.to_string(),
            found: found.to_owned(),
            wanted: line.to_owned(),
        })
    }

    /// The first failure is told at the end, if none of the further tries succeeds.
    async fn insist(
        self,
        vm: &str,
        step: &Step,
        command: &Command,
        limit: Duration,
    ) -> Result<(), StepError> {
        let command = self.noted(vm, step, command);
        match self.wait(&command, &step.what, limit).await? {
            Ok(()) => Ok(()),
            // Its own words say more than that the time is over.
            Err(_) => Ok(self.host.run(&command).await.map(drop)?),
        }
    }

    /// Asks until the command succeeds. The outer error is that it could not be asked.
    async fn wait(
        self,
        question: &Command,
        what: &str,
        limit: Duration,
    ) -> Result<Result<(), WaitError<Infallible>>, RunError> {
        let look = || async {
            let output = self.host.output(question).await?;
            if output.status.success() {
                return Ok(Attempt::Ready(()));
            }
            let said = output.stderr_text().trim().to_owned();
            Ok(Attempt::NotYet(if said.is_empty() {
                "not yet".to_owned()
            } else {
                said
            }))
        };
        let wait = Wait::new(format!("sign that {what}"), limit);
        let wait = wait.longest_pause(Duration::from_secs(1));
        match until(&wait, look).await {
            Ok(()) => Ok(Ok(())),
            Err(WaitError::Failed(error)) => Err(error),
            Err(WaitError::TimedOut { what, after, last }) => {
                Ok(Err(WaitError::TimedOut { what, after, last }))
            }
        }
    }
}

/// A command between two lines of the journal.
pub(super) fn journalled(journal: &str, what: &str, command: &Command) -> Command {
    let words = Command::new("sh").args(["-c", JOURNAL, "sh", journal, what]);
    let words = words.arg(command.program()).args(command.arguments());
    let words = words.stdin(match command.input() {
        Stdin::Inherit => Stdin::Null,
        input => input.clone(),
    });
    match command.time_limit() {
        Some(limit) => words.timeout(limit),
        None => words,
    }
}
