//! What each verb does.

mod certs;
mod certs_files;
mod change;
mod cis;
mod etcd;
mod etcd_care;
mod etcd_members;
mod here;
mod look;
mod machine;
mod network;
mod node;
mod upgrade;
mod vm;

use crate::{
    args::{Cli, Verb},
    exit::{Ended, Exit},
};
use anyhow::Context;
use std::time::Duration;
use tokio::runtime;

/// How long threads that download or write may go on after an interruption, before they are left behind.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Does what is asked for.
///
/// # Errors
///
/// It failed; nothing has been printed about that yet.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Exit> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of this program")?;
    let done = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(LAST_MOMENT);
    done
}

async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let global = &cli.global;
    if global.dry_run {
        only_looks_without_doing(&cli.verb)?;
    }
    match cli.verb {
        Verb::Plan(spec) => change::plan(global, &spec).await,
        Verb::Up { spec, .. } if global.dry_run => change::plan(global, &spec).await,
        Verb::Up {
            spec,
            timings,
            timings_svg,
        } => change::up(global, &spec, timings, timings_svg.as_deref()).await,
        Verb::Upgrade { to } if global.dry_run => upgrade::would_upgrade(global, to).await,
        Verb::Upgrade { to } => upgrade::upgrade(global, to).await,
        Verb::Programs { spec, only } => change::programs(global, &spec, only).await,
        Verb::Down { .. } if global.dry_run => change::would_remove(global).await,
        Verb::Down { purge } => change::down(global, purge).await,
        Verb::Status => look::status(global).await,
        Verb::Check { cis: false } => look::check(global).await,
        Verb::Check { cis: true } => cis::check(global).await,
        Verb::Doctor(on) => look::doctor(global, on).await,
        Verb::Console { node } => vm::console(global, &node).await,
        Verb::Node { verb } => node::node(global, verb).await,
        Verb::Etcd { verb } => etcd::etcd(global, verb).await,
        Verb::Vm { verb } => vm::vm(global, verb).await,
        Verb::Map { view } => network::map(global, view).await,
        Verb::Explain {
            from,
            to,
            port,
            protocol,
        } => {
            let flow = network::Flow {
                from,
                to,
                port,
                protocol,
            };
            network::explain(global, &flow).await
        }
        Verb::Certs { verb } => certs::certs(global, verb).await,
        Verb::Kubectl { args } => machine::kubectl(global, args).await,
        Verb::Exec { node, command } => machine::exec(global, &node, command).await,
        Verb::Shell { node } => machine::shell(global, &node).await,
        Verb::Logs {
            node,
            unit,
            follow,
            lines,
        } => {
            let wanted = machine::Logs {
                unit,
                follow,
                lines,
            };
            machine::logs(global, &node, &wanted).await
        }
        Verb::Kubeconfig { raw } => here::kubeconfig(global, raw).await,
        Verb::Init if global.dry_run => here::would_write(global),
        Verb::Init => here::init(global),
        Verb::Completions { shell } => here::completions(shell),
    }
}

/// Refuses `--dry-run` where it would be taken for a promise that nobody keeps.
fn only_looks_without_doing(verb: &Verb) -> anyhow::Result<()> {
    let (verb, instead) = match verb {
        Verb::Programs { .. } => (
            "programs",
            "`lab plan` lists the programs that would be got",
        ),
        Verb::Kubectl { .. } => (
            "kubectl",
            "give kubectl its own --dry-run=server behind the word",
        ),
        Verb::Exec { .. } => ("exec", "leave it out"),
        Verb::Shell { .. } => ("shell", "leave it out"),
        Verb::Console { .. } => ("console", "leave it out"),
        Verb::Vm { .. } => ("vm", "`lab vm explain` says what can be asked of a VM"),
        _ => return Ok(()),
    };
    Err(Ended::bad_input(format!(
        "`{verb}` cannot be tried with --dry-run; {instead}"
    )))
}
