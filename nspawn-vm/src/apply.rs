//! Doing what a plan says: the only file of this crate, beside [`destroy`](crate::destroy), with effects.

use crate::{
    ApplyError, CgroupKind, Group, MachineSpec, ObserveError, Plan, Step, bridge_filter, destroy,
    machine, network::Change, network::Scope, observe, plan::NetworkChanges, settle, skeleton,
};
use host_exec::{Command, EventSink, Host, HostName, Stdin};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

const SUPERVISOR: &str = include_str!("scripts/supervisor.sh");

/// Does the steps of `plan` on `host`, which is this machine, and returns when every machine's systemd answers.
///
/// Machines boot at the same time. `patience` is how long one may take to come up.
///
/// # Errors
///
/// The first step that fails, with the machine and where to look. Steps before it are done; another
/// [`observe`](crate::observe) and [`plan`](crate::plan) go on from there.
pub async fn apply(
    group: &Group,
    plan: &Plan,
    kind: CgroupKind,
    host: &dyn Host,
    patience: Duration,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    if plan.is_empty() {
        return Ok(());
    }
    let starting: BTreeSet<&HostName> = plan.machines_to_start().collect();
    let machines = starting.iter().map(|name| spec(group, name));
    let machines = machines.collect::<Result<Vec<_>, _>>()?;
    make_places(group)?;
    for step in &plan.steps {
        match step {
            Step::Skeleton => {
                let to = group.places.skeleton();
                skeleton::make(&to).map_err(|source| ApplyError::Make { path: to, source })?;
            }
            Step::Network(changes) => network(changes, host, events).await?,
            Step::Router { .. } => router(group, host, events).await?,
            Step::Clear { machine } => {
                destroy::end_machine(&group.name, machine.as_str(), host, kind).await?
            }
            Step::Prepare { machine, .. } => {
                let path = group.places.machine(machine);
                machine::prepare(group, spec(group, machine)?)
                    .map_err(|source| ApplyError::Make { path, source })?;
            }
            Step::Start { .. } | Step::Await { .. } => {}
        }
    }
    let starts = machines
        .iter()
        .map(|machine| start(group, machine, kind, host, events));
    futures::future::try_join_all(starts).await?;
    let awaited: BTreeSet<&HostName> = plan.machines_to_await().collect();
    for name in &awaited {
        events.started(name.as_str(), "boot");
    }
    settle::settle(group, &starting, &awaited, patience, events).await
}

fn spec<'g>(group: &'g Group, name: &HostName) -> Result<&'g MachineSpec, ApplyError> {
    let found = group.machines.iter().find(|machine| machine.name == *name);
    found.ok_or_else(|| ApplyError::ForeignPlan {
        machine: name.clone(),
    })
}

fn make_places(group: &Group) -> Result<(), ApplyError> {
    for (path, mode) in [(group.places.state(), 0o700), (group.places.run(), 0o700)] {
        let make = fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path);
        make.map_err(|source| ApplyError::Make {
            path: path.to_owned(),
            source,
        })?;
    }
    let state = group.places.state();
    let system = statfs(state).map_err(|e| ApplyError::Make {
        path: state.to_owned(),
        source: e.into(),
    })?;
    if system.filesystem_type() == OVERLAYFS_SUPER_MAGIC {
        return Err(ApplyError::OnOverlay {
            path: state.to_owned(),
        });
    }
    write_script(&script_path(group))
}

fn script_path(group: &Group) -> PathBuf {
    group.places.state().join("supervisor.sh")
}

/// A running shell reads its script as it goes: it is never written over, only replaced.
fn write_script(path: &Path) -> Result<(), ApplyError> {
    if fs::read_to_string(path).is_ok_and(|text| text == SUPERVISOR) {
        return Ok(());
    }
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        fs::write(&new, SUPERVISOR)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
        fs::rename(&new, path)
    };
    write().map_err(|source| ApplyError::Make {
        path: path.to_owned(),
        source,
    })
}

/// Hands the commands to `ip -batch`: first those that make namespaces and wires, then each namespace its own.
async fn network(
    changes: &NetworkChanges,
    host: &dyn Host,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    let step = "network";
    events.started("", step);
    let made = |change: &&Change| {
        change.line.starts_with("netns ")
            || change.line.starts_with("link add ") && change.scope == Scope::Host
    };
    let (wires, inside): (Vec<_>, Vec<_>) = changes.commands.iter().partition(made);
    mark_netns_dir(host).await?;
    batch(&Scope::Host, &wires, host).await?;
    let scopes: BTreeSet<&Scope> = inside.iter().map(|change| &change.scope).collect();
    let batches = scopes.into_iter().map(|scope| {
        let lines: Vec<_> = inside
            .iter()
            .copied()
            .filter(|change| change.scope == *scope)
            .collect();
        async move { batch(scope, &lines, host).await }
    });
    futures::future::try_join_all(batches).await?;
    events.done("", step, &format!("{} commands", changes.commands.len()));
    Ok(())
}

async fn batch(scope: &Scope, changes: &[&Change], host: &dyn Host) -> Result<(), ApplyError> {
    if changes.is_empty() {
        return Ok(());
    }
    let text: String = changes
        .iter()
        .map(|change| format!("{}\n", change.line))
        .collect();
    let command = match scope {
        Scope::Host => Command::new("ip"),
        Scope::Named(name) => Command::new("ip").args(["-n", name]),
    };
    let command = command
        .args(["-batch", "-"])
        .stdin(Stdin::Bytes(text.into_bytes()));
    host.run(&command)
        .await
        .map(drop)
        .map_err(ApplyError::Network)
}

/// `ip netns add` makes /run/netns a mount of itself and never takes that back; if it was not there before us,
/// the last group to go takes it away.
async fn mark_netns_dir(host: &dyn Host) -> Result<(), ApplyError> {
    let is_mount = Command::new("mountpoint").args(["--quiet", destroy::NETNS_DIR]);
    let there = host
        .output(&is_mount)
        .await
        .map_err(ApplyError::Network)?
        .status
        .success();
    if there {
        return Ok(());
    }
    let mark = PathBuf::from(destroy::NETNS_MARK);
    fs::write(&mark, "").map_err(|source| ApplyError::Make { path: mark, source })
}

async fn router(group: &Group, host: &dyn Host, events: &dyn EventSink) -> Result<(), ApplyError> {
    let step = "router rules";
    events.started("", step);
    bridge_filter::load(host)
        .await
        .map_err(|failed| match failed {
            bridge_filter::Failed::Run(error) => ApplyError::Network(error),
            bridge_filter::Failed::File(path, source) => ApplyError::Make {
                path: path.into(),
                source,
            },
        })?;
    // In a new network namespace bridged frames pass the forward rules (br_netfilter's default), and a
    // drop policy would cut a network off from itself.
    let settings = [
        "net.ipv4.ip_forward=1",
        "net.ipv6.conf.all.forwarding=1",
        "net.bridge.bridge-nf-call-iptables=0",
        "net.bridge.bridge-nf-call-ip6tables=0",
        "net.bridge.bridge-nf-call-arptables=0",
    ];
    let sysctl = Command::new("sysctl")
        .args(["--quiet", "--write"])
        .args(settings);
    host.run(&observe::in_router(group, sysctl))
        .await
        .map_err(ApplyError::Network)?;
    if !group.router.rules.is_empty() {
        let load = observe::in_router(group, Command::new("nft").args(["--file", "-"]))
            .stdin(Stdin::Bytes(group.router.rules.clone().into_bytes()));
        host.run(&load).await.map_err(ApplyError::Network)?;
    }
    let record = observe::rules_record(group);
    let fingerprint =
        observe::rules_fingerprint(group, host)
            .await
            .map_err(|error| match error {
                ObserveError::Run(run) => ApplyError::Network(run),
                other => ApplyError::Make {
                    path: record.clone(),
                    source: io::Error::other(other),
                },
            })?;
    fs::write(&record, fingerprint).map_err(|source| ApplyError::Make {
        path: record,
        source,
    })?;
    events.done(
        "",
        step,
        &format!("{} lines loaded", group.router.rules.lines().count()),
    );
    Ok(())
}

async fn start(
    group: &Group,
    machine: &MachineSpec,
    kind: CgroupKind,
    host: &dyn Host,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    let name = &machine.name;
    events.started(name.as_str(), "boot");
    if kind == CgroupKind::CgroupV2 {
        // A service that failed keeps its name until it is told that somebody has seen it.
        let service = machine::service(&group.name, name.as_str());
        let _ = host
            .output(&Command::new("systemctl").args(["reset-failed", "--quiet", &service]))
            .await;
    }
    let command = machine::start_command(group, machine, kind, &script_path(group));
    let console = group.places.console_log(name);
    host.run(&command)
        .await
        .map(drop)
        .map_err(|source| ApplyError::Start {
            machine: name.clone(),
            console,
            source,
        })
}
