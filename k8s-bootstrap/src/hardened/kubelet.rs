//! The kubelet.

use super::{CIPHERS, MIN_TLS, is_hardened};
use crate::component::Place;
use serde_json::{Value, json};

/// Processes that one pod may have; a fork bomb ends here and not at the machine's own limit.
const POD_PIDS: i64 = 4096;

/// Adds to a `KubeletConfiguration`.
pub(crate) fn kubelet(place: Place<'_>, config: &mut Value) {
    if !is_hardened(place) {
        return;
    }
    let ours = json!({
        // The default; 0 would be no limit, and the benchmark wants a word about it.
        "eventRecordQPS": 50,
        "makeIPTablesUtilChains": true,
        "podPidsLimit": POD_PIDS,
        // Pods that name no profile get the runtime's instead of none.
        "seccompDefault": true,
        // What `--kubelet-certificate-authority` of the API server asks of every kubelet.
        "serverTLSBootstrap": true,
        // The default is four hours.
        "streamingConnectionIdleTimeout": "5m0s",
        "tlsCipherSuites": CIPHERS,
        "tlsMinVersion": MIN_TLS,
    });
    for (key, value) in ours.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
}
