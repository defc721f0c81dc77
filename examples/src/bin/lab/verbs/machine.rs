//! Verbs that run a program of the lab or in one of its machines: `kubectl`, `exec`, `shell`, `logs`.

use crate::{args::Global, exit::Exit, inside, settings, wanted};
use anyhow::{Context, bail};
use cluster_lab::{Lab, Machines};
use host_exec::Command;
use std::path::{Path, PathBuf};

/// `lab kubectl ...`.
pub(crate) async fn kubectl(global: &Global, args: Vec<String>) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let program = wanted::program_dir(&lab)?.join("kubectl");
    let kubeconfig = lab.state().kubeconfig();
    for file in [&program, &kubeconfig] {
        if !file.exists() {
            bail!("{} is not there; `lab up` makes it", file.display());
        }
    }
    lab.reach_api().await?;
    let command = Command::new(utf8(&program)?)
        .args(args)
        .env("KUBECONFIG", utf8(&kubeconfig)?)
        .env("KUBECACHEDIR", utf8(&lab.state().kubectl_cache())?);
    inside::run(lab.here(), command).await
}

/// `lab exec NODE -- ...`.
pub(crate) async fn exec(
    global: &Global,
    node: &str,
    command: Vec<String>,
) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let host = inside::must_run(&lab, node).await?;
    let mut words = command.into_iter();
    let program = words.next().context("no command is given")?;
    inside::run(
        host.as_ref(),
        on_this_terminal(Command::new(program).args(words)),
    )
    .await
}

/// `lab shell NODE`.
pub(crate) async fn shell(global: &Global, node: &str) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let host = inside::must_run(&lab, node).await?;
    inside::run(
        host.as_ref(),
        on_this_terminal(Command::new("bash").arg("-l")),
    )
    .await
}

/// Which lines `lab logs` shows.
pub(crate) struct Logs {
    pub(crate) unit: Option<String>,
    pub(crate) follow: bool,
    pub(crate) lines: Option<u32>,
}

/// `lab logs NODE [UNIT]`: asked inside while the machine runs; its journal is kept and read here when it is down.
pub(crate) async fn logs(global: &Global, node: &str, wanted: &Logs) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    match inside::running(&lab, node).await? {
        Some(host) => inside::run(host.as_ref(), journalctl(wanted)).await,
        None => {
            let journal = kept_journal(&lab, node).await?;
            if !journal.exists() {
                bail!(
                    "machine {node} is down, and it left no journal in {}",
                    journal.display()
                );
            }
            let command = journalctl(wanted).arg("--directory").arg(utf8(&journal)?);
            inside::run(lab.here(), command).await
        }
    }
}

/// journalctl(1). No pager: it would have to be one that the machine has, and a pipe is easily made.
fn journalctl(wanted: &Logs) -> Command {
    let mut command = Command::new("journalctl").arg("--no-pager");
    if let Some(unit) = &wanted.unit {
        command = command.arg("--unit").arg(unit);
    }
    if wanted.follow {
        command = command.arg("--follow");
    }
    if let Some(lines) = wanted.lines {
        command = command.arg("--lines").arg(lines.to_string());
    }
    command
}

/// Where the journal of a machine is kept on this host.
async fn kept_journal(lab: &Lab, node: &str) -> anyhow::Result<PathBuf> {
    let Machines::Namespaces(group) = lab.draft().await?.machines else {
        bail!(
            "machine {node} is down, and its journal is on its disk; `lab up` or `lab vm start {node}` brings it back"
        );
    };
    let machine = group
        .machines
        .iter()
        .find(|machine| machine.name.as_str() == node);
    let machine = machine.context("a planned machine is not in the group")?;
    let logs = machine
        .data
        .iter()
        .find(|data| data.target == Path::new("/var/log"));
    let logs = logs.context("this machine keeps no journal")?;
    Ok(group.places.data(&machine.name, logs).join("journal"))
}

/// Programs on a terminal have to know what it understands.
fn on_this_terminal(command: Command) -> Command {
    match settings::terminal_kind() {
        Some(kind) => command.env("TERM", kind),
        None => command,
    }
}

fn utf8(path: &Path) -> anyhow::Result<&str> {
    let not = || format!("{} is not UTF-8; choose another directory", path.display());
    path.to_str().with_context(not)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journalctl_is_asked_for_what_is_wanted() {
        let all = Logs {
            unit: None,
            follow: false,
            lines: None,
        };
        assert_eq!(journalctl(&all).to_string(), "journalctl --no-pager");
        let some = Logs {
            unit: Some("kubelet".into()),
            follow: true,
            lines: Some(5),
        };
        assert_eq!(
            journalctl(&some).to_string(),
            "journalctl --no-pager --unit kubelet --follow --lines 5"
        );
    }
}
