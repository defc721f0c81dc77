//! Which container runtime goes with which kubelet.

use super::SkewError;
use crate::SupportedVersion;
use host_exec::HostName;
use std::fmt;

/// A container runtime by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeName {
    /// containerd.
    Containerd,
    /// CRI-O.
    Crio,
}

/// What a runtime says of itself (`crictl version`: `RuntimeName` and `RuntimeVersion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// Which.
    pub name: RuntimeName,
    /// The 2 of 2.4.1.
    pub major: u16,
    /// The 4 of 2.4.1.
    pub minor: u16,
}

impl RuntimeVersion {
    /// The first containerd that speaks CRI v1, without which no kubelet from 1.26 on starts (kubernetes#110618).
    pub const CONTAINERD_FLOOR: Self = Self::new(RuntimeName::Containerd, 1, 6);

    /// A version from its numbers; the patch makes no difference here.
    pub const fn new(name: RuntimeName, major: u16, minor: u16) -> Self {
        Self { name, major, minor }
    }

    /// Whether it has the call RuntimeConfig, by which it names its cgroup driver (KEP-4033).
    fn names_cgroup_driver(self) -> bool {
        let since = match self.name {
            RuntimeName::Containerd => (2, 0),
            RuntimeName::Crio => (1, 28),
        };
        (self.major, self.minor) >= since
    }
}

impl fmt::Display for RuntimeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A runtime that works with this kubelet and will not with a later one. `Display` is the warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeWarning {
    /// The node.
    pub node: HostName,
    /// Its runtime.
    pub runtime: RuntimeVersion,
}

impl fmt::Display for RuntimeWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, newer) = match self.runtime.name {
            RuntimeName::Containerd => ("containerd", "containerd 2.0"),
            RuntimeName::Crio => ("CRI-O", "CRI-O 1.28"),
        };
        write!(
            f,
            "{name} of {} is {}, which cannot name its cgroup driver; kubelets from 1.38 on are to refuse that, so \
             plan for {newer} or later",
            self.node, self.runtime
        )
    }
}

/// Says whether a runtime goes with a kubelet: containerd 1.6 or later, CRI-O of the kubelet's minor.
///
/// # Errors
///
/// [`SkewError::ContainerdBelowFloor`] or [`SkewError::CrioMinor`]. A runtime that works today and not with 1.38 is
/// *not* an error but a warning.
pub fn check_runtime(
    node: &HostName,
    kubelet: SupportedVersion,
    runtime: RuntimeVersion,
) -> Result<Option<RuntimeWarning>, SkewError> {
    let own = kubelet.version();
    match runtime.name {
        RuntimeName::Crio if (runtime.major, runtime.minor) != (own.major, own.minor) => {
            return Err(SkewError::CrioMinor {
                node: node.clone(),
                crio: runtime,
                kubelet: own,
            });
        }
        RuntimeName::Containerd
            if (runtime.major, runtime.minor)
                < (
                    RuntimeVersion::CONTAINERD_FLOOR.major,
                    RuntimeVersion::CONTAINERD_FLOOR.minor,
                ) =>
        {
            return Err(SkewError::ContainerdBelowFloor {
                node: node.clone(),
                containerd: runtime,
                kubelet: own,
            });
        }
        _ => {}
    }
    let warn = kubelet.release().warns_without_runtime_config && !runtime.names_cgroup_driver();
    Ok(warn.then(|| RuntimeWarning {
        node: node.clone(),
        runtime,
    }))
}
