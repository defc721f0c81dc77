//! What has to be done, as data.

use crate::{
    Desired, NodeCertificate, NodeObserved, NodeSetup, Object, ObjectDrift, ObjectKey, Observed,
    Readiness, Service, component::Gate, kubeadm, systemd::UNIT_DIR,
};
use host_exec::{
    HostName,
    files::Drift,
    systemd::{UnitName, UnitState},
};
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write files. The records of `readers` are removed before: whatever happens then, they are started anew.
    WriteFiles {
        /// Which, and how they differ now.
        files: Vec<(PathBuf, Drift)>,
        /// The services that read one of them.
        readers: Vec<UnitName>,
    },
    /// Have systemd read its unit files again.
    ReloadUnits,
    /// Have units started at every boot.
    Enable(Vec<UnitName>),
    /// Start a service, as soon as its gate opens, and record it. A controller that does not stand by is waited for until
    /// the API server beside it finds it healthy.
    Start {
        /// The service.
        unit: UnitName,
        /// What it waits for.
        gate: Gate,
        /// It runs already, with other files.
        anew: bool,
    },
    /// Have a service that runs take in its changed files, and record it. It goes on answering meanwhile.
    Reload(UnitName),
    /// Get the node a client certificate from the cluster's signer, as soon as the API has our objects. The
    /// record of its kubelet is removed before the certificate is written.
    Join(NodeCertificate),
    /// Take away the kubelet's serving certificate, for the reason given. The record of its last start goes before.
    DropServing(NodeCertificate),
    /// Approve what the kubelet asks for, and wait until it has a serving certificate of the cluster's authority.
    AwaitServing(NodeCertificate),
    /// Wait until the API server of the node is ready.
    AwaitApi,
    /// Wait until the kubelet has ended the static pods of older manifests, and those of the manifests are ready.
    AwaitPods,
    /// Write objects, as soon as the first API server answers. Those that are [`Unseen`](ObjectDrift::Unseen) in an API that
    /// this plan does not start are looked at first, and written if they differ.
    ApplyObjects(Vec<(ObjectKey, ObjectDrift)>),
    /// Wait until the node is Ready.
    AwaitNode,
    /// Wait until the cluster's name server is available.
    AwaitDns,
}

/// An action and where it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The node; `None` for the cluster as a whole.
    pub node: Option<HostName>,
    /// What is done.
    pub action: Action,
}

/// Everything to be done. The steps of one node up to [`Action::Join`] or its first [`Action::Start`] are done in this order;
/// nodes are worked on side by side, and so is everything that waits for a gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps: node by node, then the cluster's.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether nothing is changed by it: all that is left is to wait for what comes by itself, as a node that is not Ready
    /// for a moment. So it is with an empty one.
    pub fn only_waits(&self) -> bool {
        self.steps.iter().all(|step| step.action.only_waits())
    }
}

impl Action {
    /// Whether it changes nothing.
    pub(crate) fn only_waits(&self) -> bool {
        matches!(
            self,
            Self::AwaitApi | Self::AwaitPods | Self::AwaitNode | Self::AwaitDns
        )
    }
}

/// Works out what turns `observed` into `desired`. Pure; empty when everything is as it has to be.
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut steps = Vec::new();
    for (name, setup) in &desired.nodes {
        let blank = || NodeObserved::blank(setup);
        let found = observed.nodes.get(name).cloned().unwrap_or_else(blank);
        let mut actions = node_actions(setup, &found);
        if needs_api(desired, observed, name) {
            actions.push(Action::AwaitApi);
        }
        let cluster = observed.cluster.as_ref();
        if cluster
            .is_some_and(|cluster| replaces_pods(&found, cluster.outdated_pods.contains(name)))
        {
            actions.push(Action::AwaitPods);
        }
        let asks = cluster.is_some_and(|c| c.serving_requests.contains(name));
        if found.serving != NodeCertificate::Valid || asks {
            actions.push(Action::AwaitServing(found.serving.clone()));
        }
        let ready = cluster.is_some_and(|c| c.ready_nodes.contains(name.as_str()));
        if !ready || !found.joined() {
            actions.push(Action::AwaitNode);
        }
        steps.extend(actions.into_iter().map(|action| Step {
            node: Some(name.clone()),
            action,
        }));
    }
    let cluster = cluster_actions(desired, observed);
    steps.extend(
        cluster
            .into_iter()
            .map(|action| Step { node: None, action }),
    );
    Plan { steps }
}

/// What has to be done on a node before the API is asked about it.
fn node_actions(setup: &NodeSetup, found: &NodeObserved) -> Vec<Action> {
    let gap = Gap::of(setup, found);
    let services = setup.services.iter();
    let mut actions: Vec<Action> = [gap.files(), gap.reload_units(), gap.enable()]
        .into_iter()
        .flatten()
        .collect();
    if gap.drops_serving() {
        actions.push(Action::DropServing(found.serving.clone()));
    }
    if !found.joined() {
        actions.push(Action::Join(found.certificate.clone()));
    }
    actions.extend(services.filter_map(|service| gap.service(service)));
    actions
}

/// A node as it has to be beside the node as it is.
struct Gap<'a> {
    setup: &'a NodeSetup,
    found: &'a NodeObserved,
    /// Files that are not as they have to be.
    drifted: BTreeSet<&'a Path>,
    /// The services that read one of them.
    readers: BTreeSet<&'a UnitName>,
}

impl<'a> Gap<'a> {
    fn of(setup: &'a NodeSetup, found: &'a NodeObserved) -> Self {
        let drifted = found.files.keys().map(PathBuf::as_path).collect();
        let readers = setup.readers(&drifted).into_iter();
        Self {
            readers: readers.map(|service| &service.unit).collect(),
            setup,
            found,
            drifted,
        }
    }

    fn state(&self, service: &Service) -> Option<&UnitState> {
        self.found.units.get(&service.unit)
    }

    fn files(&self) -> Option<Action> {
        let files = self.found.files.iter();
        let files: Vec<_> = files.map(|(path, drift)| (path.clone(), *drift)).collect();
        let readers = self.readers.iter().copied().cloned().collect();
        (!files.is_empty()).then_some(Action::WriteFiles { files, readers })
    }

    fn reload_units(&self) -> Option<Action> {
        // A drop-in is read from the same place.
        let of_units = self.drifted.iter().any(|path| path.starts_with(UNIT_DIR));
        let stale = |service| self.state(service).is_some_and(|state| state.needs_reload);
        // Without a service there is nothing of ours in it.
        let mut services = self.setup.services.iter();
        services
            .any(|service| of_units || stale(service))
            .then_some(Action::ReloadUnits)
    }

    fn enable(&self) -> Option<Action> {
        let is_enabled = |service| self.state(service).is_some_and(UnitState::is_enabled);
        let services = self.setup.services.iter();
        let disabled = services.filter(|service| !is_enabled(service));
        let disabled: Vec<UnitName> = disabled.map(|service| service.unit.clone()).collect();
        (!disabled.is_empty()).then_some(Action::Enable(disabled))
    }

    /// A kubelet keeps a serving certificate until it expires, whoever signed it.
    fn drops_serving(&self) -> bool {
        matches!(self.found.serving, NodeCertificate::Unusable(_))
    }

    /// The start or reload that a service needs.
    fn service(&self, service: &Service) -> Option<Action> {
        let (unit, found) = (service.unit.clone(), self.found);
        let state = self.state(service);
        let is_up = state.is_some_and(UnitState::is_up);
        let joins = service.gate == Gate::Joined && (self.drops_serving() || !found.joined());
        let changed = joins || self.readers.contains(&unit) || found.unrecorded.contains(&unit);
        if is_up && !changed {
            return None;
        }
        // A reload takes in files and no unit, so it does only where a record tells with what the service runs, and its own
        // unit is still that one.
        let known = found.recorded_otherwise.contains(&unit);
        let unit_changed = self.drifted.contains(service.unit_file.as_path())
            || state.is_some_and(|state| state.needs_reload);
        if is_up && service.reloads && known && !unit_changed {
            return Some(Action::Reload(unit));
        }
        let (gate, anew) = (service.gate, is_up);
        Some(Action::Start { unit, gate, anew })
    }
}

/// Whether pods of older manifests run, or are about to be old: the first ones come with the API itself.
fn replaces_pods(found: &NodeObserved, outdated: bool) -> bool {
    let mut files = found.files.iter();
    outdated || files.any(|(path, drift)| *drift == Drift::Contents && kubeadm::is_manifest(path))
}

fn needs_api(desired: &Desired, observed: &Observed, name: &HostName) -> bool {
    let control_plane = desired
        .spec
        .control_planes
        .iter()
        .any(|node| node.name == *name);
    control_plane && observed.apis.get(name) != Some(&Readiness::Ready)
}

fn cluster_actions(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let mut actions = Vec::new();
    let all_joined = desired
        .nodes
        .keys()
        .all(|name| observed.nodes.get(name).is_some_and(NodeObserved::joined));
    let token = (!all_joined).then_some(&desired.token_secret);
    let drift = |object: &Object| match &observed.cluster {
        Some(cluster) => cluster.objects.get(object.key()).copied(),
        None => Some(ObjectDrift::Unseen),
    };
    let objects: Vec<_> = token
        .into_iter()
        .chain(&desired.objects)
        .filter_map(|object| Some((object.key().clone(), drift(object)?)))
        .collect();
    if !objects.is_empty() {
        actions.push(Action::ApplyObjects(objects));
    }
    if !observed
        .cluster
        .as_ref()
        .is_some_and(|cluster| cluster.dns_available)
    {
        actions.push(Action::AwaitDns);
    }
    actions
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let node = step.node.as_ref().map_or("cluster", HostName::as_str);
            for line in step.action.to_string().lines() {
                writeln!(f, "{node}: {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteFiles { files, .. } => files.iter().try_for_each(|(path, drift)| {
                writeln!(f, "write {} ({})", path.display(), word(*drift))
            }),
            Self::ReloadUnits => f.write_str("have systemd read its units again"),
            Self::Enable(units) => {
                let units: Vec<&str> = units.iter().map(UnitName::as_str).collect();
                write!(f, "enable {}", units.join(" "))
            }
            Self::Start { unit, gate, anew } => {
                write!(
                    f,
                    "{} {unit} {gate}",
                    if *anew { "restart" } else { "start" }
                )
            }
            Self::Reload(unit) => write!(f, "reload {unit}"),
            Self::Join(found) => write!(f, "join with a new client certificate ({found})"),
            Self::DropServing(found) => write!(f, "remove its serving certificate ({found})"),
            Self::AwaitServing(found) => write!(f, "approve its serving certificate ({found})"),
            Self::AwaitApi => f.write_str("wait until its API is ready"),
            Self::AwaitPods => f.write_str("wait until its static pods are new"),
            Self::ApplyObjects(objects) => objects
                .iter()
                .try_for_each(|(key, drift)| writeln!(f, "apply {key} ({drift})")),
            Self::AwaitNode => f.write_str("wait until it is Ready"),
            Self::AwaitDns => f.write_str("wait until CoreDNS is available"),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "at once",
            Self::ApiAnswers => "when the API answers",
            Self::ApiReady => "when the API is ready",
            Self::ApiPrepared => "when the API is ready and has our objects",
            Self::Joined => "when it has joined",
            Self::Spare => "when the API is ready and it has joined",
        })
    }
}

fn word(drift: Drift) -> &'static str {
    match drift {
        Drift::Missing => "missing",
        Drift::Contents => "differs",
        Drift::Mode => "wrong mode",
    }
}
