//! Everything that a spec means, as data: files and services of each node, objects of the API.

use crate::{
    ClusterSpec, Material, Role, Shape, SpecError,
    component::{self, Component, Gate, Place, cni},
    hardened, kubeadm,
    object::{Object, digest},
    objects, systemd,
};
use host_exec::{File, HostName, systemd::UnitName};
use pki::BootstrapToken;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Where the record of a service's last start lies.
const RECORDS: &str = "/var/lib/k8s-bootstrap";

/// A service of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its unit.
    pub unit: UnitName,
    /// Its unit file.
    pub unit_file: PathBuf,
    /// What it waits for.
    pub gate: Gate,
    /// The files that it reads at its start, its unit among them: when one changes, it is started anew.
    pub reads: BTreeSet<PathBuf>,
    /// A file with a digest over all of these, written when the service was started with them. Without it
    /// a run that was killed between writing and restarting would look finished.
    pub record: File,
    /// It takes in changed files on `systemctl reload`; a changed unit still starts it anew.
    pub reloads: bool,
}

/// All that one node has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSetup {
    /// What the node is for.
    pub role: Role,
    /// Its files, units included, sorted by path.
    pub files: Vec<File>,
    /// Its services, in the order of their definitions.
    pub services: Vec<Service>,
}

impl NodeSetup {
    /// The units of all services.
    pub fn units(&self) -> Vec<UnitName> {
        self.services
            .iter()
            .map(|service| service.unit.clone())
            .collect()
    }

    /// Every file for a machine that has not booted yet, records included: whatever starts at its boot
    /// starts with them. On a running machine this would hide services that run with other files.
    pub fn files_before_boot(&self) -> Vec<File> {
        let records = self.services.iter().map(|service| &service.record);
        self.files.iter().chain(records).cloned().collect()
    }

    /// The services that read one of `paths`.
    pub fn readers(&self, paths: &BTreeSet<&Path>) -> Vec<&Service> {
        let read = |path: &PathBuf| paths.contains(path.as_path());
        let services = self.services.iter();
        services
            .filter(|service| service.reads.iter().any(read))
            .collect()
    }
}

/// The whole of what is wanted. Pure: made from values, changes nothing, the same for the same values.
#[derive(Debug, Clone)]
pub struct Desired {
    /// What each node has to have.
    pub nodes: BTreeMap<HostName, NodeSetup>,
    /// The API objects that are wanted for good, in order.
    pub objects: Vec<Object>,
    /// The Secret that lets nodes join; wanted while one has not.
    pub token_secret: Object,
    pub(crate) spec: ClusterSpec,
    pub(crate) ca_pem: String,
    pub(crate) token: BootstrapToken,
    pub(crate) identity: crate::ClientIdentity,
    /// Of kubelets that need not ask for one.
    pub(crate) kubelets: BTreeMap<HostName, crate::ClientIdentity>,
}

/// A spec and material that do not make a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DesiredError {
    /// The spec contradicts itself.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A service reads a file that nobody provides.
    #[error("{unit} of {node} reads {}, which is not among the node's files; add it to the material", .path.display())]
    MissingFile {
        /// The node.
        node: HostName,
        /// The unit that reads it.
        unit: UnitName,
        /// The file.
        path: PathBuf,
    },
    /// The kubelet of a control plane is to start the API that would sign its certificate.
    #[error(
        "the material has no client certificate for the kubelet of {node}, which has to start before there is an API; issue one and add it to `kubelets`"
    )]
    NoKubeletIdentity {
        /// The control plane.
        node: HostName,
    },
}

impl Desired {
    /// The spec it was made from, which has been checked.
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// Works out what `spec` means with `material`.
    ///
    /// # Errors
    ///
    /// [`ClusterSpec::check`] refuses the spec, or the material lacks a file that a service reads.
    pub fn new(spec: ClusterSpec, material: &Material) -> Result<Self, DesiredError> {
        spec.check()?;
        let mut nodes = BTreeMap::new();
        for place in Place::all(&spec) {
            nodes.insert(place.node.name.clone(), node_setup(place, material)?);
        }
        Ok(Self {
            objects: objects::permanent(&spec, &material.ca_pem),
            token_secret: objects::token_secret(&material.token),
            nodes,
            ca_pem: material.ca_pem.clone(),
            token: material.token.token.clone(),
            identity: material.identity.clone(),
            kubelets: material.kubelets.clone(),
            spec,
        })
    }
}

fn node_setup(place: Place<'_>, material: &Material) -> Result<NodeSetup, DesiredError> {
    let components = component::all(place, &material.ca_pem);
    let mut files = BTreeMap::new();
    let given = material
        .files
        .get(&place.node.name)
        .into_iter()
        .flatten()
        .cloned();
    // What the caller gives comes last and wins.
    for file in [
        File::public(component::CA, material.ca_pem.as_str()),
        cni::config(place),
    ]
    .into_iter()
    .chain(components.iter().flat_map(|c| c.files.clone()))
    .chain(components.iter().map(systemd::unit_file))
    .chain(given)
    {
        files.insert(file.path.clone(), hardened::guarded(place, file));
    }
    if place.cluster.shape == Shape::StaticPods {
        static_pods(place, material, &mut files)?;
    }
    let services = components
        .iter()
        .map(|component| service(place, component, &files))
        .collect::<Result<_, _>>()?;
    Ok(NodeSetup {
        role: place.role,
        files: files.into_values().collect(),
        services,
    })
}

/// What the kubelet of a control plane starts.
fn static_pods(
    place: Place<'_>,
    material: &Material,
    files: &mut BTreeMap<PathBuf, File>,
) -> Result<(), DesiredError> {
    // kube-proxy is a pod with an account of its own.
    files.remove(Path::new(component::proxy::KUBECONFIG));
    let node = &place.node.name;
    if place.role == Role::ControlPlane && !material.kubelets.contains_key(node) {
        return Err(DesiredError::NoKubeletIdentity { node: node.clone() });
    }
    let own = component::control_plane(place).into_iter();
    for file in own.flat_map(|component| component.files) {
        let file = hardened::guarded(place, file);
        files.entry(file.path.clone()).or_insert(file);
    }
    let manifests = kubeadm::manifests(place, files).map_err(|(name, path)| {
        let unit = format!("{name}.service").parse();
        DesiredError::MissingFile {
            node: node.clone(),
            unit: unit.expect("component names are letters and '-'"),
            path,
        }
    })?;
    files.extend(
        manifests
            .into_iter()
            .map(|manifest| (manifest.path.clone(), manifest)),
    );
    Ok(())
}

fn service(
    place: Place<'_>,
    component: &Component,
    files: &BTreeMap<PathBuf, File>,
) -> Result<Service, DesiredError> {
    let unit = systemd::unit_name(component);
    let unit_file = systemd::unit_file(component).path;
    let reads: BTreeSet<PathBuf> = component
        .files
        .iter()
        .map(|file| file.path.clone())
        .chain(component.reads.iter().cloned())
        .chain([unit_file.clone()])
        .collect();
    let file = |path: &PathBuf| {
        files.get(path).ok_or_else(|| DesiredError::MissingFile {
            node: place.node.name.clone(),
            unit: unit.clone(),
            path: path.clone(),
        })
    };
    let mut all = Vec::new();
    for path in &reads {
        all.extend_from_slice(digest(file(path)?.contents.bytes()).as_bytes());
    }
    component
        .follows
        .iter()
        .try_for_each(|path| file(path).map(drop))?;
    // Digests of keys are no secrets, but nobody needs them either.
    let record = File::secret(
        format!("{RECORDS}/{unit}.started"),
        format!("{}\n", digest(&all)),
    );
    Ok(Service {
        unit,
        unit_file,
        gate: component.gate,
        reads,
        record,
        reloads: component.options.reloads,
    })
}
