//! Draining a node, giving it back, and removing it.

use super::{
    DrainOptions, NodeFound, RetireError, RetirePlan, RetireStep,
    evict::Evicting,
    observe::{await_found, kubelet_unit, see_kubelet},
    plan_drain, plan_remove, plan_uncordon, requests,
};
use crate::{Api, Desired, Hosts, ObjectKey, observe};
use host_exec::{EventSink, Host, HostName, systemd};

/// Keeps new pods away from a node and evicts those that are there through the Eviction API, which honours
/// PodDisruptionBudgets. Pods of DaemonSets and static pods stay. Returns what was planned and done. Half a minute is waited
/// for an API server that is ready.
///
/// # Errors
///
/// Pods need consent (nothing is touched then), the time is over (the node stays cordoned), or the API refuses. A node
/// that is drained already is *not* an error.
pub async fn drain(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
    options: DrainOptions,
    events: &dyn EventSink,
) -> Result<RetirePlan, RetireError> {
    let (api, found) = await_found(desired, hosts, node).await?;
    let plan = plan_drain(&found, &options)?;
    carry_out(&api, hosts, &found, plan, &options, events).await
}

/// Lets a node take pods again.
///
/// # Errors
///
/// There is no such Node, or the API refuses.
pub async fn uncordon(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
    events: &dyn EventSink,
) -> Result<RetirePlan, RetireError> {
    let (api, found) = await_found(desired, hosts, node).await?;
    let plan = plan_uncordon(&found)?;
    let options = DrainOptions::default();
    carry_out(&api, hosts, &found, plan, &options, events).await
}

/// Takes a node out of its cluster for good: drains it, stops its kubelet and deletes its Node. The machine keeps its
/// files; [`reset`](super::reset()) removes those. A node without a host, whose machine has gone, is removed all the same.
///
/// `desired` is a state that still has the node.
///
/// # Errors
///
/// As [`drain`]; systemd of the node does not stop the kubelet.
pub async fn remove(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
    options: DrainOptions,
    events: &dyn EventSink,
) -> Result<RetirePlan, RetireError> {
    let (api, mut found) = await_found(desired, hosts, node).await?;
    found.kubelet = see_kubelet(hosts, node).await?;
    let plan = plan_remove(&found, &options)?;
    carry_out(&api, hosts, &found, plan, &options, events).await
}

async fn carry_out(
    api: &Api,
    hosts: &Hosts,
    found: &NodeFound,
    plan: RetirePlan,
    options: &DrainOptions,
    events: &dyn EventSink,
) -> Result<RetirePlan, RetireError> {
    let node = &plan.node;
    for step in &plan.steps {
        let name = step_name(step);
        events.started(node.as_str(), name);
        let evicting = Evicting {
            api,
            node,
            options,
            ends: found.ready,
            events,
        };
        match apply(&evicting, hosts, step).await {
            Ok(()) => events.done(node.as_str(), name, ""),
            Err(error) => {
                events.failed(node.as_str(), name, &error.to_string());
                return Err(error);
            }
        }
    }
    Ok(plan)
}

fn step_name(step: &RetireStep) -> &'static str {
    match step {
        RetireStep::Cordon => "cordon",
        RetireStep::Evict(_) => "drain",
        RetireStep::Uncordon => "uncordon",
        RetireStep::StopKubelet => "stop kubelet",
        RetireStep::DeleteNode => "delete Node",
    }
}

async fn apply(
    evicting: &Evicting<'_>,
    hosts: &Hosts,
    step: &RetireStep,
) -> Result<(), RetireError> {
    let (api, node) = (evicting.api, evicting.node.as_str());
    match step {
        RetireStep::Cordon => requests::cordon(api, node, true).await?,
        RetireStep::Uncordon => requests::cordon(api, node, false).await?,
        RetireStep::Evict(_) => evicting.until_gone().await?,
        RetireStep::StopKubelet => {
            let host = observe::host(hosts, evicting.node)?;
            end_kubelet(&**host).await?;
        }
        RetireStep::DeleteNode => api.delete(&ObjectKey::node(node)).await?,
    }
    Ok(())
}

/// Disabled first: killed in between, a reboot does not bring it back.
async fn end_kubelet(host: &dyn Host) -> Result<(), RetireError> {
    let kubelet = [kubelet_unit()];
    systemd::disable(host, &kubelet).await?;
    systemd::stop(host, &kubelet).await?;
    Ok(())
}
