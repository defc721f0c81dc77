//! Client certificates of somebody else's making: what is accepted, what is not.

use pki::{
    AltNames, AnswerError, Authority, Certificate, CertificateRequest, CheckError, LeafRequest,
    Life, OsRandom, Purpose, Subject,
};
use time::Duration;

use crate::support::{days, host, now};

fn node() -> Subject {
    Subject::new("system:node:worker-0", &["system:nodes"]).unwrap()
}

fn authority() -> Authority {
    let subject = Subject::new("kubernetes", &[]).unwrap();
    Authority::create(&subject, Life::AUTHORITY, now(), &OsRandom).unwrap()
}

fn issued(authority: &Authority, purpose: Purpose) -> Certificate {
    let names = AltNames::new(vec![host("worker-0")], Vec::new()).unwrap();
    let request = LeafRequest::new(node(), purpose, names, Life::LEAF).unwrap();
    let issued = authority.issue(&request, now(), &OsRandom).unwrap();
    Certificate::from_pem(&issued.certificate_pem).unwrap()
}

#[test]
fn a_client_is_accepted_in_its_life_only() {
    let authority = authority();
    let (leaf, ca) = (issued(&authority, Purpose::Client), authority.certificate());
    let last = leaf.not_after();
    for moment in [leaf.not_before(), now(), last] {
        leaf.check_client(&node(), ca, moment).unwrap();
    }
    for moment in [
        leaf.not_before() - Duration::SECOND,
        last + Duration::SECOND,
    ] {
        let error = leaf.check_client(&node(), ca, moment).unwrap_err();
        assert!(matches!(error, CheckError::Time { .. }), "{error}");
    }
}

#[test]
fn foreign_authorities_subjects_and_usages_are_refused() {
    let (authority, namesake) = (authority(), authority());
    let leaf = issued(&authority, Purpose::Client);
    let refused = |leaf: &Certificate, subject: &Subject, ca: &Authority| {
        leaf.check_client(subject, ca.certificate(), now())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&leaf, &node(), &namesake).starts_with("a peer would refuse it for client"));
    let other = Subject::new("system:node:worker-1", &["system:nodes"]).unwrap();
    assert_eq!(
        refused(&leaf, &other, &authority),
        "common name is `system:node:worker-0`, wanted `system:node:worker-1`"
    );
    let stranger = Subject::new("system:node:worker-0", &[]).unwrap();
    assert_eq!(
        refused(&leaf, &stranger, &authority),
        "groups is `system:nodes`, wanted ``"
    );
    let server = issued(&authority, Purpose::Server);
    assert!(refused(&server, &node(), &authority).starts_with("a peer would refuse it for client"));
}

#[test]
fn an_answer_about_another_key_is_refused() {
    let authority = authority();
    let request = CertificateRequest::create(node()).unwrap();
    assert!(
        request
            .pem()
            .starts_with("-----BEGIN CERTIFICATE REQUEST-----")
    );
    let leaf = LeafRequest::new(node(), Purpose::Client, AltNames::default(), Life::LEAF).unwrap();
    let other = authority.issue(&leaf, now(), &OsRandom).unwrap();
    let ca = authority.certificate();
    let error = request
        .accept(&other.certificate_pem, ca, now() + days(1))
        .unwrap_err();
    assert!(matches!(error, AnswerError::ForeignKey { .. }), "{error}");
    let error = request
        .accept("no certificate", ca, now() + days(1))
        .unwrap_err();
    assert!(matches!(error, AnswerError::Certificate { .. }), "{error}");
}

#[test]
fn two_requests_have_two_keys_and_show_neither() {
    let (one, two) = (
        CertificateRequest::create(node()).unwrap(),
        CertificateRequest::create(node()).unwrap(),
    );
    assert_ne!(one.public_key_der(), two.public_key_der());
    assert_eq!(
        format!("{one:?}"),
        "CertificateRequest(CN=system:node:worker-0, O=system:nodes)"
    );
}
