//! Verbs about one node of the cluster: `node drain`, `node uncordon`, `node reset`.

use super::change::with_progress;
use crate::{
    args::{DrainArgs, Format, Global, NodeVerb},
    exit::{Ended, Exit},
    screen, wanted,
};
use cluster_lab::NodeWish;
use host_exec::HostName;
use k8s_bootstrap::retire::DrainOptions;
use serde_json::json;
use std::time::Duration;

/// `lab node ...`, and with `--dry-run` what it would do.
pub(crate) async fn node(global: &Global, verb: NodeVerb) -> anyhow::Result<Exit> {
    let (node, wish) = match &verb {
        NodeVerb::Drain { node, how } => (node, NodeWish::Drain(options(how))),
        NodeVerb::Uncordon { node } => (node, NodeWish::Uncordon),
        NodeVerb::Reset { node, how } => (node, NodeWish::Reset(options(how))),
    };
    let name: HostName = node
        .parse()
        .map_err(|error| Ended::bad_input(format!("{node:?} is no name of a node: {error}")))?;
    let lab = wanted::existing(global)?;
    if global.dry_run {
        let plan = lab.plan_node(&name, wish).await?;
        return told(global, &name, &plan, "would be done");
    }
    let interrupted = format!(
        "interrupted; the same command goes on, `lab node uncordon {name}` gives the node back"
    );
    let (plan, _) = with_progress(global, &lab, interrupted, async |reporter| {
        lab.node(&name, wish, reporter).await
    })
    .await?;
    told(global, &name, &plan, "done")
}

fn options(how: &DrainArgs) -> DrainOptions {
    DrainOptions {
        force: how.force,
        delete_emptydir_data: how.delete_emptydir_data,
        grace_period: how.grace_period.map(Duration::from_secs),
        timeout: Duration::from_secs(how.timeout),
    }
}

fn told(global: &Global, node: &HostName, steps: &[String], word: &str) -> anyhow::Result<Exit> {
    match global.output {
        Format::Json => {
            screen::print_json(&json!({ "node": node.as_str(), "steps": steps }))?;
        }
        Format::Text if steps.is_empty() => {
            screen::print(&format!("{node}: nothing to do\n"))?;
        }
        Format::Text => screen::print(&format!("{}\n{word}\n", steps.join("\n")))?,
    }
    Ok(Exit::DONE)
}
