//! Programs that have the terminal for themselves: here and inside machines.

use crate::exit::{Ended, Exit};
use anyhow::Context;
use cluster_lab::Lab;
use host_exec::{Command, Host};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Runs `command` on `host` with our terminal until it ends, and hands on its status.
///
/// # Errors
///
/// It cannot be started.
pub(crate) async fn run(host: &dyn Host, command: Command) -> anyhow::Result<Exit> {
    // Ctrl-C is for the program, which is in the same group of the terminal; we wait for what it does about it.
    let _ours = signal(SignalKind::interrupt()).context("cannot set up signals")?;
    let output = host.output(&command.interactive()).await?;
    Ok(Exit::of(output.status))
}

/// The machine of this name, if it runs.
///
/// # Errors
///
/// The lab has no such machine; the machines cannot be looked at.
pub(crate) async fn running(lab: &Lab, node: &str) -> anyhow::Result<Option<Arc<dyn Host>>> {
    let hosts = lab.hosts().await?;
    let host = hosts.into_iter().find(|(name, _)| name.as_str() == node);
    if let Some((_, host)) = host {
        return Ok(Some(host));
    }
    let network = lab.draft().await?.network;
    if network.machine(node).is_some() {
        return Ok(None);
    }
    let names: Vec<&str> = network
        .machines
        .iter()
        .map(|machine| machine.name.as_str())
        .collect();
    Err(Ended::bad_input(format!(
        "lab {} has no machine {node:?}; it has {}",
        lab.spec.name,
        names.join(", ")
    )))
}

/// As [`running`], for what only a running machine can do.
///
/// # Errors
///
/// Also when it is down.
pub(crate) async fn must_run(lab: &Lab, node: &str) -> anyhow::Result<Arc<dyn Host>> {
    let down = || format!("machine {node} is down; `lab up` brings it back");
    running(lab, node).await?.with_context(down)
}
