//! Running the tool under test as a process.

use super::Rig;
use crate::tool::Line;
use anyhow::{Context as _, bail, ensure};
use host_exec::{Event, Progress};
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// No run of the tool takes longer: its own limits end it before.
const LIMIT: Duration = Duration::from_secs(240);

/// The one step of a plan that changes nothing.
const WAITS: &str = "wait until ready:";

/// The tool at work. Killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

/// What the tool told until it ended.
#[derive(Debug)]
pub struct Told {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Whether it ended by itself with success.
    pub done: bool,
}

impl Rig {
    /// Starts the tool on what is asked for.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start_tool(&self, die_after: Option<usize>) -> anyhow::Result<Running> {
        let mut tool = Command::new(std::env::current_exe()?);
        tool.arg("tool").arg(&self.setting.work);
        if let Some(events) = die_after {
            tool.arg(events.to_string());
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("tool.log"))?;
        tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        Ok(Running(tool.kill_on_drop(true).spawn().context("tool")?))
    }

    /// Runs the tool to its end.
    ///
    /// # Errors
    ///
    /// It cannot be started, or does not end.
    pub async fn tool(&self, die_after: Option<usize>) -> anyhow::Result<Told> {
        self.start_tool(die_after)?.told().await
    }

    /// Runs the tool twice, each time killed after some event, of which there are about `events`; says how often it was not
    /// done before.
    ///
    /// # Errors
    ///
    /// It fails before it is killed.
    pub async fn kill_twice(&mut self, events: u64) -> anyhow::Result<u32> {
        let mut kills = 0;
        for _ in 0..2 {
            let last = 1 + usize::try_from(self.dice.below(events))?;
            let told = self.tool(Some(last)).await?;
            let failure = told.failure();
            ensure!(failure.is_empty(), "after {kills} kills: {failure}");
            kills += u32::from(!told.done);
        }
        Ok(kills)
    }

    /// Runs the tool, which has to succeed; and then again, which must change nothing.
    ///
    /// # Errors
    ///
    /// It fails, or the second run has something to do.
    pub async fn converge(&mut self) -> anyhow::Result<Told> {
        let first = self.tool(None).await?;
        ensure!(first.done, "the tool failed: {}", first.failure());
        // What it promises when it ends with success, asked at once.
        self.ready(&self.scene.members, Duration::from_secs(3))
            .await
            .context("the tool ended with success, and a member is not ready")?;
        self.note().await?;
        let mut plan = self.second_run().await?;
        // A member that says nothing for a moment, on a machine with other work, is waited for, which changes nothing.
        // Once it is ready there must be nothing left.
        for _ in 0..3 {
            if !plan.starts_with(WAITS) || plan.lines().count() > 1 {
                break;
            }
            plan = self.second_run().await?;
        }
        ensure!(
            plan.is_empty(),
            "the second run has something to do:\n{plan}"
        );
        Ok(first)
    }

    async fn second_run(&self) -> anyhow::Result<String> {
        let second = self.tool(None).await?;
        ensure!(second.done, "the second run failed: {}", second.failure());
        Ok(second.plan())
    }

    /// Runs the tool, which has to refuse; gives what it says.
    ///
    /// # Errors
    ///
    /// It succeeds.
    pub async fn refused(&self) -> anyhow::Result<String> {
        let told = self.tool(None).await?;
        if told.done {
            bail!("the tool did what it had to refuse: {:?}", told.lines);
        }
        Ok(told.failure())
    }
}

impl Running {
    /// Waits until it ends, or was killed.
    ///
    /// # Errors
    ///
    /// It does not end.
    pub async fn told(mut self) -> anyhow::Result<Told> {
        let stdout = self.0.stdout.take().context("a pipe")?;
        let read = async {
            let (mut text, mut lines) = (BufReader::new(stdout).lines(), Vec::new());
            while let Some(line) = text.next_line().await? {
                lines.push(serde_json::from_str(&line).with_context(|| line.clone())?);
            }
            let done = self.0.wait().await?.success();
            Ok::<_, anyhow::Error>(Told { lines, done })
        };
        let told = timeout(LIMIT, read).await;
        told.context("the tool does not end")?
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.0.kill().await?)
    }
}

impl Told {
    /// The plan; empty if there was nothing to do or it came to none.
    #[must_use]
    pub fn plan(&self) -> String {
        let plans = self.lines.iter().filter_map(|line| match line {
            Line::Plan(plan) => Some(plan.as_str()),
            _ => None,
        });
        plans.collect()
    }

    /// Why it failed; empty if it did not.
    #[must_use]
    pub fn failure(&self) -> String {
        let failures = self.lines.iter().filter_map(|line| match line {
            Line::Failed(why) => Some(why.as_str()),
            _ => None,
        });
        failures.collect()
    }

    /// The events.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.lines.iter().filter_map(|line| match line {
            Line::Event(event) => Some(event),
            _ => None,
        })
    }

    /// Whether it told of `machine` that it goes on, in words that hold `what`.
    #[must_use]
    pub fn told_of(&self, machine: &str, what: &str) -> bool {
        self.events().any(|event| {
            event.machine == machine
                && matches!(&event.progress, Progress::Running(said) if said.contains(what))
        })
    }
}
