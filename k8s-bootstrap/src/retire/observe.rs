//! How a node stands: its Node and its pods as the API has them, and its kubelet as its machine has it.

use super::{PodFound, RetireError, pods::on_node};
use crate::{
    Api, Desired, Hosts, ObjectKey, Readiness,
    component::kubelet,
    observe::{self, holds},
};
use futures::future::join_all;
use host_exec::{
    HostName,
    poll::{self, Attempt, Wait, WaitError},
    systemd::{self, UnitName, UnitState},
};
use serde_json::Value;
use std::time::Duration;

/// For an API server that is ready. One that is started anew takes 3 s on a quiet machine.
const API_LIMIT: Duration = Duration::from_secs(30);

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

/// What the API has of it; its machine is not asked, and may be silent.
async fn see(api: &Api, node: &HostName) -> Result<NodeFound, RetireError> {
    let key = ObjectKey::node(node.as_str());
    let (live, pods) = futures::try_join!(api.get(&key), api.list("v1", "Pod"))?;
    let unschedulable = |live: &Value| live["spec"]["unschedulable"] == true;
    Ok(NodeFound {
        name: node.clone(),
        exists: live.is_some(),
        unschedulable: live.as_ref().is_some_and(unschedulable),
        ready: live.as_ref().is_some_and(|live| holds(live, "Ready")),
        pods: on_node(&pods, node.as_str()),
        kubelet: None,
    })
}

pub(super) async fn see_kubelet(
    hosts: &Hosts,
    node: &HostName,
) -> Result<Option<UnitState>, RetireError> {
    let Some(host) = hosts.get(node) else {
        return Ok(None);
    };
    let states = systemd::states(&**host, &[kubelet_unit()]).await?;
    Ok(states.into_values().next())
}

pub(super) fn kubelet_unit() -> UnitName {
    kubelet::UNIT.parse().expect("a constant is a unit name")
}

/// An API server that is ready and what it has of the node, as soon as there is one: it may just be started anew, or late on
/// a busy machine.
pub(super) async fn await_found(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
) -> Result<(Api, NodeFound), RetireError> {
    let wait = Wait::new("ready API server", desired.spec.patient(API_LIMIT));
    let look = || async {
        let seen = async {
            let api = ready_api(desired, hosts, node).await?;
            let found = see(&api, node).await?;
            Ok((api, found))
        };
        match seen.await {
            Ok(seen) => Ok(Attempt::Ready(seen)),
            Err(RetireError::NoApi { last, .. }) => Ok(Attempt::NotYet(last)),
            Err(RetireError::Api(error)) if error.is_of_the_moment() => {
                Ok(Attempt::NotYet(format!("{error}: {}", error.source)))
            }
            Err(error) => Err(error),
        }
    };
    poll::until(&wait, look).await.map_err(|error| match error {
        WaitError::TimedOut { last, .. } => {
            let node = node.clone();
            RetireError::NoApi { node, last }
        }
        WaitError::Failed(error) => error,
    })
}

/// An API server that is ready; the node's own only where there is no other, since it may be about to stop. A control
/// plane without a host is passed over.
async fn ready_api(desired: &Desired, hosts: &Hosts, node: &HostName) -> Result<Api, RetireError> {
    if !desired.nodes.contains_key(node) {
        return Err(RetireError::UnknownNode(node.clone()));
    }
    let mut apis = observe::apis_of_present(desired, hosts)?;
    apis.sort_by_key(|(name, _)| name == node);
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
