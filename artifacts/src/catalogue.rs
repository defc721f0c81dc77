//! Which versions go together, as data per Kubernetes minor.

use crate::{Component, ProgramName, Version};
use serde::{Deserialize, Serialize};

/// Versions of all programs that were released to work together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionSet {
    /// Kubernetes, all its programs.
    pub kubernetes: Version,
    /// etcd with its two tools.
    pub etcd: Version,
    /// CoreDNS.
    pub coredns: Version,
    /// The tag of the pause image, as kubeadm of that minor asks for it.
    pub pause: String,
}

/// A Kubernetes version that is not in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Kubernetes {version} is not in the catalogue: use 1.{OLDEST_MINOR}.x up to 1.{NEWEST_MINOR}.x, \
     such as {DEFAULT_KUBERNETES}"
)]
pub struct UnknownKubernetes {
    version: Version,
}

/// The Kubernetes version of a lab that asks for none.
pub const DEFAULT_KUBERNETES: Version = Version::new(1, 37, 2);

/// The oldest minor of Kubernetes 1 in the catalogue: the one of the original plan, 1.28.3.
pub const OLDEST_MINOR: u32 = 28;

/// The newest minor of Kubernetes 1 in the catalogue.
pub const NEWEST_MINOR: u32 = 37;

/// CoreDNS reads EndpointSlices and has no tie to a Kubernetes minor. The releases that kubeadm of the older
/// minors names do not compile with today's Go, so every set has the current one.
const COREDNS: Version = Version::new(1, 15, 0);

/// What is particular to a Kubernetes minor.
#[derive(Debug)]
pub(crate) struct Minor {
    /// The 28 of 1.28.
    pub(crate) number: u32,
    /// A patch release of the etcd series that kubeadm pairs with it, and newer than its lower limit.
    pub(crate) etcd: Version,
    /// The tag of the pause image in kubeadm's constants.
    pub(crate) pause: &'static str,
    /// The minor of the Go that its `go.mod` asks for.
    pub(crate) go_minor: u32,
    /// A release of metrics-server that supports it.
    pub(crate) metrics_server: Version,
}

const ETCD_3_5: Version = Version::new(3, 5, 35);
const ETCD_3_6: Version = Version::new(3, 6, 16);
const ETCD_3_7: Version = Version::new(3, 7, 3);

/// Supports 1.31 and later by the matrix in its README; what it asks of 1.28 to 1.30 is there too (core and
/// authentication APIs of v1).
const METRICS_0_8: Version = Version::new(0, 8, 0);
/// Supports 1.34 and later.
const METRICS_0_9: Version = Version::new(0, 9, 0);

const MINORS: [Minor; 10] = [
    minor(28, ETCD_3_5, "3.9", 20, METRICS_0_8),
    minor(29, ETCD_3_5, "3.9", 21, METRICS_0_8),
    minor(30, ETCD_3_5, "3.9", 22, METRICS_0_8),
    minor(31, ETCD_3_5, "3.10", 22, METRICS_0_8),
    minor(32, ETCD_3_5, "3.10", 23, METRICS_0_8),
    minor(33, ETCD_3_5, "3.10", 24, METRICS_0_8),
    minor(34, ETCD_3_6, "3.10.1", 24, METRICS_0_9),
    minor(35, ETCD_3_6, "3.10.1", 25, METRICS_0_9),
    minor(36, ETCD_3_6, "3.10.2", 26, METRICS_0_9),
    minor(37, ETCD_3_7, "3.10.2", 26, METRICS_0_9),
];

const fn minor(
    number: u32,
    etcd: Version,
    pause: &'static str,
    go_minor: u32,
    metrics_server: Version,
) -> Minor {
    Minor {
        number,
        etcd,
        pause,
        go_minor,
        metrics_server,
    }
}

impl UnknownKubernetes {
    /// Whether it is a release of Kubernetes 1 that is newer than the catalogue: the one that
    /// [`VersionSet::unsupported`] takes.
    pub fn is_newer(&self) -> bool {
        self.version.major == 1 && self.version.minor > NEWEST_MINOR
    }
}

/// The row of a Kubernetes version; every patch release of a minor follows the same rules.
fn minor_of(kubernetes: Version) -> Result<&'static Minor, UnknownKubernetes> {
    let known = MINORS.iter().find(|minor| minor.number == kubernetes.minor);
    known
        .filter(|_| kubernetes.major == 1)
        .ok_or(UnknownKubernetes {
            version: kubernetes,
        })
}

/// As [`minor_of`], with the newest row for what is newer. Whether somebody wants that is asked where a
/// [`VersionSet`] is made.
pub(crate) fn rules_of(kubernetes: Version) -> Result<&'static Minor, UnknownKubernetes> {
    minor_of(kubernetes).or_else(|unknown| match &MINORS {
        [.., newest] if unknown.is_newer() => Ok(newest),
        _ => Err(unknown),
    })
}

impl VersionSet {
    /// The versions that go with a Kubernetes version.
    ///
    /// # Errors
    ///
    /// The minor is not in the catalogue. A patch release that was never made is *not* an error here:
    /// it shows when the programs are obtained.
    pub fn for_kubernetes(kubernetes: Version) -> Result<Self, UnknownKubernetes> {
        Ok(Self::by_rules(kubernetes, minor_of(kubernetes)?))
    }

    /// As [`VersionSet::for_kubernetes`], and a release newer than the catalogue gets what goes with the newest in
    /// it. Nobody has tried these together: whoever asks for it is to be told so.
    ///
    /// # Errors
    ///
    /// The minor is older than the catalogue, or the major version is not 1.
    pub fn unsupported(kubernetes: Version) -> Result<Self, UnknownKubernetes> {
        Ok(Self::by_rules(kubernetes, rules_of(kubernetes)?))
    }

    fn by_rules(kubernetes: Version, minor: &Minor) -> Self {
        Self {
            kubernetes,
            etcd: minor.etcd,
            coredns: COREDNS,
            pause: minor.pause.to_owned(),
        }
    }

    /// The version of metrics-server that goes with it, where one is wanted.
    ///
    /// # Errors
    ///
    /// The minor is older than the catalogue. A newer one gets what goes with the newest in it.
    pub fn metrics_server(&self) -> Result<Version, UnknownKubernetes> {
        Ok(rules_of(self.kubernetes)?.metrics_server)
    }

    /// The version of one component in this set.
    pub fn of(&self, component: Component) -> Version {
        match component {
            Component::Kubernetes => self.kubernetes,
            Component::Etcd => self.etcd,
            Component::Coredns => self.coredns,
        }
    }
}

/// The programs that a lab runs or hands to its user. kubeadm is not among them: ask for it where it is wanted.
pub const LAB_PROGRAMS: [ProgramName; 10] = [
    ProgramName::Etcd,
    ProgramName::Etcdctl,
    ProgramName::Etcdutl,
    ProgramName::KubeApiserver,
    ProgramName::KubeControllerManager,
    ProgramName::KubeScheduler,
    ProgramName::Kubelet,
    ProgramName::KubeProxy,
    ProgramName::Kubectl,
    ProgramName::Coredns,
];

/// The programs that machines run, or that are run on them: those of a lab but CoreDNS, which comes in its image.
pub const MACHINE_PROGRAMS: [ProgramName; 9] = [
    ProgramName::Etcd,
    ProgramName::Etcdctl,
    ProgramName::Etcdutl,
    ProgramName::KubeApiserver,
    ProgramName::KubeControllerManager,
    ProgramName::KubeScheduler,
    ProgramName::Kubelet,
    ProgramName::KubeProxy,
    ProgramName::Kubectl,
];

/// The programs that run in pods where kubelets start the control plane: those that kubeadm takes images of.
pub const CONTROL_PLANE_IMAGES: [ProgramName; 4] = [
    ProgramName::KubeApiserver,
    ProgramName::KubeControllerManager,
    ProgramName::KubeScheduler,
    ProgramName::KubeProxy,
];
