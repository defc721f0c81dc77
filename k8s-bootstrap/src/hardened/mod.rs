//! The profile [`Profile::Hardened`]: an overlay on the definitions of [`component`](crate::component).
//!
//! It answers every check of the CIS Kubernetes Benchmark (1.10 to 1.12) that a program can judge; [`cis`](crate::cis)
//! holds the list and judges a running cluster by it. What it cannot answer is in [`cis::exceptions`](crate::cis::exceptions)
//! with the reason. Beside the benchmark it sets the lowest version of TLS and a default of Pod Security.
//!
//! Two things are left out on purpose:
//!
//! - `protectKernelDefaults` of the kubelet: in a machine of namespaces the settings meant are files laid over
//!   `/proc/sys`, and a kubelet that may only look at them has nothing to protect. The benchmark dropped its check.
//! - The profile takes from whoever has no identity everything but health. With it goes the discovery of `kubeadm join`
//!   by token, which reads the ConfigMap `cluster-info` without one; discovery by file works (`kubeadm join --config`,
//!   `discovery.file`).
//!
//! The overlay changes nothing of a cluster with [`Profile::Standard`].

mod access;
mod api_server;
mod encryption;
mod kubelet;

pub use access::Anonymous;
pub use encryption::{EncryptionKey, EncryptionKeyError};

pub(crate) use api_server::{api_server, api_server_files};
pub(crate) use encryption::CONFIG as ENCRYPTION_CONFIG;
pub(crate) use kubelet::kubelet;

use crate::{
    Profile, Role, Shape,
    component::{Flags, PKI, Place, balancer},
};
use host_exec::{Contents, File, Mode};
use std::path::Path;

/// Where the API server's own configuration lies: one directory, which a static pod mounts as a whole.
pub(crate) const DIR: &str = "/etc/kubernetes/apiserver";
/// Where the audit log lies. [`log_directory`] has it made with mode 0700.
pub(crate) const LOG_DIR: &str = "/var/log/kubernetes";

/// The suites of TLS 1.2 that servers accept; those of TLS 1.3 are not a choice in Go. All have forward secrecy and
/// authenticated encryption, and are named by the API server's check of the benchmark (1.2.29) and by the kubelet's
/// (4.2.12), whose lists differ. HTTP/2 asks for the first of a kind (RFC 9113, 9.2.2).
pub(crate) const CIPHERS: [&str; 4] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
];
/// Not 1.3: probes and clients of users that end at 1.2 get in, by [`CIPHERS`] alone.
const MIN_TLS: &str = "VersionTLS12";
/// How many ended pods stay to be looked at: that of Talos. The default is 12,500.
const ENDED_PODS_KEPT: &str = "100";

fn is_hardened(place: Place<'_>) -> bool {
    place.cluster.profile == Profile::Hardened
}

/// What every server of the control plane has in common.
fn server(flags: &mut Flags) {
    flags
        .set("profiling", "false")
        .set("tls-cipher-suites", CIPHERS.join(","))
        .set("tls-min-version", MIN_TLS);
}

/// Adds to the flags of a controller manager.
pub(crate) fn controller_manager(place: Place<'_>, flags: &mut Flags) {
    if is_hardened(place) {
        server(flags);
        flags.set("terminated-pod-gc-threshold", ENDED_PODS_KEPT);
    }
}

/// Adds to the flags of a scheduler.
pub(crate) fn scheduler(place: Place<'_>, flags: &mut Flags) {
    if is_hardened(place) {
        server(flags);
    }
}

/// Lines of `[Service]` that have systemd make the directory of the audit log before the program starts
/// (systemd.exec(5), `LogsDirectory=`).
///
/// With services that is the API server's own unit. A static pod has none, and its kubelet would make the directory
/// with mode 0755, so there it is the kubelet's.
pub(crate) fn log_directory(place: Place<'_>, keeper: Shape) -> Vec<(&'static str, String)> {
    let here = place.role == Role::ControlPlane && place.cluster.shape == keeper;
    if !(is_hardened(place) && here) {
        return Vec::new();
    }
    vec![
        ("LogsDirectory", "kubernetes".into()),
        ("LogsDirectoryMode", "0700".into()),
    ]
}

/// Takes everybody else's sight of what this crate writes: units, configuration, the network's. Certificates stay
/// public, as the benchmark has them, and so does the balancer's configuration, which its own user has to read.
pub(crate) fn guarded(place: Place<'_>, file: File) -> File {
    let private = is_hardened(place)
        && matches!(file.contents, Contents::Public(_))
        && !file.path.starts_with(PKI)
        && file.path != Path::new(balancer::CONFIG);
    if private {
        file.with_mode(Mode::SECRET)
    } else {
        file
    }
}
