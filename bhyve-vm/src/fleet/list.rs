//! The VMs of a host, found by what lies in the directory, and why each is as it is.

use super::ask::{AskError, Asker};
use super::life::last_lines;
use super::model::VmDefinition;
use super::observe::{SIDE_BY_SIDE, Seen, VmFound, parse, paths};
use super::survey::population;
use crate::console::plain;
use crate::{
    Contradiction, Event, EventWord, ExitCause, Finding, HostPath, LabMark, Stage, VmName, VmState,
    read_console,
};
use futures::{StreamExt, TryStreamExt, stream};
use host_exec::Host;
use std::{collections::BTreeSet, fmt, time::Duration};

/// A VM in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmSummary {
    /// Its definition.
    pub definition: VmDefinition,
    /// How it stands.
    pub state: VmState,
    /// How far its guest has come by its console.
    pub stage: Option<Stage>,
    /// What does not fit together.
    pub contradictions: Vec<Contradiction>,
    /// How long bhyve has run.
    pub uptime: Option<Duration>,
    /// How often its supervisor ran bhyve again, as far back as its log was read.
    pub restarts: u32,
    /// What bhyve holds of the host's memory, in KiB; the guest's size is in the definition.
    pub resident_kib: Option<u64>,
    /// Why the last run ended, if one did.
    pub last_cause: Option<ExitCause>,
}

/// Why a VM is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// In short.
    pub summary: VmSummary,
    /// The last runs, latest last: when each ended by the host's clock, and why.
    pub runs: Vec<(u64, ExitCause)>,
    /// The last events.
    pub events: Vec<Event>,
    /// The end of bhyve's own words.
    pub stderr: String,
    /// The end of the console.
    pub console: String,
    /// What went wrong in the guest by its console.
    pub troubles: Vec<Finding>,
}

/// The VMs whose definitions lie below a directory, whatever lab they are of, by lab and name.
///
/// # Errors
///
/// The host does not answer, or a definition is not as it was written.
pub async fn list(host: &dyn Host, directory: &HostPath) -> Result<Vec<VmSummary>, AskError> {
    let ask = Asker { host };
    let paths = paths(ask, directory).await?;
    let vms = all_definitions(ask, &paths).await?;
    let population = population(ask).await?;
    let seen = Seen {
        population: &population,
        paths: &paths,
    };
    let one = |vm: VmDefinition| async move {
        let (_, found) = seen.vm(ask, &vm).await?;
        let words = last_words(seen, ask, &vm, &found).await?;
        Ok(summary(seen, vm, &found, &words))
    };
    stream::iter(vms.into_iter().map(one))
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await
}

/// The definition of one VM, as it lies on the host; `None` if there is none.
///
/// # Errors
///
/// As [`list`].
pub async fn find(
    host: &dyn Host,
    directory: &HostPath,
    lab: &LabMark,
    vm: &VmName,
) -> Result<Option<VmDefinition>, AskError> {
    let ask = Asker { host };
    let path = format!("{directory}/{lab}/{vm}/spec.json");
    match ask.file("what a VM is", &path).await? {
        Some(text) => Ok(Some(parse(ask, &path, &text)?)),
        None => Ok(None),
    }
}

/// Why a VM is as it is: state, contradictions with what leads out of them, the causes of its last ends, and the last
/// words of bhyve and of its guest.
///
/// # Errors
///
/// As [`list`].
pub async fn explain(host: &dyn Host, vm: &VmDefinition) -> Result<Explanation, AskError> {
    let ask = Asker { host };
    let paths = paths(ask, &vm.directory).await?;
    let population = population(ask).await?;
    let seen = Seen {
        population: &population,
        paths: &paths,
    };
    let (_, found) = seen.vm(ask, vm).await?;
    let words = last_words(seen, ask, vm, &found).await?;
    let events = &found.facts.events;
    let console = words.console.clone();
    let troubles = read_console(console.as_bytes()).troubles;
    Ok(Explanation {
        runs: runs(events, &words),
        events: events[events.len().saturating_sub(10)..].to_vec(),
        stderr: last_lines(&words.stderr, 10),
        // A guest can write what it likes, also what would move the cursor of whoever reads this.
        console: last_lines(&plain(console.as_bytes()), 20),
        troubles,
        summary: summary(seen, vm.clone(), &found, &words),
    })
}

/// What is found of one VM.
pub(super) async fn look(ask: Asker<'_>, vm: &VmDefinition) -> Result<VmFound, AskError> {
    let paths = paths(ask, &vm.directory).await?;
    let population = population(ask).await?;
    let seen = Seen {
        population: &population,
        paths: &paths,
    };
    Ok(seen.vm(ask, vm).await?.1)
}

/// The definitions among some paths.
pub(super) async fn all_definitions(
    ask: Asker<'_>,
    paths: &BTreeSet<String>,
) -> Result<Vec<VmDefinition>, AskError> {
    let specs = paths.iter().filter(|path| path.ends_with("/spec.json"));
    let one = |path: &String| {
        let path = path.clone();
        async move {
            match ask.file("what a VM is", &path).await? {
                Some(text) => parse(ask, &path, &text).map(Some),
                // Removed since it was listed.
                None => Ok(None),
            }
        }
    };
    let read = stream::iter(specs.map(one)).buffered(SIDE_BY_SIDE);
    let read: Vec<Option<VmDefinition>> = read.try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}

/// The words of the last run.
struct LastWords {
    stderr: String,
    console: String,
}

async fn last_words(
    seen: Seen<'_>,
    ask: Asker<'_>,
    vm: &VmDefinition,
    found: &VmFound,
) -> Result<LastWords, AskError> {
    // A run that goes on has begun its own file; the words of the one before are beside it.
    let runs = !found.facts.running.is_empty();
    let stderr = if runs { "stderr.1" } else { "stderr" };
    Ok(LastWords {
        stderr: seen.tail(ask, vm, stderr).await?,
        console: seen.tail(ask, vm, "console").await?,
    })
}

fn summary(seen: Seen<'_>, vm: VmDefinition, found: &VmFound, words: &LastWords) -> VmSummary {
    let mut processes = seen.population.running(vm.name().as_str());
    let process = processes.next();
    let events = &found.facts.events;
    let restarts = events
        .iter()
        .filter(|event| matches!(event.what, EventWord::Restarting { .. }));
    VmSummary {
        state: found.observed.state,
        stage: found.observed.stage,
        contradictions: found.observed.contradictions.clone(),
        uptime: process.map(|process| Duration::from_secs(process.age_s)),
        restarts: u32::try_from(restarts.count()).unwrap_or(u32::MAX),
        resident_kib: process.map(|process| process.resident_kib),
        last_cause: runs(events, words).pop().map(|(_, cause)| cause),
        definition: vm.clone(),
    }
}

/// The ends of runs. Only the last one's words are still there; what the supervisor made of the others is in its log.
fn runs(events: &[Event], words: &LastWords) -> Vec<(u64, ExitCause)> {
    let ends = events.iter().filter_map(|event| match &event.what {
        EventWord::Exited(exited) => Some((event.at, exited)),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    let last = ends.len().saturating_sub(1);
    let causes = ends.into_iter().enumerate().map(|(index, (at, exited))| {
        let (stderr, console) = if index == last {
            (words.stderr.as_str(), words.console.as_str())
        } else {
            ("", "")
        };
        (at, exited.cause(stderr, console))
    });
    causes.collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = &self.summary;
        write!(
            f,
            "{} of lab {} is {}",
            summary.definition.name(),
            summary.definition.lab,
            summary.state
        )?;
        match summary.stage {
            Some(stage) => writeln!(f, ", {stage}")?,
            None => writeln!(f)?,
        }
        for contradiction in &summary.contradictions {
            writeln!(f, "  {contradiction}")?;
        }
        for trouble in &self.troubles {
            writeln!(f, "  {}: {}", trouble.trouble, trouble.line)?;
        }
        for (at, cause) in &self.runs {
            writeln!(f, "  ended at {at}: {cause}")?;
        }
        section(
            f,
            "last events",
            &self
                .events
                .iter()
                .map(|event| format!("{event}\n"))
                .collect::<String>(),
        )?;
        section(f, "bhyve said", &self.stderr)?;
        section(f, "the guest said", &self.console)
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, text: &str) -> fmt::Result {
    if text.trim().is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    text.lines().try_for_each(|line| writeln!(f, "  {line}"))
}
