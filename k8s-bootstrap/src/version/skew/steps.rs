//! An upgrade in its order.

use super::{
    ClusterVersions, NODE_SKEW, NodeVersions, Program, RuntimeName, RuntimeVersion, SkewError,
    check,
};
use crate::{EtcdVersion, Shape, SupportedVersion};
use host_exec::HostName;
use pki::KubernetesVersion;
use std::fmt;

/// One step of an upgrade. The next may begin when it has succeeded and its probes pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Every etcd member becomes this version or later, one at a time and minor by minor, since the Kubernetes of
    /// the steps that follow asks for it.
    Etcd {
        /// The floor.
        at_least: EtcdVersion,
    },
    /// One control plane gets a new API server, and when that is ready a new controller manager and scheduler. Its
    /// kubelet stays: it may be answered by an API server that has not been upgraded yet.
    ControlPlane {
        /// The node.
        node: HostName,
        /// The version afterwards.
        to: SupportedVersion,
    },
    /// Every API server has the version: the objects of the cluster follow, CoreDNS among them, and with
    /// [`Shape::StaticPods`] the DaemonSet of kube-proxy.
    Objects {
        /// The version whose objects are written.
        to: SupportedVersion,
    },
    /// One node is drained, gets a new kubelet, with [`Shape::Services`] a new kube-proxy, and where it runs CRI-O
    /// the CRI-O of the same minor before both, and takes pods again.
    Node {
        /// The node.
        node: HostName,
        /// The version afterwards.
        to: SupportedVersion,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd { at_least } => {
                write!(f, "etcd: upgrade every member to {at_least} or later")
            }
            Self::ControlPlane { node, to } => write!(
                f,
                "{node}: upgrade kube-apiserver, then kube-controller-manager and kube-scheduler, to {to}"
            ),
            Self::Objects { to } => write!(f, "cluster: write the objects of {to}"),
            Self::Node { node, to } => write!(f, "{node}: drain, upgrade to {to}, uncordon"),
        }
    }
}

/// An upgrade that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The cluster breaks a rule already.
    #[error(transparent)]
    Skew(#[from] SkewError),
    /// Something is newer than the goal. Objects in etcd may have forms that the older API server cannot read.
    #[error(
        "{program} of {node} is {running}, newer than {to}; Kubernetes cannot go back, so ask for {running} or later"
    )]
    Downgrade {
        /// The program.
        program: Program,
        /// Its node.
        node: HostName,
        /// Its version.
        running: KubernetesVersion,
        /// What was asked for.
        to: KubernetesVersion,
    },
    /// No minor may be skipped, and nobody said which version of one to stop at.
    #[error(
        "going from {from} to {to} skips 1.{minor}; name a version of 1.{minor} to stop at, or upgrade to it first"
    )]
    SkippedMinor {
        /// The oldest version of the control plane.
        from: KubernetesVersion,
        /// What was asked for.
        to: KubernetesVersion,
        /// The minor between them.
        minor: u16,
    },
}

/// The ordered steps from what runs to `to`, stopping at the versions of `via` on minors between; none if everything
/// is there. After each of them [`check`] holds, so an upgrade that was killed goes on from where it is.
///
/// For each minor: etcd if its floor asks for it, control planes one at a time, the objects, then the kubelets of all
/// nodes one at a time, in the order of `running`. Kubelets come after *every* API server. A kubelet that lags behind
/// goes to the version of the API servers before these go where it could not be reached; so it skips minors, by
/// [`NODE_SKEW`] at most, which the policy allows to a drained kubelet.
///
/// A version of `via` that is on no minor between is not used. A minor that an API server runs already needs no entry.
///
/// # Errors
///
/// A rule is broken at the start, as by a kubelet further behind than [`NODE_SKEW`]; a program is newer than `to`, be
/// it by a patch; the API servers would skip a minor.
pub fn steps(
    running: &ClusterVersions,
    to: SupportedVersion,
    via: &[SupportedVersion],
) -> Result<Vec<Step>, UpgradeError> {
    check(running)?;
    refuse_downgrade(running, to.version())?;
    let mut now = running.clone();
    let mut steps = Vec::new();
    for stop in stops(running, to, via)? {
        stop_at(&mut now, stop, &mut steps);
    }
    Ok(steps)
}

fn refuse_downgrade(running: &ClusterVersions, to: KubernetesVersion) -> Result<(), UpgradeError> {
    for node in &running.nodes {
        let newer = node.programs().into_iter().find(|(_, own)| *own > to);
        if let Some((program, running)) = newer {
            return Err(UpgradeError::Downgrade {
                program,
                node: node.name.clone(),
                running,
                to,
            });
        }
    }
    Ok(())
}

/// One version of every minor above that of the oldest program of the control plane, `to` last. The minor that runs
/// comes first where a kubelet or proxy lags so far behind that the next would leave it out of reach.
fn stops(
    running: &ClusterVersions,
    to: SupportedVersion,
    via: &[SupportedVersion],
) -> Result<Vec<SupportedVersion>, UpgradeError> {
    let control_planes = running.nodes.iter().filter_map(|node| node.control_plane);
    let oldest = control_planes
        .flat_map(|own| [own.api_server, own.controller_manager, own.scheduler])
        .min();
    let from = oldest.ok_or(SkewError::NoApiServer)?;
    let servers = |minor| {
        let all = running.api_servers().map(|(_, version)| version);
        all.filter(move |version| version.minor == minor).max()
    };
    let lagging = running
        .nodes
        .iter()
        .map(|node| node.kubelet.min(node.kube_proxy).minor)
        .any(|minor| minor.saturating_add(NODE_SKEW) <= from.minor);
    let first = servers(from.minor).filter(|_| lagging && from.minor < to.version().minor);
    let mut stops = Vec::from_iter(first);
    for minor in from.minor.saturating_add(1)..to.version().minor {
        let wanted = via.iter().map(|stop| stop.version());
        let wanted = wanted.filter(|version| version.minor == minor);
        let stop = wanted.chain(servers(minor)).max();
        stops.push(stop.ok_or(UpgradeError::SkippedMinor {
            from,
            to: to.version(),
            minor,
        })?);
    }
    let mut stops = stops
        .into_iter()
        .map(SupportedVersion::unsupported)
        .collect::<Result<Vec<_>, _>>()
        .map_err(SkewError::from)?;
    stops.push(to);
    Ok(stops)
}

/// Appends the steps to one version, and does them to `now`.
fn stop_at(now: &mut ClusterVersions, stop: SupportedVersion, steps: &mut Vec<Step>) {
    let to = stop.version();
    if now.etcd.is_some_and(|etcd| etcd < stop.etcd_floor()) {
        let at_least = stop.etcd_floor();
        now.etcd = Some(at_least);
        steps.push(Step::Etcd { at_least });
    }
    let control_planes: Vec<Step> = now
        .nodes
        .iter_mut()
        .filter_map(|node| {
            upgrade_control_plane(node, to).then(|| Step::ControlPlane {
                node: node.name.clone(),
                to: stop,
            })
        })
        .collect();
    let proxies = now.nodes.iter_mut().map(|node| &mut node.kube_proxy);
    let daemon_set = now.shape == Shape::StaticPods && upgrade_all(proxies, to);
    let nodes: Vec<Step> = now
        .nodes
        .iter_mut()
        .filter_map(|node| {
            upgrade_node(node, to).then(|| Step::Node {
                node: node.name.clone(),
                to: stop,
            })
        })
        .collect();
    let objects = daemon_set || !control_planes.is_empty() || !nodes.is_empty();
    steps.extend(control_planes);
    steps.extend(objects.then_some(Step::Objects { to: stop }));
    steps.extend(nodes);
}

/// Whether any had to change.
fn upgrade_all<'a>(
    programs: impl IntoIterator<Item = &'a mut KubernetesVersion>,
    to: KubernetesVersion,
) -> bool {
    let mut changed = false;
    for own in programs {
        changed |= *own < to;
        *own = to.max(*own);
    }
    changed
}

fn upgrade_control_plane(node: &mut NodeVersions, to: KubernetesVersion) -> bool {
    node.control_plane.as_mut().is_some_and(|own| {
        let programs = [
            &mut own.api_server,
            &mut own.controller_manager,
            &mut own.scheduler,
        ];
        upgrade_all(programs, to)
    })
}

fn upgrade_node(node: &mut NodeVersions, to: KubernetesVersion) -> bool {
    let changed = upgrade_all([&mut node.kubelet, &mut node.kube_proxy], to);
    if let Some(runtime) = &mut node.runtime
        && runtime.name == RuntimeName::Crio
    {
        let kubelet = node.kubelet;
        *runtime = RuntimeVersion::new(RuntimeName::Crio, kubelet.major, kubelet.minor);
    }
    changed
}
