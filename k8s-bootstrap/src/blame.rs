//! Which certificate it is that TLS refuses: "UnknownIssuer" alone has sent many a person through every file
//! (kubernetes/kubeadm#2989).

use crate::component::pki_file;
use host_exec::Host;
use pki::{Certificate, Subject};
use std::path::Path;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What an API server said, with the certificate that it shows where TLS is the cause: its file, whom it is about, which
/// authority this crate trusts, and when it is valid.
pub(crate) async fn with_certificate(host: &dyn Host, ca_pem: &str, said: String) -> String {
    // rustls' words: "invalid peer certificate: UnknownIssuer", "certificate expired: verification time ..."
    if !said.contains("certificate") {
        return said;
    }
    let path = pki_file("apiserver.crt");
    let described = match host.read_file(Path::new(&path)).await {
        Ok(Some(bytes)) => match host_exec::clock(host).await {
            Ok(now) => describe(&path, &String::from_utf8_lossy(&bytes), ca_pem, now),
            Err(error) => error.to_string(),
        },
        Ok(None) => format!("{path} is not there"),
        Err(error) => format!("{path} cannot be read: {error}"),
    };
    format!("{said}; {described}")
}

fn describe(path: &str, pem: &str, ca_pem: &str, now: OffsetDateTime) -> String {
    let (shown, trusted) = match (Certificate::from_pem(pem), Certificate::from_pem(ca_pem)) {
        (Ok(shown), Ok(trusted)) => (shown, trusted),
        (Err(error), _) => return format!("{path} is no certificate: {error}"),
        (_, Err(error)) => return format!("the authority that is trusted is none: {error}"),
    };
    let text = |moment: OffsetDateTime| moment.format(&Rfc3339).unwrap_or_default();
    let groups: Vec<&str> = shown.groups().iter().map(String::as_str).collect();
    let judged = Subject::new(shown.common_name(), &groups)
        .map_err(|error| error.to_string())
        .and_then(|subject| {
            let checked = shown.check_server(&subject, shown.alt_names(), &trusted, now);
            checked.map_err(|error| error.to_string())
        });
    format!(
        "{path} is about {}, valid from {} to {}; against the trusted authority {} (pin {}) at {}: {}",
        shown.common_name(),
        text(shown.not_before()),
        text(shown.not_after()),
        trusted.common_name(),
        trusted.public_key_pin(),
        text(now),
        judged.err().unwrap_or_else(|| "good".to_owned())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{authority, now};
    use pki::{AltNames, Authority, LeafRequest, Life, OsRandom, Purpose};

    #[test]
    fn file_subject_authority_and_validity_are_named() {
        let (own, namesake) = (authority(), authority());
        let subject = Subject::new("kube-apiserver", &[]).expect("a subject");
        let names = AltNames::new(vec![], vec![[127, 0, 0, 1].into()]).expect("names");
        let request = LeafRequest::new(subject, Purpose::Server, names, Life::LEAF);
        let leaf = own.issue(&request.expect("a request"), now(), &OsRandom);
        let leaf = leaf.expect("a leaf").certificate_pem;
        let said = |ca: &Authority, days: i64| {
            let moment = now() + time::Duration::days(days);
            describe("/p/apiserver.crt", &leaf, ca.certificate_pem(), moment)
        };
        let start = "/p/apiserver.crt is about kube-apiserver, valid from 2027-01-15T07:55:00Z to 2028-01-15T08:00:00Z; \
            against the trusted authority kubernetes (pin sha256:";
        assert!(said(&own, 0).starts_with(start), "{}", said(&own, 0));
        assert!(said(&own, 0).ends_with(": good"), "{}", said(&own, 0));
        let foreign = said(&namesake, 0);
        assert!(foreign.contains("a peer would refuse it"), "{foreign}");
        let late = said(&own, 400);
        assert!(late.contains("the certificate is valid from"), "{late}");
        let nothing = describe("/p", "nothing", own.certificate_pem(), now());
        assert!(nothing.contains("no certificate"), "{nothing}");
    }
}
