//! Doing what a plan of a reset says.

use super::{
    BRIDGE, Leftover, PODS_SLICE, ResetError, ResetPlan, ResetStep, plan_reset, see_machine,
};
use crate::{Desired, Hosts, Route, component::Place, observe};
use host_exec::{
    Command, EventSink, Host, HostName, RunError,
    systemd::{self, UnitName},
};
use std::{path::PathBuf, time::Duration};

/// For the end of all containers: systemd gives each scope 90 s before it kills (`DefaultTimeoutStopSec`).
const END_LIMIT: Duration = Duration::from_secs(150);

/// Makes a machine clean, and reports what is still there; nothing, if all went well. A clean machine is left alone.
///
/// # Errors
///
/// The node is not in the desired state, has no host, or the first step that failed.
pub async fn reset(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
    events: &dyn EventSink,
) -> Result<Vec<Leftover>, ResetError> {
    let plan = plan_reset(desired, node, &see_machine(desired, hosts, node).await?)?;
    if plan.is_empty() {
        return Ok(Vec::new());
    }
    apply(desired, hosts, &plan, "reset", events).await?;
    let left = plan_reset(desired, node, &see_machine(desired, hosts, node).await?)?;
    Ok(left
        .steps
        .into_iter()
        .map(|step| Leftover { step })
        .collect())
}

pub(super) async fn apply(
    desired: &Desired,
    hosts: &Hosts,
    plan: &ResetPlan,
    what: &str,
    events: &dyn EventSink,
) -> Result<(), ResetError> {
    let (name, host) = (plan.node.as_str(), &**observe::host(hosts, &plan.node)?);
    events.started(name, what);
    for step in &plan.steps {
        let line = step.to_string();
        events.running(name, what, line.lines().next().unwrap_or_default());
        if let Err(error) = step_done(desired, plan, host, step).await {
            events.failed(name, what, &error.to_string());
            return Err(error);
        }
    }
    events.done(name, what, "");
    Ok(())
}

async fn step_done(
    desired: &Desired,
    plan: &ResetPlan,
    host: &dyn Host,
    step: &ResetStep,
) -> Result<(), ResetError> {
    match step {
        ResetStep::Stop(units) => {
            systemd::disable(host, units).await?;
            systemd::stop(host, units).await?;
        }
        ResetStep::EndPods => {
            // All scopes of containers are inside, and stop with it.
            let stop = Command::new("systemctl").args(["stop", "--", PODS_SLICE]);
            host.run(&stop.timeout(END_LIMIT)).await?;
        }
        ResetStep::EndRuntime(unit) => end_runtime(host, unit).await?,
        ResetStep::Unmount(mounts) => {
            for mount in mounts {
                let path = mount.to_string_lossy().into_owned();
                host.run(&Command::new("umount").args(["--", &path]))
                    .await?;
            }
        }
        ResetStep::RemoveNamespaces(names) => {
            for name in names {
                host.run(&Command::new("ip").args(["netns", "delete", name]))
                    .await?;
            }
        }
        ResetStep::RemoveBridge => {
            let delete = Command::new("ip").args(["link", "delete", "dev", BRIDGE]);
            host.run(&delete).await?;
        }
        ResetStep::RemoveRoutes(routes) => remove_routes(host, routes).await?,
        ResetStep::RemoveTables(families) => {
            for family in families {
                let delete = ["delete", "table", family, "kube-proxy"];
                host.run(&Command::new("nft").args(delete)).await?;
            }
        }
        ResetStep::RemoveChains => {
            let program = program(desired, &plan.node)?;
            host.run(&Command::new(program).arg("--cleanup")).await?;
        }
        ResetStep::Empty(dirs) => empty(host, dirs).await?,
        ResetStep::RemoveFiles(files) => {
            for file in files {
                host.remove_file(file).await?;
            }
            systemd::daemon_reload(host).await?;
        }
    }
    Ok(())
}

fn program(desired: &Desired, node: &HostName) -> Result<String, ResetError> {
    let place = Place::of(&desired.spec, node);
    let place = place.ok_or_else(|| ResetError::UnknownNode(node.clone()))?;
    Ok(place.program("kube-proxy"))
}

/// The routes that the spec gives a node.
pub(super) fn routes_of<'d>(desired: &'d Desired, node: &HostName) -> &'d [Route] {
    Place::of(&desired.spec, node).map_or(&[], |place| &place.node.routes)
}

/// A runtime leaves the shims in its cgroup when it stops (`KillMode=process`), so all are killed before that; what it
/// keeps on disk is made for being killed.
async fn end_runtime(host: &dyn Host, unit: &UnitName) -> Result<(), RunError> {
    let units = std::slice::from_ref(unit);
    systemd::disable(host, units).await?;
    let states = systemd::states(host, units).await?;
    if states.values().any(systemd::UnitState::is_up) {
        let kill = [
            "kill",
            "--kill-who=all",
            "--signal=SIGKILL",
            "--",
            unit.as_str(),
        ];
        host.run(&Command::new("systemctl").args(kill)).await?;
    }
    systemd::stop(host, units).await?;
    Ok(())
}

async fn remove_routes(host: &dyn Host, routes: &[Route]) -> Result<(), RunError> {
    for route in routes {
        let (to, via) = (route.to.trunc().to_string(), route.via.to_string());
        let family = if route.via.is_ipv4() { "-4" } else { "-6" };
        let delete = ["route", "delete", &to, "via", &via];
        host.run(&Command::new("ip").arg(family).args(delete))
            .await?;
    }
    Ok(())
}

/// Nothing is mounted below any more, or the step before had failed; `-xdev` is for what was mounted since.
async fn empty(host: &dyn Host, dirs: &[PathBuf]) -> Result<(), RunError> {
    for dir in dirs {
        let dir = dir.to_string_lossy().into_owned();
        let delete = [dir.as_str(), "-xdev", "-mindepth", "1", "-delete"];
        host.run(&Command::new("find").args(delete)).await?;
    }
    Ok(())
}
