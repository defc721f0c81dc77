//! Running rows, each in namespaces of its own, and telling what came of them.

use crate::{
    rig::{Rig, Setting, member_log},
    rows::{self, Row},
    work::{Work, sweep},
};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// No row takes longer.
const LIMIT_SECONDS: &str = "600";

/// What came of one row with one seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The row.
    pub row: String,
    /// The seed.
    pub seed: u64,
    /// What was measured, in milliseconds unless its name says otherwise.
    pub figures: BTreeMap<String, f64>,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; `None` if all held.
    pub failure: Option<String>,
}

/// How rows are run.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The program `etcd-faults`.
    pub program: PathBuf,
    /// Where etcd, etcdctl and etcdutl are.
    pub programs: PathBuf,
    /// Where data goes; on a disk.
    pub parent: PathBuf,
    /// Whether waits have their full length.
    pub long: bool,
    /// Whether the directory of a row that failed stays.
    pub keep: bool,
}

impl Runner {
    /// Runs `row` with `seed`; never fails but by telling so.
    #[must_use]
    pub fn run(&self, row: &Row, seed: u64) -> Outcome {
        let started = Instant::now();
        let outcome = self.try_run(row, seed);
        outcome.unwrap_or_else(|error| Outcome {
            row: row.name.into(),
            seed,
            figures: BTreeMap::new(),
            took: started.elapsed(),
            failure: Some(format!("{error:#}")),
        })
    }

    fn try_run(&self, row: &Row, seed: u64) -> anyhow::Result<Outcome> {
        sweep(&self.parent)?;
        let work = Work::new(&self.parent)?;
        let log = fs::File::create(work.path().join("world.log"))?;
        let mut world = Command::new("timeout")
            .args(["--kill-after=5", LIMIT_SECONDS, "unshare"])
            .args(["--mount", "--net", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child=KILL", "--"])
            .arg(&self.program)
            .args(["world", row.name, &seed.to_string()])
            .args([work.path(), &self.programs])
            .args(self.long.then_some("long"))
            // Its end is how the world learns that this process is gone.
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("unshare")?;
        // Waiting would close it.
        let lifeline = world.stdin.take();
        let ended = world.wait()?;
        drop(lifeline);
        let told = fs::read(work.path().join("outcome.json"));
        let outcome = told.with_context(|| {
            let log = fs::read_to_string(work.path().join("world.log")).unwrap_or_default();
            format!("the world ended with {ended}: {}", tail(&log, 20))
        });
        let mut outcome: Outcome = serde_json::from_slice(&outcome?)?;
        if let Some(failure) = &mut outcome.failure {
            failure.push_str(&logs(work.path()));
            if self.keep {
                failure.push_str(&format!("\nkept: {}", work.path().display()));
                std::mem::forget(work);
            }
        }
        Ok(outcome)
    }
}

/// The ends of what the members complain of in their logs.
fn logs(work: &Path) -> String {
    let log = |number: u8| {
        let path = member_log(work, number);
        let text = fs::read_to_string(path).ok()?;
        let bad = text.lines().filter(|line| !line.contains("\"info\""));
        let text = bad.collect::<Vec<_>>().join("\n");
        Some(format!("\n--- etcd-{number}\n{}", tail(&text, 8)))
    };
    (1..=5).filter_map(log).collect()
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    let cut = |line: &&str| line.chars().take(400).collect::<String>();
    all[from..].iter().map(cut).collect::<Vec<_>>().join("\n")
}

/// Runs a row here, as process 1 of fresh namespaces, and leaves its outcome below the work directory.
///
/// # Errors
///
/// The outcome cannot be written. A row that fails is an outcome.
pub async fn world(row: &str, setting: Setting) -> anyhow::Result<()> {
    let (work, seed) = (setting.work.clone(), setting.seed);
    let started = Instant::now();
    let (figures, failure) = match act(row, setting).await {
        Ok(figures) => (figures, None),
        Err(error) => (BTreeMap::new(), Some(format!("{error:#}"))),
    };
    let outcome = Outcome {
        row: row.into(),
        seed,
        figures,
        took: started.elapsed(),
        failure,
    };
    Ok(fs::write(
        work.join("outcome.json"),
        serde_json::to_vec(&outcome)?,
    )?)
}

async fn act(row: &str, setting: Setting) -> anyhow::Result<BTreeMap<String, f64>> {
    let row = rows::find(row).with_context(|| format!("no row {row:?}"))?;
    let mut rig = Rig::new(setting, 3).await?;
    (row.run)(&mut rig).await?;
    Ok(rig.figures)
}
