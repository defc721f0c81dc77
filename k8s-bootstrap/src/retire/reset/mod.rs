//! Making a machine clean that was a node.
//!
//! What goes is what this crate has put there ([`NodeSetup`](crate::NodeSetup) and the records of its services), and what the programs that
//! it started have made for pods: containers, mounts, network namespaces, the bridge, routes and the proxy's rules.
//! Programs, images and everything of others stay. The Node of the API is not touched: see [`remove`](super::remove).

mod look;
mod prune;
mod work;

pub use look::see_machine;
pub use prune::{plan_prune, prune};
pub use work::reset;

use crate::{
    Desired, NodeSetup, ProxyMode, Route, UnknownHost,
    component::{Place, cni::BRIDGE},
};
use host_exec::{
    FileError, HostName, RunError,
    systemd::{UnitName, UnitState},
};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where all cgroups of pods are, with systemd as the driver.
const PODS_SLICE: &str = "kubepods.slice";
/// Directories whose contents our kubelet and our network plugins made, and nobody else.
const STATE_DIRS: [&str; 4] = [
    "/var/lib/kubelet",
    "/run/cni-addresses",
    "/var/lib/cni/results",
    "/var/lib/cni/cache",
];
/// Where the kubelet mounts the volumes of pods.
const KUBELET_DIR: &str = "/var/lib/kubelet";

/// What is there of a node on its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The state of each of our services.
    pub units: BTreeMap<UnitName, UnitState>,
    /// Cgroups of pods are there: containers may run.
    pub pods: bool,
    /// Mounts below the kubelet's directory, the innermost first.
    pub mounts: Vec<PathBuf>,
    /// Network namespaces of pods.
    pub namespaces: Vec<String>,
    /// The bridge of the pods is there.
    pub bridge: bool,
    /// Routes of the spec that are there.
    pub routes: Vec<Route>,
    /// nftables tables of kube-proxy, by family.
    pub tables: Vec<String>,
    /// The chains of a kube-proxy in its iptables mode are there.
    pub chains: bool,
    /// Directories of [`ResetStep::Empty`] that are not empty.
    pub state: Vec<PathBuf>,
    /// Files of ours.
    pub files: Vec<PathBuf>,
}

/// One thing that is done to the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResetStep {
    /// Stop services and have none start at boot.
    Stop(Vec<UnitName>),
    /// End every container.
    EndPods,
    /// End the container runtime with the shims that it leaves behind otherwise.
    EndRuntime(UnitName),
    /// Unmount what the kubelet has mounted for pods.
    Unmount(Vec<PathBuf>),
    /// Remove network namespaces of pods; their interfaces go with them.
    RemoveNamespaces(Vec<String>),
    /// Remove the bridge of the pods.
    RemoveBridge,
    /// Remove the routes to the pods of other nodes.
    RemoveRoutes(Vec<Route>),
    /// Remove the nftables tables of kube-proxy, of these families.
    RemoveTables(Vec<String>),
    /// Have kube-proxy remove its own iptables rules.
    RemoveChains,
    /// Remove what the kubelet and the network plugins keep below these directories, which stay.
    Empty(Vec<PathBuf>),
    /// Remove files of ours, and have systemd forget the units.
    RemoveFiles(Vec<PathBuf>),
}

/// Everything that is done to one machine, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetPlan {
    /// The machine.
    pub node: HostName,
    /// What is done.
    pub steps: Vec<ResetStep>,
}

/// Something that is still there after a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What a reset would still do.
    pub step: ResetStep,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "still to do: {}", self.step)
    }
}

/// A machine was not made clean. What was done stays; another reset goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// No such node in the desired state.
    #[error("node {0} is not in the spec; reset a machine with the spec that it was made from")]
    UnknownNode(HostName),
    /// The caller gave no such host.
    #[error(transparent)]
    UnknownHost(#[from] UnknownHost),
    /// A command failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be looked at or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ResetPlan {
    /// Whether the machine is clean.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// What makes a machine clean. Pure; empty for a clean one.
///
/// # Errors
///
/// The node is not in the desired state.
pub fn plan_reset(
    desired: &Desired,
    node: &HostName,
    found: &Found,
) -> Result<ResetPlan, ResetError> {
    let setup = setup(desired, node)?;
    let runtime = runtime(desired);
    let lives = |unit: &UnitName| {
        let state = found.units.get(unit);
        state.is_some_and(|state| !state.is_at_rest())
    };
    // The kubelet first: it would make pods again. What it leaves runs on without it.
    let mut units: Vec<UnitName> = setup.units().into_iter().filter(lives).collect();
    units.retain(|unit| *unit != runtime);
    units.sort_by_key(|unit| unit.as_str() != "kubelet.service");
    let runtime = Some(runtime).filter(lives);
    let steps = [
        all(&units, ResetStep::Stop),
        found.pods.then_some(ResetStep::EndPods),
        runtime.map(ResetStep::EndRuntime),
        all(&found.mounts, ResetStep::Unmount),
        all(&found.namespaces, ResetStep::RemoveNamespaces),
        found.bridge.then_some(ResetStep::RemoveBridge),
        all(&found.routes, ResetStep::RemoveRoutes),
        all(&found.tables, ResetStep::RemoveTables),
        found.chains.then_some(ResetStep::RemoveChains),
        all(&found.state, ResetStep::Empty),
        all(&found.files, ResetStep::RemoveFiles),
    ];
    Ok(ResetPlan {
        node: node.clone(),
        steps: steps.into_iter().flatten().collect(),
    })
}

/// The step for all of these, if there are any.
fn all<T: Clone>(found: &[T], step: impl FnOnce(Vec<T>) -> ResetStep) -> Option<ResetStep> {
    (!found.is_empty()).then(|| step(found.to_vec()))
}

fn setup<'d>(desired: &'d Desired, node: &HostName) -> Result<&'d NodeSetup, ResetError> {
    let setup = desired.nodes.get(node);
    setup.ok_or_else(|| ResetError::UnknownNode(node.clone()))
}

fn runtime(desired: &Desired) -> UnitName {
    let unit = desired.spec.runtime.unit();
    unit.parse().expect("the names of runtimes are unit names")
}

/// Files of ours. Of those that the kubelet keeps below its own directory the whole directory is emptied anyway.
fn our_files(setup: &NodeSetup) -> Vec<PathBuf> {
    let records = setup.services.iter().map(|service| &service.record.path);
    let files = setup.files.iter().map(|file| &file.path);
    files
        .filter(|path| !path.starts_with(KUBELET_DIR))
        .chain(records)
        .cloned()
        .collect()
}

fn uses_iptables(desired: &Desired, node: &HostName) -> bool {
    let spec = &desired.spec;
    let version = Place::of(spec, node).map_or(spec.version, |place| place.version());
    version.release().proxy_mode == ProxyMode::Iptables
}

impl fmt::Display for ResetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            for line in step.to_string().lines() {
                writeln!(f, "{}: {line}", self.node)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ResetStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = |f: &mut fmt::Formatter<'_>, verb: &str, paths: &[PathBuf]| {
            let mut paths = paths.iter();
            paths.try_for_each(|path| writeln!(f, "{verb} {}", path.display()))
        };
        match self {
            Self::Stop(units) => {
                let units: Vec<&str> = units.iter().map(UnitName::as_str).collect();
                write!(f, "stop and disable {}", units.join(" "))
            }
            Self::EndPods => f.write_str("end all containers of pods"),
            Self::EndRuntime(unit) => write!(f, "stop and disable {unit} with its shims"),
            Self::Unmount(mounts) => paths(f, "unmount", mounts),
            Self::RemoveNamespaces(names) => {
                write!(f, "remove network namespaces {}", names.join(" "))
            }
            Self::RemoveBridge => write!(f, "remove interface {BRIDGE}"),
            Self::RemoveRoutes(routes) => routes.iter().try_for_each(|route| {
                writeln!(f, "remove route {} via {}", route.to.trunc(), route.via)
            }),
            Self::RemoveTables(families) => {
                write!(f, "remove nftables kube-proxy of {}", families.join(" "))
            }
            Self::RemoveChains => f.write_str("have kube-proxy remove its iptables rules"),
            Self::Empty(dirs) => paths(f, "empty", dirs),
            Self::RemoveFiles(files) => paths(f, "remove", files),
        }
    }
}
