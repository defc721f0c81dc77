//! A Kubernetes control plane, nodes and add-ons on hosts that exist, with an etcd that exists.
//!
//! [`Desired::new`] works out of a [`ClusterSpec`] and the caller's [`Material`] every file, service and API
//! object. [`observe`] asks hosts and API how things stand, [`plan`] compares, [`apply()`] does the
//! difference, and [`health`](health()) says with evidence whether it is well.
//!
//! ```
//! use host_exec::EventSink;
//! use k8s_bootstrap::{ClusterSpec, Desired, Hosts, Material, apply, health, observe, plan};
//!
//! async fn up(
//!     spec: ClusterSpec,
//!     material: &Material,
//!     hosts: &Hosts,
//!     events: &dyn EventSink,
//! ) -> Result<bool, Box<dyn std::error::Error>> {
//!     let desired = Desired::new(spec, material)?;
//!     let todo = plan(&desired, &observe(&desired, hosts).await?);
//!     apply(&desired, &todo, hosts, events).await?;
//!     assert!(plan(&desired, &observe(&desired, hosts).await?).is_empty());
//!     Ok(health(&desired, hosts).await?.iter().all(|condition| condition.ok))
//! }
//! ```
//!
//! # What this crate does not do
//!
//! It makes no machines, networks, firewalls or certificates, brings no programs or images, and forms no
//! etcd. It rotates no authority by itself: a caller gives two in one bundle, then the new one, and [`trust`] says
//! who has followed.
//!
//! # Invariants
//!
//! - A plan for what is as it has to be is empty; applying it writes nothing.
//! - A run that was killed anywhere is finished by the next. A service has a record of the files it was
//!   started with, which goes before one of them is written and comes back after the service was started.
//! - A changed file restarts the services that read it, and no others.
//! - A run starts no kubelet before its node has a client certificate that the cluster accepts. One that is
//!   expired, of another authority or damaged is replaced, and its kubelet started anew.
//! - No user's pod is placed on a control plane: the taint is there before the kubelet is.
//! - Keys, kubeconfigs and tokens are in no argument list, log, error or `Debug` text.
//!
//! Names, flags, paths and roles are kubeadm's where kubeadm has them
//! (<https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/>); each deviation
//! carries its reason at its place.

mod api;
mod apply;
mod blame;
mod certificates;
pub mod cis;
pub mod component;
mod desired;
mod gate;
pub mod hardened;
mod health;
mod join;
pub mod kubeadm;
mod last_words;
mod material;
mod metrics;
mod names;
mod object;
mod objects;
mod observe;
mod plan;
pub mod preflight;
pub mod retire;
mod services;
mod serving;
mod spec;
pub mod systemd;
#[cfg(test)]
mod testing;
pub mod trust;
pub mod upgrade;
mod version;
mod yaml;

pub use api::{Api, ApiError, Readiness};
pub use apply::{ApplyError, JoinReason, apply};
pub use desired::{Desired, DesiredError, NodeSetup, Service};
pub use gate::{wait_for_control_plane, wait_for_gate};
pub use health::{control_plane_health, health};
pub use join::NodeCertificate;
pub use material::{ClientIdentity, ExpiringToken, Material, MaterialError};
pub use names::{
    ImageName, InterfaceName, InvalidImageName, InvalidInterfaceName, InvalidNodePath, NodePath,
};
pub use object::{APPLIED, Object, ObjectDrift, ObjectKey};
pub use observe::{
    ClusterObserved, Hosts, NodeObserved, ObserveError, Observed, UnknownHost, observe, readiness,
};
pub use plan::{Action, Plan, Step, plan};
pub use spec::{
    Addons, Balancer, CgroupVersion, ClusterSpec, Containerd, ContainerdMajor, Crio, DualAddress,
    DualNet, Images, NodePart, NodePrograms, NodeSpec, Profile, Role, Route, Runtime, Shape,
    SpecError, Tuning, VirtualAddress, debian_trust_dirs,
};
pub use version::{
    ByPatch, ConfigApi, ConfigFile, EtcdVersion, InvalidEtcdVersion, ProbePaths, ProxyMode,
    RELEASES, Release, Stage, SupportedVersion, UnsupportedVersion, VersionError, skew,
};
