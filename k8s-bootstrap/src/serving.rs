//! The certificates with which kubelets serve, signed by the cluster.
//!
//! A kubelet with `serverTLSBootstrap` asks for one by itself, with the names and addresses of its Node, and serves
//! nothing before it has it. The cluster's signer signs what is approved, and Kubernetes leaves approving to others,
//! since it cannot know which addresses are a node's
//! (<https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation>). The
//! spec knows: what it does not confirm stays pending.

use crate::{ClusterSpec, NodeCertificate, NodeSpec, join};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use host_exec::HostName;
use pki::{AltNames, Certificate, ForeignRequest};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};
use time::OffsetDateTime;

/// The API group and kind of signing requests.
pub(crate) const REQUESTS: (&str, &str) = ("certificates.k8s.io/v1", "CertificateSigningRequest");
/// kubernetes.io, "Certificate Signing Requests", Kubernetes signers.
const SIGNER: &str = "kubernetes.io/kubelet-serving";
const GROUP: &str = "system:nodes";
/// What it may be used for; the third is for RSA keys.
const USAGES: [&str; 3] = ["digital signature", "server auth", "key encipherment"];

/// Why a request is not approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServingRefusal {
    /// Somebody else than a node asks.
    #[error("{0} asks for it, who is no node of this cluster")]
    User(String),
    /// The asking user is not in the group of nodes.
    #[error("{0} is not in the group system:nodes")]
    Group(String),
    /// No request, or one with parts that no kubelet asks for.
    #[error("it cannot be taken: {0}")]
    Request(String),
    /// The subject is not the asking node.
    #[error("it is about {0}, and not about the node that asks")]
    Subject(String),
    /// A usage beyond serving, or none for serving.
    #[error("it asks for the usages {0}")]
    Usages(String),
    /// It names something that is not this node's.
    #[error("it asks for {0}, which is not a name or an address of this node in the spec")]
    Name(String),
    /// It names nothing.
    #[error("it asks for no name and no address")]
    Nameless,
}

/// A pending request for a kubelet's serving certificate, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServingRequest {
    /// The object's name.
    pub(crate) name: String,
    /// The node that asks, where it may have the certificate.
    pub(crate) verdict: Result<HostName, ServingRefusal>,
}

impl fmt::Display for ServingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Ok(node) => write!(
                f,
                "{} of {node} waits for approval; `lab up` gives it",
                self.name
            ),
            Err(why) => write!(f, "{}: {why}", self.name),
        }
    }
}

/// The requests among those listed that nobody has decided on, judged by the spec.
pub(crate) fn pending(spec: &ClusterSpec, list: &BTreeMap<String, Value>) -> Vec<ServingRequest> {
    let is_pending = |request: &Value| {
        let conditions = request["status"]["conditions"].as_array();
        request["spec"]["signerName"] == SIGNER && conditions.is_none_or(Vec::is_empty)
    };
    let pending = list.iter().filter(|(_, request)| is_pending(request));
    let judged = pending.map(|(name, request)| ServingRequest {
        name: name.clone(),
        verdict: judge_request(spec, &request["spec"]),
    });
    judged.collect()
}

/// Whether the node that asks may have the certificate that it asks for. Who asks is the API server's word, not the
/// request's.
fn judge_request(spec: &ClusterSpec, request: &Value) -> Result<HostName, ServingRefusal> {
    let user = request["username"].as_str().unwrap_or_default();
    let node = spec.nodes().map(|(_, node)| node);
    let node = node.into_iter().find(|node| join::user(&node.name) == user);
    let node = node.ok_or_else(|| ServingRefusal::User(user.to_owned()))?;
    let words = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    if !words(&request["groups"]).iter().any(|group| group == GROUP) {
        return Err(ServingRefusal::Group(user.to_owned()));
    }
    let usages = words(&request["usages"]);
    let serves = usages.iter().any(|usage| usage == "server auth");
    if !serves || !usages.iter().all(|usage| USAGES.contains(&&**usage)) {
        return Err(ServingRefusal::Usages(usages.join(", ")));
    }
    let asked = read(request["request"].as_str().unwrap_or_default())?;
    if asked.common_name() != user || asked.groups() != [GROUP] {
        let subject = format!("{} of {}", asked.common_name(), asked.groups().join(", "));
        return Err(ServingRefusal::Subject(subject));
    }
    judge_names(node, asked.alt_names())?;
    Ok(node.name.clone())
}

fn read(encoded: &str) -> Result<ForeignRequest, ServingRefusal> {
    let refused = |why: &dyn fmt::Display| ServingRefusal::Request(why.to_string());
    let bytes = STANDARD.decode(encoded).map_err(|why| refused(&why))?;
    let pem = String::from_utf8(bytes).map_err(|why| refused(&why))?;
    ForeignRequest::from_pem(&pem).map_err(|why| refused(&why))
}

fn judge_names(node: &NodeSpec, asked: &AltNames) -> Result<(), ServingRefusal> {
    let foreign = asked.dns().find(|name| name.as_str() != node.name.as_str());
    if let Some(name) = foreign {
        return Err(ServingRefusal::Name(name.to_string()));
    }
    if let Some(ip) = asked.ips().find(|ip| !node.address.both().contains(ip)) {
        return Err(ServingRefusal::Name(ip.to_string()));
    }
    if asked.dns().count() + asked.ips().count() == 0 {
        return Err(ServingRefusal::Nameless);
    }
    Ok(())
}

/// Judges the file with a kubelet's serving certificate and key at a moment: whether whoever trusts the cluster's
/// authority believes it under both addresses of its node.
pub(crate) fn judge_certificate(
    pem: &str,
    node: &NodeSpec,
    ca_pem: &str,
    now: OffsetDateTime,
) -> NodeCertificate {
    let judged = || {
        let text = |error: &dyn fmt::Display| error.to_string();
        let (found, ca) = (Certificate::from_pem(pem), Certificate::from_pem(ca_pem));
        let (found, ca) = (found.map_err(|e| text(&e))?, ca.map_err(|e| text(&e))?);
        let subject = join::subject(&node.name).map_err(|e| text(&e))?;
        let names = AltNames::new(Vec::new(), node.address.both().to_vec());
        let names = names.map_err(|e| text(&e))?;
        found
            .check_server(&subject, &names, &ca, now)
            .map_err(|e| text(&e))
    };
    match judged() {
        Ok(()) => NodeCertificate::Valid,
        Err(why) => NodeCertificate::Unusable(why),
    }
}

#[cfg(test)]
mod tests;
