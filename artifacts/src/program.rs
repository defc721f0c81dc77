//! The programs of a lab, who publishes them together, and for which processors.

use crate::{Version, version::first_version_in};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A project that releases programs under one version number, from one place, as one Go module graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// `k8s.io/kubernetes`.
    Kubernetes,
    /// `go.etcd.io/etcd`.
    Etcd,
    /// `github.com/coredns/coredns`.
    Coredns,
}

impl Component {
    /// All of them, in the order in which they are obtained.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::Kubernetes, Self::Coredns];

    /// The name in paths and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Etcd => "etcd",
            Self::Coredns => "coredns",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a program that a lab can need. There is no other way to name one, so a name is safe in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the program of that name")]
pub enum ProgramName {
    Etcd,
    Etcdctl,
    Etcdutl,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kubelet,
    KubeProxy,
    Kubectl,
    Kubeadm,
    Coredns,
}

/// A text that names no [`ProgramName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a program of a lab: use one of {}", names())]
pub struct UnknownProgram {
    text: String,
}

fn names() -> String {
    ProgramName::ALL.map(ProgramName::as_str).join(", ")
}

impl ProgramName {
    /// Every program that this crate can obtain.
    pub const ALL: [Self; 11] = [
        Self::Etcd,
        Self::Etcdctl,
        Self::Etcdutl,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubelet,
        Self::KubeProxy,
        Self::Kubectl,
        Self::Kubeadm,
        Self::Coredns,
    ];

    /// The name of its file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Etcdctl => "etcdctl",
            Self::Etcdutl => "etcdutl",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Kubectl => "kubectl",
            Self::Kubeadm => "kubeadm",
            Self::Coredns => "coredns",
        }
    }

    /// Whose release it is part of.
    pub fn component(self) -> Component {
        match self {
            Self::Etcd | Self::Etcdctl | Self::Etcdutl => Component::Etcd,
            Self::Coredns => Component::Coredns,
            _ => Component::Kubernetes,
        }
    }

    /// The Go package that it is built from.
    pub fn package(self) -> String {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3".to_owned(),
            Self::Etcdctl => "go.etcd.io/etcd/etcdctl/v3".to_owned(),
            Self::Etcdutl => "go.etcd.io/etcd/etcdutl/v3".to_owned(),
            Self::Coredns => "github.com/coredns/coredns".to_owned(),
            kubernetes => format!("k8s.io/kubernetes/cmd/{kubernetes}"),
        }
    }

    /// The arguments that make it print its version and end.
    pub fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Etcdctl | Self::Etcdutl => &["version"],
            Self::Kubectl => &["version", "--client"],
            Self::Kubeadm => &["version", "--output=short"],
            Self::Coredns => &["-version"],
            _ => &["--version"],
        }
    }

    /// Reads what the program said when called with [`ProgramName::version_arguments`].
    ///
    /// Samples: `Kubernetes v1.37.2`; `Client Version: v1.37.2`; `v1.37.2`; `etcd Version: 3.7.3`;
    /// `etcdctl version: 3.7.3`; `CoreDNS-1.15.0`. The version is on the first line, and the first number on it.
    pub fn parse_version(self, stdout: &str) -> Option<Version> {
        first_version_in(stdout.lines().next()?)
    }
}

impl FromStr for ProgramName {
    type Err = UnknownProgram;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|name| name.as_str() == text);
        found.ok_or_else(|| UnknownProgram {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A processor architecture, under the name that Go and OCI use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
}

/// A processor architecture for which there are no programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("architecture {text:?} is not supported: use amd64 or arm64")]
pub struct UnknownArchitecture {
    text: String,
}

impl Architecture {
    /// The name in URLs, in `GOARCH` and in image configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture that this program was compiled for; what it builds runs here.
    pub fn here() -> Result<Self, UnknownArchitecture> {
        std::env::consts::ARCH.parse()
    }
}

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    /// Reads Go's names and those of Linux (`uname -m`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "aarch64" => Ok(Self::Arm64),
            _ => Err(UnknownArchitecture {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
