//! One definition of each program of a node: arguments, files, and what it waits for.
//!
//! A definition says nothing about who keeps the program running; [`systemd`](crate::systemd) turns it into
//! a unit, and [`kubeadm`](crate::kubeadm) into a static pod.

pub mod apiserver;
pub mod balancer;
pub mod cni;
pub mod containerd;
pub mod controller_manager;
pub mod crio;
pub mod kubelet;
pub mod proxy;
mod root_dir;
pub mod scheduler;
pub mod virtual_address;

pub use root_dir::RootDir;

use crate::{ClusterSpec, NodePart, NodeSpec, Role, Runtime, Shape, SupportedVersion};
use host_exec::{File, HostName};
use std::{collections::BTreeMap, path::PathBuf};

/// Where certificates and keys lie, kubeadm's place.
pub(crate) const PKI: &str = "/etc/kubernetes/pki";
/// The certificate of the cluster's authority.
pub(crate) const CA: &str = "/etc/kubernetes/pki/ca.crt";
/// The certificate of the authority that signs, on control planes while [`ClusterSpec::authority_rotates`]: the file
/// of those that are trusted holds two then, and the signer takes one (`pkg/controller/certificates/signer`,
/// `ca_provider.go`: "expected 1 certificate, found 2").
pub const SIGNER_CA: &str = "/etc/kubernetes/pki/ca-signer.crt";

/// One node in its cluster: what a definition is made from.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The cluster.
    pub cluster: &'a ClusterSpec,
    /// The node.
    pub node: &'a NodeSpec,
    /// What the node is for.
    pub role: Role,
}

impl<'a> Place<'a> {
    /// Every node of a cluster, control planes first.
    pub fn all(cluster: &'a ClusterSpec) -> impl Iterator<Item = Self> {
        let place = move |(role, node)| Self {
            cluster,
            node,
            role,
        };
        cluster.nodes().map(place)
    }

    /// The node of this name; `None` if the cluster has none.
    pub fn of(cluster: &'a ClusterSpec, name: &HostName) -> Option<Self> {
        Self::all(cluster).find(|place| place.node.name == *name)
    }
}

impl Place<'_> {
    /// The version of the node's programs of one part, in the middle of an upgrade too.
    pub fn version_of(&self, part: NodePart) -> SupportedVersion {
        let own = self.node.own_programs(part);
        own.map_or(self.cluster.version, |own| own.version)
    }

    /// Whether of several control planes it is not the first: the ones that are elected there stand by at first.
    fn is_spare(&self) -> bool {
        let first = self.cluster.control_planes.first();
        self.role == Role::ControlPlane && first.is_some_and(|first| first.name != self.node.name)
    }

    /// The version of its kubelet and kube-proxy.
    pub fn version(&self) -> SupportedVersion {
        self.version_of(NodePart::Node)
    }

    /// The TCP ports of the machine at which the programs of the node listen, and whose each is.
    pub(crate) fn ports(&self) -> Vec<(u16, &'static str)> {
        let mut ports = vec![
            (10250, "kubelet"),
            // Of its own health.
            (10248, "kubelet"),
            (10249, "kube-proxy"),
            (10256, "kube-proxy"),
        ];
        if self.role == Role::ControlPlane {
            ports.extend([
                (self.cluster.api_port, "kube-apiserver"),
                (10257, "kube-controller-manager"),
                (10259, "kube-scheduler"),
            ]);
        }
        let balancer = self.cluster.balancer.iter();
        ports.extend(balancer.map(|own| (own.port, "the balancer")));
        ports
    }

    /// A Kubernetes program of the node.
    pub(crate) fn program(&self, name: &str) -> String {
        let part = match name {
            "kubelet" | "kube-proxy" => NodePart::Node,
            _ => NodePart::ControlPlane,
        };
        let own = self.node.own_programs(part);
        own.map_or(&self.cluster.bin_dir, |own| &own.bin_dir)
            .join(name)
    }
}

/// What has to be so before a program is worth starting.
///
/// Started earlier it would fail, and come back only after its own longer pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Nothing.
    AtOnce,
    /// The node's API server (a worker: the first one) answers TLS, ready or not.
    ApiAnswers,
    /// It says ready: its own roles and priority classes are there.
    ApiReady,
    /// Ready, and the token, the bindings and the Node objects of this crate are written too.
    ApiPrepared,
    /// The node has its own client certificate.
    Joined,
    /// Ready, and the node has its own client certificate: for a replica that stands by until another fails.
    Spare,
}

/// How systemd is to treat a program, beyond restarting it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitOptions {
    /// `Type=oneshot` that stays active, instead of a service that runs on.
    pub oneshot: bool,
    /// Lines of `[Unit]` after the description.
    pub unit: Vec<(&'static str, String)>,
    /// Lines of `[Service]` after the usual ones.
    pub service: Vec<(&'static str, String)>,
    /// It takes in changed files on `systemctl reload`, without a moment in which it does not answer. The lines of
    /// `[Service]` say how (`ExecReload`).
    pub reloads: bool,
}

/// The definition of one program on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name, and its unit's without `.service`.
    pub name: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// The program: an absolute path, or a name that systemd looks up in its fixed search path.
    pub program: String,
    /// Its arguments; flags sorted by name.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(&'static str, String)>,
    /// The files that are its own.
    pub files: Vec<File>,
    /// Files of others that it reads once, at its start.
    pub reads: Vec<PathBuf>,
    /// Files of others that it reads again by itself when they change: for these it is not started anew.
    pub follows: Vec<PathBuf>,
    /// What it waits for.
    pub gate: Gate,
    /// How systemd treats it.
    pub options: UnitOptions,
}

/// Every service of a node, in the order in which a reader meets them. `ca_pem` is the certificate of the
/// cluster's authority.
pub fn all(place: Place<'_>, ca_pem: &str) -> Vec<Component> {
    let runtime = match &place.cluster.runtime {
        Runtime::Containerd(own) => containerd::component(place, own),
        Runtime::Crio(own) => crio::component(place, own),
    };
    let mut components = vec![runtime, cni::network(place)];
    let spec = place.cluster;
    components.extend(
        spec.balancer
            .iter()
            .map(|own| balancer::component(place, own)),
    );
    let address = spec.virtual_address.iter();
    let address = address.filter(|_| place.role == Role::ControlPlane);
    components.extend(address.map(|own| virtual_address::component(place, own)));
    let are_services = place.cluster.shape == Shape::Services;
    if are_services {
        components.extend(control_plane(place));
    }
    components.push(kubelet::component(place, ca_pem));
    if are_services {
        components.push(proxy::component(place));
    }
    components
}

/// The programs of the control plane: services or static pods. None on a worker.
pub fn control_plane(place: Place<'_>) -> Vec<Component> {
    match place.role {
        Role::Worker => Vec::new(),
        Role::ControlPlane => vec![
            apiserver::component(place),
            controller_manager::component(place),
            scheduler::component(place),
        ],
    }
}

/// Flags of a Go program by name, `--name=value` each, sorted.
#[derive(Debug, Default)]
pub(crate) struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.0.insert(name, value.into());
        self
    }

    pub(crate) fn into_arguments(self) -> Vec<String> {
        let flags = self.0.into_iter();
        flags
            .map(|(name, value)| format!("--{name}={value}"))
            .collect()
    }
}

/// A file below `/etc/kubernetes/pki`.
pub(crate) fn pki_file(name: &str) -> String {
    format!("{PKI}/{name}")
}

/// The values of flags that name files, as paths.
pub(crate) fn paths<'a>(files: impl IntoIterator<Item = &'a str>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Every argument that names a file of `/etc/kubernetes`, as paths: those that the program reads at its start, and
/// those that it reads again by itself, which only the flags `followed` name.
pub(crate) fn files_in(arguments: &[String], followed: &[&str]) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let flags = arguments.iter().filter_map(|argument| {
        let (name, value) = argument.strip_prefix("--")?.split_once('=')?;
        value
            .starts_with("/etc/kubernetes/")
            .then_some((name, value))
    });
    let (follows, reads): (Vec<_>, Vec<_>) = flags.partition(|(name, _)| followed.contains(name));
    let reads = paths(reads.into_iter().map(|(_, value)| value));
    let mut follows = paths(follows.into_iter().map(|(_, value)| value));
    follows.retain(|path| !reads.contains(path));
    (reads, follows)
}
