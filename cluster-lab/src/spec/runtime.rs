//! The program that starts containers, and what cannot be one here.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The program that starts containers, called by containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum OciRuntime {
    /// crun, in C.
    Crun,
    /// runc, in Go.
    Runc,
}

/// What a lab cannot have as its runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Docker, by itself.
    #[error(
        "the runtime cannot be {0}: Kubernetes removed dockershim, its way to Docker, in 1.24; images made with Docker \
         run as they are on containerd, so say crun or runc, which containerd starts"
    )]
    Docker(String),
    /// Docker behind a shim of its own.
    #[error(
        "the runtime cannot be {0}: it is a second daemon between the kubelet and Docker, which calls containerd \
         itself (Kubernetes removed dockershim, the one inside the kubelet, in 1.24); say crun or runc, which \
         containerd starts without either"
    )]
    CriDockerd(String),
    /// CRI-O.
    #[error(
        "the runtime cannot be {0}: a lab takes its runtime from the distribution, and Debian has no CRI-O; missing \
         are crio and pinns of the minor of Kubernetes, and conmon; on VMs too, whose images are brought by ctr, which \
         CRI-O has nothing like; say crun or runc, which containerd starts (k8s-bootstrap writes CRI-O's configuration \
         for hosts that have it)"
    )]
    Crio(String),
    /// containerd, which is there anyway.
    #[error(
        "the runtime cannot be {0}: every lab has containerd; say crun or runc, which it starts"
    )]
    Containerd(String),
    /// No runtime.
    #[error("the runtime cannot be {0:?}: say crun or runc")]
    Unknown(String),
}

impl OciRuntime {
    /// The name of the program.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }
}

impl FromStr for OciRuntime {
    type Err = RuntimeError;

    fn from_str(text: &str) -> Result<Self, RuntimeError> {
        let own = text.to_owned();
        match text.to_ascii_lowercase().as_str() {
            "crun" => Ok(Self::Crun),
            "runc" => Ok(Self::Runc),
            "docker" | "dockershim" => Err(RuntimeError::Docker(own)),
            "cri-dockerd" => Err(RuntimeError::CriDockerd(own)),
            "crio" | "cri-o" => Err(RuntimeError::Crio(own)),
            "containerd" => Err(RuntimeError::Containerd(own)),
            _ => Err(RuntimeError::Unknown(own)),
        }
    }
}

impl TryFrom<String> for OciRuntime {
    type Error = RuntimeError;

    fn try_from(text: String) -> Result<Self, RuntimeError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabSpec;

    #[test]
    fn what_cannot_be_a_runtime_is_refused_with_the_reason_and_the_remedy() {
        for (text, reason) in [
            ("docker", "removed dockershim, its way to Docker, in 1.24"),
            ("Docker", "removed dockershim"),
            ("dockershim", "removed dockershim"),
            ("cri-dockerd", "a second daemon"),
            ("cri-o", "Debian has no CRI-O"),
            ("crio", "pinns of the minor of Kubernetes"),
            ("containerd", "every lab has containerd"),
            ("podman", "say crun or runc"),
        ] {
            let error = LabSpec::from_toml(&format!("runtime = '{text}'")).unwrap_err();
            let message = error.to_string();
            for part in [text, reason, "say crun or runc", "line 1, column 11"] {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
        let spec = LabSpec::from_toml("runtime = 'runc'").unwrap();
        assert_eq!(spec.runtime, OciRuntime::Runc);
        assert_eq!(serde_json::to_value(spec.runtime).unwrap(), "runc");
    }
}
