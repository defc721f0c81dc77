//! A step of an upgrade as a desired state, and the proof that it came true.
//!
//! [`skew::steps`](crate::skew::steps) orders an upgrade. Each of its steps is one more desired state, made by
//! [`advanced`] and reached like any other: observed, planned, applied. So a step that was killed is finished by
//! doing it again, and the way back is to apply the state before.

use crate::{
    Api, ApiError, ClusterSpec, Desired, Hosts, NodePart, NodePath, NodePrograms, ObserveError,
    Readiness, Shape,
    component::Place,
    kubeadm,
    observe::{self, holds},
    skew::Step,
};
use host_exec::{
    HostName,
    poll::{self, Attempt, Wait, WaitError},
    systemd,
};
use serde_json::Value;
use std::{cell::Cell, collections::BTreeMap, convert::Infallible, time::Duration};

/// For a node to say its new version: the kubelet registers within 2 s of its start, and is Ready a moment later.
const CONFIRM_LIMIT: Duration = Duration::from_secs(40);
/// For static pods beside that, which a kubelet may make anew: half a minute of grace, and their probes.
const PODS_LIMIT: Duration = Duration::from_secs(150);
/// How often in a row, and how long after each other at most, a control plane of static pods has to be as asked for, 6 s at
/// least: a kubelet of another minor takes the pods of the one before for others, since their UID is a digest of all
/// fields that it knows (`applyDefaults`, pkg/kubelet/config/common.go), and ends them in its first 2 s.
const LOOKS: u8 = 13;
const PAUSE: Duration = Duration::from_millis(500);

/// The cluster after a step. `bin_dir` is where the programs of the step's version lie on every node.
///
/// A node that a step does not mention keeps its programs. The objects come with the cluster's own version, so at
/// [`Step::Objects`] that changes, and the nodes that are still to come keep the old programs as their own.
/// [`Step::Etcd`] changes nothing here: etcd is not this crate's.
#[must_use]
pub fn advanced(spec: &ClusterSpec, step: &Step, bin_dir: &NodePath) -> ClusterSpec {
    let mut spec = spec.clone();
    let (old_version, old_dir) = (spec.version, spec.bin_dir.clone());
    let own = |part, version, bin_dir: &NodePath| {
        Some(NodePrograms {
            part,
            version,
            bin_dir: bin_dir.clone(),
        })
    };
    match step {
        Step::Etcd { .. } => {}
        Step::ControlPlane { node, to } => {
            for plane in spec.control_planes.iter_mut().filter(|n| n.name == *node) {
                plane.programs = own(NodePart::ControlPlane, *to, bin_dir);
            }
        }
        Step::Objects { to } => {
            (spec.version, spec.bin_dir) = (*to, bin_dir.clone());
            for plane in &mut spec.control_planes {
                plane.programs = own(NodePart::Node, old_version, &old_dir);
            }
            for worker in &mut spec.workers {
                worker.programs = own(NodePart::All, old_version, &old_dir);
            }
        }
        Step::Node { node, .. } => {
            let nodes = spec.control_planes.iter_mut().chain(&mut spec.workers);
            for done in nodes.filter(|n| n.name == *node) {
                done.programs = None;
            }
        }
    }
    spec
}

/// A node does not become what it has to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// It did not come true in time.
    #[error(transparent)]
    TimedOut(#[from] WaitError<Infallible>),
}

/// Waits until a node runs the programs of its spec: its API server is ready and says their version, its kubelet too,
/// the node is Ready, and every service is up.
///
/// Applying a plan waits for what it starts; this asks what was started for its version, and sees a kubelet that ends
/// right after its start. Static pods have to stay what they are for a while after a kubelet has become another one.
///
/// # Errors
///
/// It did not come true in time; the message has what was last seen.
pub async fn confirm(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
) -> Result<(), ConfirmError> {
    let (limit, looks) = match replaces_static_pods(&desired.spec, node) {
        true => (CONFIRM_LIMIT + PODS_LIMIT, LOOKS),
        false => (CONFIRM_LIMIT, 1),
    };
    let limit = desired.spec.patient(limit);
    let wait = Wait::new(format!("programs of {node} that are as asked for"), limit);
    let wait = wait.longest_pause(PAUSE);
    let in_a_row = Cell::new(0);
    let looked = poll::until(&wait, || async {
        let why = match look(desired, hosts, node).await {
            Ok(None) => {
                in_a_row.set(in_a_row.get() + 1);
                if in_a_row.get() >= looks {
                    return Ok(Attempt::Ready(()));
                }
                return Ok(Attempt::NotYet(format!("so {} times", in_a_row.get())));
            }
            Ok(Some(why)) => why,
            Err(error) => error.to_string(),
        };
        in_a_row.set(0);
        Ok(Attempt::NotYet(why))
    });
    Ok(looked.await?)
}

/// Whether the kubelet of a control plane has static pods, and is the one that the cluster is to have in the end.
fn replaces_static_pods(spec: &ClusterSpec, node: &HostName) -> bool {
    let mut planes = spec.control_planes.iter();
    let is_last = planes.any(|plane| plane.name == *node && plane.programs.is_none());
    spec.shape == Shape::StaticPods && is_last
}

/// What is not as it has to be; `None` if nothing. The first thing found, in the order in which a person would look.
async fn look(
    desired: &Desired,
    hosts: &Hosts,
    name: &HostName,
) -> Result<Option<String>, ObserveError> {
    let Some(place) = Place::of(&desired.spec, name) else {
        return Ok(None);
    };
    let apis = observe::apis(desired, hosts)?;
    // A worker has none of its own.
    if let Some((_, own)) = apis.iter().find(|(node, _)| node == name)
        && let Some(why) = look_at_api(place, own).await?
    {
        return Ok(Some(why));
    }
    // Any that answers; the one of this node may be the only one.
    let mut found = None;
    for (_, api) in &apis {
        found = listed(&desired.spec, api).await.ok();
        if found.is_some() {
            break;
        }
    }
    let Some((nodes, pods)) = found else {
        return Ok(Some("no API server lists the nodes".to_owned()));
    };
    if let Some(why) = look_at_node(place, nodes.get(name.as_str())) {
        return Ok(Some(why));
    }
    let Some(setup) = desired.nodes.get(name) else {
        return Ok(None);
    };
    let lacking = kubeadm::lacking(name, setup, &pods);
    if !lacking.is_empty() {
        return Ok(Some(lacking.join("; ")));
    }
    let states = systemd::states(&**observe::host(hosts, name)?, &setup.units()).await?;
    let down = states.iter().find(|(_, state)| !state.is_up());
    Ok(down.map(|(unit, state)| format!("{unit} is {state}")))
}

async fn look_at_api(place: Place<'_>, api: &Api) -> Result<Option<String>, ApiError> {
    let readiness = api.readiness().await;
    if readiness != Readiness::Ready {
        return Ok(Some(format!("its API server is {readiness}")));
    }
    let found = api.version().await?;
    let wanted = version_word(place, NodePart::ControlPlane);
    Ok((found != wanted).then(|| format!("its API server is {found}, not {wanted}")))
}

/// `live` is its Node.
fn look_at_node(place: Place<'_>, live: Option<&Value>) -> Option<String> {
    let Some(live) = live else {
        return Some("it has no Node object".to_owned());
    };
    let found = live["status"]["nodeInfo"]["kubeletVersion"].as_str();
    let found = found.unwrap_or("unknown");
    let wanted = version_word(place, NodePart::Node);
    if found != wanted {
        return Some(format!("its kubelet is {found}, not {wanted}"));
    }
    (!holds(live, "Ready")).then(|| "it is not Ready".to_owned())
}

/// As programs say it of themselves, such as `v1.37.2`.
fn version_word(place: Place<'_>, part: NodePart) -> String {
    format!("v{}", place.version_of(part))
}

/// The nodes, and the pods where some of them are static.
async fn listed(spec: &ClusterSpec, api: &Api) -> Result<(Listed, Listed), ApiError> {
    let pods = match spec.shape {
        Shape::Services => Listed::new(),
        Shape::StaticPods => api.list("v1", "Pod").await?,
    };
    Ok((api.list("v1", "Node").await?, pods))
}

/// Objects by `namespace/name`.
type Listed = BTreeMap<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DualAddress, DualNet, NodeSpec, SupportedVersion,
        skew::{ClusterVersions, check, steps},
    };

    fn node(name: &str, number: u8) -> NodeSpec {
        NodeSpec {
            name: name.parse().expect("a host name"),
            address: DualAddress {
                v4: [10, 10, 1, number].into(),
                v6: [0xfd10, 1, 0, 0, 0, 0, 0, number.into()].into(),
            },
            pods: DualNet {
                v4: format!("10.244.{number}.0/24").parse().expect("a net"),
                v6: format!("fd44:0:0:{number}::/64").parse().expect("a net"),
            },
            routes: Vec::new(),
            programs: None,
        }
    }

    fn cluster(version: &str) -> ClusterSpec {
        let version: SupportedVersion = version.parse().expect("a version");
        let pods = DualNet {
            v4: "10.244.0.0/16".parse().expect("a net"),
            v6: "fd44::/48".parse().expect("a net"),
        };
        let etcd = vec!["10.10.0.10:2379".parse().expect("an address")];
        let mut spec = ClusterSpec::new(version, etcd, pods, node("cp-0", 10)).expect("a cluster");
        spec.control_planes.push(node("cp-1", 11));
        spec.workers.push(node("worker-0", 20));
        spec
    }

    #[test]
    fn each_step_keeps_the_rules_and_the_last_leaves_a_plain_cluster() {
        let (mut spec, goal) = (cluster("1.36.3"), "/opt/new".parse().expect("a path"));
        let to: SupportedVersion = "1.37.2".parse().expect("a version");
        let all = steps(&ClusterVersions::of(&spec), to, &[]).expect("steps");
        let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 2 + 1 + 3, "{shown:?}");
        for step in &all {
            let before = ClusterVersions::of(&spec);
            spec = advanced(&spec, step, &goal);
            check(&ClusterVersions::of(&spec)).expect("the rules hold after every step");
            let same = ClusterVersions::of(&spec) == before;
            assert_eq!(same, matches!(step, Step::Objects { .. }), "{step}");
        }
        let mut plain = cluster("1.37.2");
        plain.bin_dir = goal;
        // Names of images are the caller's.
        plain.images = spec.images.clone();
        assert_eq!(spec, plain);
    }
}
