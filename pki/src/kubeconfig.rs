//! Kubeconfig texts, with everything embedded, so that one file is all a client needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::name::{ApiUrl, HostName};
use crate::token::BootstrapToken;

/// A kubeconfig that holds a client certificate and its key, as kubeadm writes them.
///
/// Cluster and user names are quoted, so no value can break out of its place in the text.
#[must_use]
pub fn kubeconfig(
    cluster_name: &HostName,
    server_url: &ApiUrl,
    ca_pem: &str,
    user: &str,
    certificate_pem: &str,
    key_pem: &str,
) -> Zeroizing<String> {
    // Room for all of it at once: a string that grows leaves copies of the key behind.
    let room = 1024 + 2 * (ca_pem.len() + certificate_pem.len() + key_pem.len() + user.len() * 6);
    let mut text = Zeroizing::new(String::with_capacity(room));
    push_head(&mut text, cluster_name, server_url, ca_pem, user);
    text.push_str("    client-certificate-data: ");
    STANDARD.encode_string(certificate_pem, &mut text);
    text.push_str("\n    client-key-data: ");
    STANDARD.encode_string(key_pem, &mut text);
    text.push('\n');
    text
}

/// A kubeconfig that names a file on its machine with both certificate and key, as kubeadm leaves it to a
/// kubelet that renews them by itself. It holds no secret.
#[must_use]
pub fn kubeconfig_of_file(
    cluster_name: &HostName,
    server_url: &ApiUrl,
    ca_pem: &str,
    user: &str,
    pair_path: &str,
) -> String {
    let mut text = String::new();
    push_head(&mut text, cluster_name, server_url, ca_pem, user);
    let path = quoted(pair_path);
    text.push_str(&format!(
        "    client-certificate: {path}\n    client-key: {path}\n"
    ));
    text
}

/// The kubeconfig with which a kubelet asks for its first certificate (TLS bootstrapping).
#[must_use]
pub fn bootstrap_kubeconfig(
    cluster_name: &HostName,
    server_url: &ApiUrl,
    ca_pem: &str,
    token: &BootstrapToken,
) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2048 + 2 * ca_pem.len()));
    push_head(
        &mut text,
        cluster_name,
        server_url,
        ca_pem,
        "tls-bootstrap-token-user",
    );
    text.push_str("    token: ");
    text.push_str(token.expose());
    text.push('\n');
    text
}

/// All but the credential, which comes last in `users`.
fn push_head(text: &mut String, cluster: &HostName, server_url: &ApiUrl, ca_pem: &str, user: &str) {
    let (user, context) = (quoted(user), quoted(&format!("{user}@{cluster}")));
    let cluster = quoted(cluster.as_str());
    let authority = STANDARD.encode(ca_pem);
    text.push_str(&format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {cluster}\n  \
           cluster:\n    \
             certificate-authority-data: {authority}\n    \
             server: {server_url}\n\
         contexts:\n\
         - name: {context}\n  \
           context:\n    \
             cluster: {cluster}\n    \
             user: {user}\n\
         current-context: {context}\n\
         preferences: {{}}\n\
         users:\n\
         - name: {user}\n  \
           user:\n"
    ));
}

/// A JSON string is a YAML double-quoted scalar (YAML 1.2 section 1.3).
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}
