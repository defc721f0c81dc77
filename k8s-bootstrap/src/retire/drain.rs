//! Looking at a node, and draining it, giving it back or removing it.

use super::{
    DrainOptions, PodFound, PodName, PodPlace, RetireError,
    evict::{Evicting, blockers},
    pods::on_node,
    requests,
};
use crate::{
    Api, Desired, Hosts, ObjectKey, Readiness, component::kubelet, observe, observe::condition,
};
use futures::future::join_all;
use host_exec::{
    EventSink, Host, HostName,
    systemd::{self, UnitName, UnitState},
};
use serde_json::Value;
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFound {
    /// Its name.
    pub name: HostName,
    /// The API has a Node of this name.
    pub exists: bool,
    /// It takes no new pods.
    pub unschedulable: bool,
    /// Its kubelet says that it is Ready.
    pub ready: bool,
    /// Its pods.
    pub pods: Vec<PodFound>,
    /// Its kubelet's service; `None` where no host is given for it, since the machine has gone.
    pub kubelet: Option<UnitState>,
}

/// One thing that is done to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireStep {
    /// Keep new pods away.
    Cordon,
    /// Evict pods and wait until they have gone. Others that have come by then go too.
    Evict(Vec<PodName>),
    /// Take new pods again.
    Uncordon,
    /// Stop the kubelet, now and at every boot: it would make its Node again.
    StopKubelet,
    /// Delete the Node.
    DeleteNode,
}

/// Everything that is done to a node, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetirePlan {
    /// The node.
    pub node: HostName,
    /// What is done.
    pub steps: Vec<RetireStep>,
}

impl RetirePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for RetireStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cordon => f.write_str("cordon: no new pods"),
            Self::Evict(pods) if pods.is_empty() => f.write_str("evict what comes meanwhile"),
            Self::Evict(pods) => {
                let pods: Vec<String> = pods.iter().map(PodName::to_string).collect();
                write!(f, "evict and wait for {}", pods.join(" "))
            }
            Self::Uncordon => f.write_str("uncordon: new pods again"),
            Self::StopKubelet => f.write_str("stop and disable kubelet.service"),
            Self::DeleteNode => f.write_str("delete its Node"),
        }
    }
}

impl fmt::Display for RetirePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = self.steps.iter();
        steps.try_for_each(|step| writeln!(f, "{}: {step}", self.node))
    }
}

/// Looks at a node; changes nothing.
///
/// # Errors
///
/// It is not in the spec, no API server is ready, or systemd does not answer. A node without a Node in the API, and
/// one without a host, are *not* errors.
pub async fn see_node(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
) -> Result<NodeFound, RetireError> {
    let api = ready_api(desired, hosts, node).await?;
    Ok(NodeFound {
        kubelet: see_kubelet(hosts, node).await?,
        ..see(&api, node).await?
    })
}

async fn see(api: &Api, node: &HostName) -> Result<NodeFound, RetireError> {
    let key = ObjectKey::node(node.as_str());
    let (live, pods) = futures::try_join!(api.get(&key), api.list("v1", "Pod"))?;
    let unschedulable = |live: &Value| live["spec"]["unschedulable"] == true;
    Ok(NodeFound {
        name: node.clone(),
        exists: live.is_some(),
        unschedulable: live.as_ref().is_some_and(unschedulable),
        ready: live.as_ref().is_some_and(|live| condition(live, "Ready")),
        pods: on_node(&pods, node.as_str()),
        kubelet: None,
    })
}

async fn see_kubelet(hosts: &Hosts, node: &HostName) -> Result<Option<UnitState>, RetireError> {
    let Some(host) = hosts.get(node) else {
        return Ok(None);
    };
    let states = systemd::states(&**host, &[kubelet_unit()]).await?;
    Ok(states.into_values().next())
}

/// What drains a node. Pure; empty for one that is cordoned and has no pods that would go.
///
/// # Errors
///
/// There is no such Node, or pods need consent that the options do not give.
pub fn plan_drain(found: &NodeFound, options: &DrainOptions) -> Result<RetirePlan, RetireError> {
    if !found.exists {
        return Err(RetireError::NoNode(found.name.clone()));
    }
    let blockers = blockers(&found.pods, options);
    if !blockers.is_empty() {
        let node = found.name.clone();
        return Err(RetireError::Blocked { node, blockers });
    }
    let mut steps = Vec::new();
    if !found.unschedulable {
        steps.push(RetireStep::Cordon);
    }
    // What ends is waited for, unless nobody is there to end it.
    let goes = |pod: &&PodFound| match pod.place(options) {
        PodPlace::Goes => true,
        PodPlace::Ends => found.ready,
        PodPlace::Stays | PodPlace::Blocked(_) => false,
    };
    let pods: Vec<PodName> = found
        .pods
        .iter()
        .filter(goes)
        .map(|p| p.name.clone())
        .collect();
    // A pod may have come just before the node was cordoned.
    if !pods.is_empty() || !found.unschedulable {
        steps.push(RetireStep::Evict(pods));
    }
    let node = found.name.clone();
    Ok(RetirePlan { node, steps })
}

/// What gives a node back. Pure; empty for one that takes pods.
///
/// # Errors
///
/// There is no such Node.
pub fn plan_uncordon(found: &NodeFound) -> Result<RetirePlan, RetireError> {
    let node = found.name.clone();
    if !found.exists {
        return Err(RetireError::NoNode(node));
    }
    let uncordon = found.unschedulable.then_some(RetireStep::Uncordon);
    let steps = uncordon.into_iter().collect();
    Ok(RetirePlan { node, steps })
}

/// What removes a node for good. Pure; empty for one that has no Node and no kubelet that runs or will.
///
/// # Errors
///
/// Pods need consent that the options do not give.
pub fn plan_remove(found: &NodeFound, options: &DrainOptions) -> Result<RetirePlan, RetireError> {
    let node = found.name.clone();
    let mut steps = match found.exists {
        true => plan_drain(found, options)?.steps,
        false => Vec::new(),
    };
    let is_left = |kubelet: &UnitState| !kubelet.is_at_rest();
    if found.kubelet.as_ref().is_some_and(is_left) {
        steps.push(RetireStep::StopKubelet);
    }
    if found.exists {
        steps.push(RetireStep::DeleteNode);
    }
    Ok(RetirePlan { node, steps })
}

/// Keeps new pods away from a node and evicts those that are there through the Eviction API, which honours
/// PodDisruptionBudgets. Pods of DaemonSets and static pods stay. Returns what was planned and done.
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
    let api = ready_api(desired, hosts, node).await?;
    let found = see(&api, node).await?;
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
    let api = ready_api(desired, hosts, node).await?;
    let found = see(&api, node).await?;
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
    let api = ready_api(desired, hosts, node).await?;
    let found = NodeFound {
        kubelet: see_kubelet(hosts, node).await?,
        ..see(&api, node).await?
    };
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

fn kubelet_unit() -> UnitName {
    kubelet::UNIT.parse().expect("a constant is a unit name")
}

fn known(desired: &Desired, node: &HostName) -> Result<(), RetireError> {
    match desired.nodes.contains_key(node) {
        true => Ok(()),
        false => Err(RetireError::UnknownNode(node.clone())),
    }
}

/// An API server that is ready; the node's own only where there is no other, since it may be about to stop. A control
/// plane without a host is passed over.
async fn ready_api(desired: &Desired, hosts: &Hosts, node: &HostName) -> Result<Api, RetireError> {
    known(desired, node)?;
    let spec = &desired.spec;
    let timeout = spec.patient(Duration::from_secs(10));
    let mut apis = Vec::new();
    for control_plane in &spec.control_planes {
        let Some(host) = hosts.get(&control_plane.name) else {
            continue;
        };
        let address = SocketAddr::new(control_plane.address.v4.into(), spec.api_port);
        let (ca, identity) = (&desired.ca_pem, &desired.identity);
        let api = Api::new(Arc::clone(host), address, ca, identity, timeout)
            .map_err(observe::ObserveError::from)?;
        apis.push((&control_plane.name, api));
    }
    apis.sort_by_key(|(name, _)| *name == node);
    let looks = join_all(apis.iter().map(|(_, api)| api.readiness())).await;
    let ready = looks.iter().position(|look| *look == Readiness::Ready);
    match ready {
        Some(index) => Ok(apis.swap_remove(index).1),
        None => {
            let said = apis.iter().zip(&looks);
            let said: Vec<String> = said
                .map(|((name, _), look)| format!("{name} is {look}"))
                .collect();
            let last = said.join(", ");
            let node = node.clone();
            Err(RetireError::NoApi { node, last })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(unschedulable: bool, pods: &[(&str, bool)]) -> NodeFound {
        let pod = |(name, ending): &(&str, bool)| PodFound {
            name: PodName {
                namespace: "default".into(),
                name: (*name).to_owned(),
            },
            controller: Some("ReplicaSet".into()),
            mirror: false,
            empty_dir: false,
            finished: false,
            ending: *ending,
        };
        NodeFound {
            name: "worker-0".parse().expect("a host name"),
            exists: true,
            unschedulable,
            ready: true,
            pods: pods.iter().map(pod).collect(),
            kubelet: Some(UnitState {
                active: "active".into(),
                file: "enabled".into(),
                ..UnitState::default()
            }),
        }
    }

    #[test]
    fn a_plan_has_what_is_left_to_do() {
        let options = DrainOptions::default();
        let plan = |found: &NodeFound| plan_remove(found, &options).expect("a plan").to_string();
        let mut node = found(false, &[("a", false), ("b", true)]);
        assert_eq!(
            plan(&node),
            "worker-0: cordon: no new pods\n\
             worker-0: evict and wait for default/a default/b\n\
             worker-0: stop and disable kubelet.service\n\
             worker-0: delete its Node\n"
        );
        // Killed after each step.
        node.unschedulable = true;
        node.pods.remove(0);
        assert!(plan(&node).starts_with("worker-0: evict and wait for default/b\n"));
        // Nobody is there to end it.
        node.ready = false;
        assert!(plan_drain(&node, &options).expect("a plan").is_empty());
        node.pods.clear();
        assert!(plan(&node).starts_with("worker-0: stop and disable"));
        node.kubelet = Some(UnitState {
            active: "inactive".into(),
            file: "disabled".into(),
            ..UnitState::default()
        });
        assert_eq!(plan(&node), "worker-0: delete its Node\n");
        node.exists = false;
        assert_eq!(plan(&node), "");
        assert!(matches!(
            plan_drain(&node, &options),
            Err(RetireError::NoNode(_))
        ));
    }

    #[test]
    fn what_would_be_lost_is_named_with_the_consent() {
        let mut node = found(false, &[("a", false)]);
        node.pods[0].controller = None;
        let refused = plan_drain(&node, &DrainOptions::default()).expect_err("no consent");
        assert_eq!(
            refused.to_string(),
            "node worker-0 is not drained, since pods there would be lost:\n  default/a has no controller that would \
             make it again; consent with --force"
        );
        let force = DrainOptions {
            force: true,
            ..DrainOptions::default()
        };
        assert_eq!(plan_drain(&node, &force).expect("a plan").steps.len(), 2);
    }

    #[test]
    fn a_node_is_given_back_once() {
        assert_eq!(
            plan_uncordon(&found(true, &[])).expect("a plan").steps,
            [RetireStep::Uncordon]
        );
        assert!(
            plan_uncordon(&found(false, &[]))
                .expect("a plan")
                .is_empty()
        );
    }
}
