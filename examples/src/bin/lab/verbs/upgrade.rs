//! `lab upgrade`.

use super::change::with_progress;
use crate::{
    args::{Format, Global},
    exit::Exit,
    next_steps, screen,
    show_plan::imports,
    wanted,
};
use artifacts::Version;
use k8s_bootstrap::skew::Step;
use serde_json::json;

/// `lab upgrade --dry-run`.
pub(crate) async fn would_upgrade(global: &Global, to: Version) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let plan = lab.plan_upgrade(to).await?;
    let steps: Vec<String> = plan.steps.iter().map(Step::to_string).collect();
    let programs = plan.programs.iter();
    let sent: Vec<String> = programs
        .flat_map(|(machine, sent)| sent.iter().map(move |step| format!("{machine}: {step}")))
        .collect();
    let images = plan.images.iter();
    let imported: Vec<String> = images
        .flat_map(|(node, images)| imports(node, images))
        .collect();
    match global.output {
        Format::Json => {
            let object = json!({
                "from": plan.from, "to": to, "begun": plan.begun, "programs": sent,
                "images": imported, "steps": steps,
            });
            screen::print_json(&object)?;
        }
        Format::Text if steps.is_empty() => {
            screen::print(&format!(
                "lab {} is at {to}: nothing to do\n",
                lab.spec.name
            ))?;
        }
        Format::Text => {
            let mut text = format!("lab {} goes from {} to {to}:\n", lab.spec.name, plan.from);
            let first = sent.iter().chain(&imported);
            text.extend(first.map(|line| format!("  {line}\n")));
            text.push_str(
                "  0. a snapshot of etcd and a copy of every node's files are put aside\n",
            );
            for (at, step) in steps.iter().enumerate() {
                let begun = if at < plan.begun { " (begun)" } else { "" };
                text.push_str(&format!("  {}. {step}{begun}\n", at + 1));
            }
            text.push_str("a step that fails is taken back; nothing has been done\n");
            screen::print(&text)?;
        }
    }
    Ok(Exit::DONE)
}

/// `lab upgrade`.
pub(crate) async fn upgrade(global: &Global, to: Version) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let command = next_steps::command(&lab, global);
    let interrupted = format!("interrupted; `{command} upgrade --to {to}` goes on from here");
    let (done, seconds) = with_progress(global, &lab, interrupted, async |reporter| {
        lab.upgrade(to, reporter).await
    })
    .await?;
    let name = &lab.spec.name;
    let backup = done.backup.as_ref().map(|backup| &backup.dir);
    match global.output {
        Format::Json => {
            let steps: Vec<String> = done.steps.iter().map(Step::to_string).collect();
            screen::print_json(&json!({ "result": {
                "changed": !steps.is_empty(), "from": done.from, "to": to, "steps": steps,
                "backup": backup, "seconds": seconds,
            }}))?;
        }
        Format::Text if done.steps.is_empty() => {
            screen::print(&format!("lab {name} is at {to}: nothing to do\n"))?;
        }
        Format::Text => {
            let backup = backup.map(|dir| format!("; what was before is in {}", dir.display()));
            screen::print(&format!(
                "lab {name} went from {} to {to} ({seconds:.1} s){}\n",
                done.from,
                backup.unwrap_or_default()
            ))?;
        }
    }
    Ok(Exit::DONE)
}
