//! Verbs that change something, or say what they would: `plan`, `up`, `programs`, `down`.

use crate::{
    args::{Format, Global, SpecArgs},
    exit::{Ended, Exit},
    gantt, next_steps,
    plan_json::PlanJson,
    progress::Reporter,
    screen::{self, Paint},
    show_plan, wanted,
};
use anyhow::Context;
use artifacts::ProgramName;
use cluster_lab::{Lab, Up};
use serde_json::json;
use std::{
    future::Future,
    path::{Path, PathBuf},
};
use tokio::signal::unix::{SignalKind, signal};

/// `lab plan` and `lab up --dry-run`.
pub(crate) async fn plan(global: &Global, spec: &SpecArgs) -> anyhow::Result<Exit> {
    let lab = wanted::asked_for(global, spec)?;
    let plan = lab.plan().await?;
    match global.output {
        Format::Json => screen::print_json(&PlanJson::new(&plan))?,
        Format::Text => screen::print(&show_plan::text(&plan, Paint::stdout()))?,
    }
    Ok(Exit::DONE)
}

/// `lab up`.
pub(crate) async fn up(
    global: &Global,
    spec: &SpecArgs,
    with_timings: bool,
    svg: Option<&Path>,
) -> anyhow::Result<Exit> {
    let lab = wanted::asked_for(global, spec)?;
    let reporter = Reporter::new(global.output, global.verbose, lab.state());
    let done = or_interrupted(lab.up(&reporter)).await;
    let steps = reporter.finish();
    if with_timings && global.output == Format::Text {
        screen::print(&gantt::text(&steps))?;
    }
    if let Some(path) = svg {
        let written = std::fs::write(path, gantt::svg(&steps));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    let Some(done) = done? else {
        let lab = next_steps::command(&lab, global);
        return Err(Ended::interrupted(format!(
            "interrupted; `{lab} up` goes on from here, `{lab} down` removes what has been made"
        )));
    };
    let up: Up = done?;
    let seconds = reporter.elapsed().as_secs_f64();
    match global.output {
        Format::Json => {
            let mut result = json!({
                "changed": up.changed, "waited": up.waited, "kubeconfig": up.kubeconfig,
                "seconds": seconds,
            });
            if with_timings {
                result["timings"] = json!(steps);
            }
            screen::print_json(&json!({ "result": result }))?;
        }
        Format::Text if up.changed || up.waited => {
            let next = next_steps::text(&lab, global, &up.kubeconfig);
            let name = &lab.spec.name;
            screen::print(&format!(
                "lab {name} is up ({seconds:.1} s). What to type next:\n{next}"
            ))?;
        }
        Format::Text => {
            let name = &lab.spec.name;
            screen::print(&format!(
                "lab {name} is up: nothing to do ({seconds:.1} s)\n"
            ))?;
        }
    }
    Ok(Exit::DONE)
}

/// `lab programs`.
pub(crate) async fn programs(
    global: &Global,
    spec: &SpecArgs,
    only: Option<ProgramName>,
) -> anyhow::Result<Exit> {
    let lab = wanted::asked_for(global, spec)?;
    let reporter = Reporter::new(Format::Text, global.verbose, lab.state());
    let done = or_interrupted(lab.programs(only, &reporter)).await;
    reporter.finish();
    let Some(done) = done? else {
        let message = "interrupted; what is whole stays in the cache, and the next run goes on";
        return Err(Ended::interrupted(message));
    };
    let dir = done?;
    match global.output {
        Format::Json => screen::print_json(&json!({ "programs": dir }))?,
        Format::Text => screen::print(&format!("{}\n", dir.display()))?,
    }
    Ok(Exit::DONE)
}

/// `lab down`.
pub(crate) async fn down(global: &Global, purge: bool) -> anyhow::Result<Exit> {
    let lab = wanted::by_name(global)?;
    let was_there = lab.state().root().exists();
    let command = next_steps::command(&lab, global);
    let interrupted = format!("interrupted; `{command} down` goes on from here");
    let (gone, seconds) = with_progress(global, &lab, interrupted, async |reporter| {
        lab.down(purge, reporter).await
    })
    .await?;
    match global.output {
        Format::Json => screen::print_json(&json!({ "result": {
            "machines": gone.machines, "others": gone.others, "seconds": seconds,
            "snapshots": snapshots(&lab),
        }}))?,
        Format::Text if was_there || gone.machines + gone.others > 0 => {
            let (name, cache) = (&lab.spec.name, lab.places.cache.display());
            let mut text = format!(
                "lab {name} is gone ({seconds:.1} s); programs and images stay in {cache}\n"
            );
            text.extend(
                snapshots(&lab).map(|kept| format!("its snapshots stay in {}\n", kept.display())),
            );
            screen::print(&text)?;
        }
        Format::Text => {
            let (name, state) = (&lab.spec.name, lab.places.state.display());
            screen::print(&format!(
                "there is no lab {name} in {state}: nothing to do\n"
            ))?;
        }
    }
    Ok(Exit::DONE)
}

/// `lab down --dry-run`.
pub(crate) async fn would_remove(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let machines: Vec<String> = lab.hosts().await?.keys().map(ToString::to_string).collect();
    let directories = directories(&lab);
    match global.output {
        Format::Json => {
            let list = json!({
                "running_machines": machines, "directories": directories, "snapshots": snapshots(&lab),
            });
            screen::print_json(&list)?;
        }
        Format::Text => {
            let mut text = format!(
                "`lab down` would end what runs of lab {}, and remove its networks and files:\n",
                lab.spec.name
            );
            text.extend(
                machines
                    .iter()
                    .map(|name| format!("  machine {name}, running\n")),
            );
            text.extend(
                directories
                    .iter()
                    .map(|dir| format!("  {}\n", dir.display())),
            );
            text.extend(snapshots(&lab).map(|kept| {
                format!(
                    "the snapshots of its etcd would stay in {}\n",
                    kept.display()
                )
            }));
            screen::print(&(text + "nothing has been done\n"))?;
        }
    }
    Ok(Exit::DONE)
}

/// The directories of a lab that are there.
fn directories(lab: &Lab) -> Vec<PathBuf> {
    let run = lab.places.run.join(lab.spec.name.as_str());
    let all = [lab.state().root().to_owned(), run];
    all.into_iter().filter(|dir| dir.exists()).collect()
}

/// Where snapshots of the lab's etcd are that somebody took, if there are any: they outlive it.
fn snapshots(lab: &Lab) -> Option<PathBuf> {
    Some(lab.state().snapshots()).filter(|dir| dir.exists())
}

/// Does `work` with its progress on the screen; returns what came of it, and how many seconds it took.
///
/// # Errors
///
/// It failed, or somebody interrupted it; `interrupted` says what leads on then.
pub(super) async fn with_progress<T, E: Into<anyhow::Error>>(
    global: &Global,
    lab: &Lab,
    interrupted: impl Into<String>,
    work: impl AsyncFnOnce(&Reporter) -> Result<T, E>,
) -> anyhow::Result<(T, f64)> {
    let reporter = Reporter::new(global.output, global.verbose, lab.state());
    let done = or_interrupted(work(&reporter)).await;
    reporter.finish();
    let done = done?.ok_or_else(|| Ended::interrupted(interrupted))?;
    let done = done.map_err(Into::into)?;
    Ok((done, reporter.elapsed().as_secs_f64()))
}

/// Does `work` until it is done, or until somebody interrupts it (`None`): SIGINT, SIGTERM or SIGHUP.
async fn or_interrupted<T>(work: impl Future<Output = T>) -> anyhow::Result<Option<T>> {
    let on = |kind| signal(kind).context("cannot set up signals");
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut hang_up = on(SignalKind::hangup())?;
    tokio::select! {
        done = work => Ok(Some(done)),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
        _ = hang_up.recv() => Ok(None),
    }
}
