//! Whether what is secret or signed belongs together and is valid.

use super::{Finding, Severity};
use crate::Material;
use pki::Certificate;
use std::path::Path;
use time::OffsetDateTime;

/// Judges the material at the moment `now`; `pin` is what the caller expects of the authority's key
/// (`sha256:HEX`, as `kubeadm join --discovery-token-ca-cert-hash` takes it). Pure.
pub fn judge_material(material: &Material, pin: Option<&str>, now: OffsetDateTime) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |check: &str, place: &str, evidence: String, remedy: &str| {
        found.push(Finding {
            severity: Severity::Error,
            check: check.to_owned(),
            place: place.to_owned(),
            evidence,
            remedy: remedy.to_owned(),
        });
    };
    if material.token.expires <= now {
        let evidence = format!("it ended at {}, and it is {now}", material.token.expires);
        say("BootstrapToken", "the material", evidence, "draw a new one");
    }
    let ca = match Certificate::from_pem(&material.ca_pem) {
        Ok(ca) => ca,
        Err(error) => {
            let remedy = "give the authority's certificate as PEM";
            say(
                "CertificateAuthority",
                "the material",
                error.to_string(),
                remedy,
            );
            return found;
        }
    };
    if ca.not_after() <= now {
        let evidence = format!("{} ended at {}", ca.common_name(), ca.not_after());
        let remedy = "issue a new authority, and all certificates anew";
        say("CertificateAuthority", "the material", evidence, remedy);
    }
    let seen = ca.public_key_pin();
    if let Some(pin) = pin.filter(|pin| **pin != seen) {
        let evidence = format!("the pin is {pin}, but the authority's key has {seen}");
        let remedy = "take the pin of the right authority, or the right authority";
        say("CertificateAuthority", "the material", evidence, remedy);
    }
    for (node, files) in &material.files {
        let own = files.iter();
        let own = own.filter(|file| file.path == Path::new(crate::component::CA));
        for file in own.filter(|file| file.contents.bytes() != material.ca_pem.as_bytes()) {
            let evidence = format!("{} is of another authority", file.path.display());
            let remedy = "give every node the certificate of the one authority";
            say("CertificateAuthority", node.as_str(), evidence, remedy);
        }
    }
    found
}
