//! How a node gets a client certificate of its own, as data: what is asked for, what an answer says, and whether
//! the certificate that a node has will do.
//!
//! The way is the kubelet's TLS bootstrap (kubernetes.io, "TLS bootstrapping"), done on its behalf before it
//! starts: until its first certificate is there, a kubelet's watches are refused, and their growing pauses (up
//! to 6.4 s) go on after the certificate has come. From then on it renews by itself.

use crate::{
    Object,
    object::{ObjectKey, digest},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use host_exec::HostName;
use pki::{Certificate, CertificateRequest, RequestError, Subject};
use serde_json::{Value, json};
use std::fmt;
use time::OffsetDateTime;

/// The API group of signing requests.
const API_VERSION: &str = "certificates.k8s.io/v1";
/// How a kubelet's certificate differs from every other
/// (kubernetes.io, "Certificate Signing Requests", Kubernetes signers).
const SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const GROUP: &str = "system:nodes";
/// What a user name adds to a node's name, of the 64 characters that a common name may have.
pub(crate) const USER_PREFIX: &str = "system:node:";

/// Whether the client certificate of a node will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeCertificate {
    /// A server that trusts the cluster's authority takes its holder for this node, now.
    Valid,
    /// There is none.
    Missing,
    /// It is expired, of another authority or node, or damaged; the text says which.
    Unusable(String),
}

impl fmt::Display for NodeCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid => f.write_str("valid"),
            Self::Missing => f.write_str("missing"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

/// The user name of a node.
pub(crate) fn user(node: &HostName) -> String {
    format!("{USER_PREFIX}{node}")
}

/// Whom a node's certificate is about.
pub(crate) fn subject(node: &HostName) -> Result<Subject, RequestError> {
    Subject::new(&user(node), &[GROUP])
}

/// Judges the file with a node's certificate and key at a moment.
pub(crate) fn judge(
    pem: &str,
    node: &HostName,
    ca_pem: &str,
    now: OffsetDateTime,
) -> NodeCertificate {
    let unusable = |error: &dyn fmt::Display| NodeCertificate::Unusable(error.to_string());
    // The kubelet names the kind of its keys, this crate does not; a pair is written as one file or not at all.
    if !pem.contains("PRIVATE KEY-----") {
        return unusable(&"there is no key beside the certificate");
    }
    let (found, ca) = match (Certificate::from_pem(pem), Certificate::from_pem(ca_pem)) {
        (Ok(found), Ok(ca)) => (found, ca),
        (Err(error), _) | (_, Err(error)) => return unusable(&error),
    };
    let subject = match subject(node) {
        Ok(subject) => subject,
        Err(error) => return unusable(&error),
    };
    match found.check_client(&subject, &ca, now) {
        Ok(()) => NodeCertificate::Valid,
        Err(error) => unusable(&error),
    }
}

/// The object that asks for a signature. Its name tells of the key, so that asking twice is asking once, and a
/// request whose key was lost is simply another one.
pub(crate) fn signing_request(request: &CertificateRequest) -> Object {
    Object::new(json!({
        "apiVersion": API_VERSION,
        "kind": "CertificateSigningRequest",
        "metadata": {"name": format!("node-csr-{}", digest(&request.public_key_der()))},
        "spec": {
            "request": STANDARD.encode(request.pem()),
            "signerName": SIGNER,
            // An ECDSA key enciphers none, so these two and no more (certificates/v1, `usages`).
            "usages": ["digital signature", "client auth"],
        },
    }))
}

/// What has become of a signing request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The certificate, PEM.
    Certificate(String),
    /// There will be none; the text says why.
    Refused(String),
    /// None yet; the text has its conditions.
    Pending(String),
}

/// Reads a `CertificateSigningRequest`.
pub(crate) fn answer(live: &Value) -> Answer {
    let status = &live["status"];
    let decoded = status["certificate"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(pem) = decoded {
        return Answer::Certificate(pem);
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions: Vec<(&str, String)> = conditions
        .filter_map(|condition| {
            let kind = condition["type"].as_str()?;
            let message = condition["message"].as_str().unwrap_or_default();
            Some((kind, format!("{kind}: {message}")))
        })
        .collect();
    let text = |wanted: &dyn Fn(&str) -> bool| {
        let found = conditions.iter().filter(|(kind, _)| wanted(kind));
        found
            .map(|(_, text)| text.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let refused = text(&|kind| matches!(kind, "Denied" | "Failed"));
    if !refused.is_empty() {
        return Answer::Refused(refused);
    }
    match text(&|_| true) {
        none if none.is_empty() => Answer::Pending("nobody has approved the request yet".into()),
        conditions => Answer::Pending(conditions),
    }
}

/// The key of a signing request's object, without its random part, for messages.
pub(crate) fn describe(key: &ObjectKey) -> String {
    key.name.chars().take("node-csr-".len() + 8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{authority, now};
    use pki::{AltNames, Authority, LeafRequest, Life, OsRandom, Purpose};

    #[test]
    fn answers_are_told_apart() {
        let with = |status: Value| answer(&json!({"status": status}));
        let condition = |kind: &str| json!({"type": kind, "status": "True", "message": "because"});
        assert_eq!(
            with(
                json!({"certificate": STANDARD.encode("pem"), "conditions": [condition("Approved")]})
            ),
            Answer::Certificate("pem".into())
        );
        assert_eq!(
            with(json!({"conditions": [condition("Approved"), condition("Failed")]})),
            Answer::Refused("Failed: because".into())
        );
        assert_eq!(
            with(json!({"conditions": [condition("Approved")]})),
            Answer::Pending("Approved: because".into())
        );
        assert_eq!(
            with(json!({})),
            Answer::Pending("nobody has approved the request yet".into())
        );
    }

    /// A file with the certificate and key of `who`.
    fn pair(ca: &Authority, who: Subject) -> String {
        let names = AltNames::default();
        let request = LeafRequest::new(who, Purpose::Client, names, Life::LEAF).expect("a request");
        let issued = ca.issue(&request, now(), &OsRandom).expect("a leaf");
        format!("{}{}", issued.certificate_pem, *issued.key_pem)
    }

    #[test]
    fn only_a_pair_that_the_cluster_takes_is_valid() {
        let (ca, namesake) = (authority(), authority());
        let node: HostName = "worker-0".parse().expect("a host name");
        let own = pair(&ca, subject(&node).expect("a subject"));
        let judged = |pem: &str, ca: &Authority, days: i64| {
            let moment = now() + time::Duration::days(days);
            judge(pem, &node, ca.certificate_pem(), moment)
        };
        let why = |judged: NodeCertificate| match judged {
            NodeCertificate::Unusable(why) => why,
            other => panic!("{other}"),
        };
        assert_eq!(judged(&own, &ca, 364), NodeCertificate::Valid);
        // As the kubelet writes a key when it renews.
        let renewed = own.replace("PRIVATE KEY-----", "EC PRIVATE KEY-----");
        assert_eq!(judged(&renewed, &ca, 0), NodeCertificate::Valid);
        assert!(why(judged(&own, &ca, 366)).starts_with("the certificate is valid from"));
        assert!(why(judged(&own, &namesake, 0)).starts_with("a peer would refuse it"));
        let other = pair(
            &ca,
            subject(&"cp-0".parse().expect("a host name")).expect("a subject"),
        );
        assert!(why(judged(&other, &ca, 0)).starts_with("common name is `system:node:cp-0`"));
        let half = own.split("-----BEGIN PRIVATE").next().unwrap_or_default();
        assert_eq!(
            why(judged(half, &ca, 0)),
            "there is no key beside the certificate"
        );
        assert!(!why(judged("PRIVATE KEY-----", &ca, 0)).is_empty());
    }

    #[test]
    fn a_request_is_named_after_its_key() {
        let subject = subject(&"worker-0".parse().expect("a host name")).expect("a subject");
        let request = CertificateRequest::create(subject.clone()).expect("a request");
        let again = signing_request(&request);
        assert_eq!(signing_request(&request).key(), again.key());
        let other = CertificateRequest::create(subject).expect("a request");
        assert_ne!(signing_request(&other).key(), again.key());
    }
}
