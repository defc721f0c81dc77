//! How the control plane is kept running, and how much it trusts.

use serde::{Deserialize, Serialize};

/// Who keeps the programs of the control plane running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// systemd: each program is a service.
    Services,
    /// The kubelet, from static pods as kubeadm writes them: stock kubeadm works on such a lab.
    StaticPods,
}

/// How much the cluster trusts by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// kubeadm's defaults.
    Standard,
    /// What the CIS benchmark asks for and a program can check.
    Hardened,
}

impl Shape {
    /// The word in lab.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::StaticPods => "static-pods",
        }
    }
}

impl Profile {
    /// The word in lab.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Hardened => "hardened",
        }
    }
}

impl From<Shape> for k8s_bootstrap::Shape {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Services => Self::Services,
            Shape::StaticPods => Self::StaticPods,
        }
    }
}

impl From<Profile> for k8s_bootstrap::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Standard => Self::Standard,
            Profile::Hardened => Self::Hardened,
        }
    }
}
