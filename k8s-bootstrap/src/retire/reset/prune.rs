//! Taking from a node that stays what a changed spec no longer gives it: a balancer that has nothing to balance,
//! routes to the pods of a node that has gone.

use super::{
    Found, ResetError, ResetPlan, ResetStep, see_machine, setup,
    work::{self, routes_of},
};
use crate::{Desired, Hosts, Route};
use host_exec::{EventSink, HostName, systemd::UnitName};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What takes from a node all that it has of `was` and not of `is`. Pure; empty where nothing of that is there.
///
/// # Errors
///
/// The node is not in both.
pub fn plan_prune(
    was: &Desired,
    is: &Desired,
    node: &HostName,
    found: &Found,
) -> Result<ResetPlan, ResetError> {
    setup(was, node)?;
    let stays = setup(is, node)?;
    let units: BTreeSet<UnitName> = stays.units().into_iter().collect();
    let records = stays.services.iter().map(|service| &service.record.path);
    let files = stays.files.iter().map(|file| &file.path);
    let files: BTreeSet<&Path> = files.chain(records).map(PathBuf::as_path).collect();
    let ended = found
        .units
        .iter()
        .filter(|(unit, state)| !units.contains(*unit) && !state.is_at_rest());
    let ended: Vec<UnitName> = ended.map(|(unit, _)| unit.clone()).collect();
    let wanted = routes_of(is, node);
    let routes = found.routes.iter().filter(|route| !wanted.contains(route));
    let routes: Vec<Route> = routes.copied().collect();
    let gone = found
        .files
        .iter()
        .filter(|path| !files.contains(path.as_path()));
    let gone: Vec<PathBuf> = gone.cloned().collect();
    let mut steps = Vec::new();
    let mut push = |is_there: bool, step: ResetStep| steps.extend(is_there.then_some(step));
    push(!ended.is_empty(), ResetStep::Stop(ended));
    push(!routes.is_empty(), ResetStep::RemoveRoutes(routes));
    push(!gone.is_empty(), ResetStep::RemoveFiles(gone));
    let node = node.clone();
    Ok(ResetPlan { node, steps })
}

/// Takes from a node all that it has of `was` and not of `is`; returns what was planned and done. `is` has been
/// applied before: what still reads one of the files has been started anew without it.
///
/// # Errors
///
/// The node is not in both, has no host, or the first step that failed.
pub async fn prune(
    was: &Desired,
    is: &Desired,
    hosts: &Hosts,
    node: &HostName,
    events: &dyn EventSink,
) -> Result<ResetPlan, ResetError> {
    let plan = plan_prune(was, is, node, &see_machine(was, hosts, node).await?)?;
    if !plan.is_empty() {
        work::apply(was, hosts, &plan, "prune", events).await?;
    }
    Ok(plan)
}
