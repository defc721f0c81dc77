//! What is secret or signed, made by the caller.

use host_exec::{File, HostName};
use pki::BootstrapToken;
use std::{collections::BTreeMap, fmt};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// A client certificate and its key, both PEM.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(..)")
    }
}

/// The token with which kubelets ask for their first certificate, and its end.
#[derive(Debug, Clone)]
pub struct ExpiringToken {
    /// The token.
    pub token: BootstrapToken,
    /// When the API stops accepting it. Keep token and time together: both are written into one Secret.
    pub expires: OffsetDateTime,
}

/// Everything that has to be trusted or kept secret.
#[derive(Debug, Clone)]
pub struct Material {
    /// The certificate of the cluster's authority, pinned by kubelets and by this crate's own client.
    pub ca_pem: String,
    /// An identity in the group `system:masters`: the API's own roles are not there yet when the first
    /// objects are written. From 1.29 on that is kubeadm's `super-admin.conf`, before it `admin.conf`.
    pub identity: ClientIdentity,
    /// How nodes without a certificate get one.
    pub token: ExpiringToken,
    /// Keys, certificates and kubeconfigs of each node, at the paths of kubeadm (below `/etc/kubernetes`).
    pub files: BTreeMap<HostName, Vec<File>>,
}
