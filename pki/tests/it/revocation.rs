//! Revocation lists: what is in them, and what is refused.

use pki::{
    AltNames, Authority, Certificate, LeafRequest, Life, OsRandom, Purpose, RevocationReason,
    RevokeError, Revoked, SerialNumber, Subject,
};
use time::Duration;

use crate::support::{days, now};

pub(crate) fn authority() -> Authority {
    let subject = Subject::new("etcd-ca", &[]).unwrap();
    Authority::create(&subject, Life::AUTHORITY, now(), &OsRandom).unwrap()
}

pub(crate) fn client(authority: &Authority) -> Certificate {
    let subject = Subject::new("client", &[]).unwrap();
    let names = AltNames::default();
    let request = LeafRequest::new(subject, Purpose::Client, names, Life::LEAF).unwrap();
    let issued = authority.issue(&request, now(), &OsRandom).unwrap();
    Certificate::from_pem(&issued.certificate_pem).unwrap()
}

pub(crate) fn revoked(certificate: &Certificate) -> Revoked {
    Revoked {
        serial: SerialNumber::of(certificate).unwrap(),
        revoked_at: now(),
        reason: RevocationReason::KeyCompromise,
    }
}

#[test]
fn a_list_names_what_is_revoked_and_its_authority() {
    use x509_parser::prelude::{CertificateRevocationList, FromDer as _};
    let authority = authority();
    let gone: Vec<_> = (0..3).map(|_| revoked(&client(&authority))).collect();
    let list = authority.revocation_list(&gone, 7, now(), days(7)).unwrap();
    let (rest, read) = CertificateRevocationList::from_der(list.der()).unwrap();
    assert!(rest.is_empty());
    let numbers: Vec<_> = read
        .iter_revoked_certificates()
        .map(|one| one.raw_serial())
        .collect();
    let wanted: Vec<_> = gone.iter().map(|one| one.serial.as_bytes()).collect();
    // A number whose first bit is set has a zero byte before it in DER.
    let trimmed: Vec<_> = numbers
        .iter()
        .map(|one| one.strip_prefix(&[0]).unwrap_or(one))
        .collect();
    assert_eq!(trimmed, wanted);
    assert_eq!(read.crl_number().unwrap().to_string(), "7");
    assert!(list.to_pem().starts_with("-----BEGIN X509 CRL-----\n"));
    let nothing = authority.revocation_list(&[], 8, now(), days(7)).unwrap();
    let (_, read) = CertificateRevocationList::from_der(nothing.der()).unwrap();
    assert_eq!(read.iter_revoked_certificates().count(), 0);
}

#[test]
fn a_list_without_a_life_or_with_a_repetition_is_refused() {
    let authority = authority();
    let one = revoked(&client(&authority));
    let twice = authority.revocation_list(&[one.clone(), one.clone()], 1, now(), days(1));
    assert!(matches!(twice, Err(RevokeError::Twice { .. })));
    for holds in [Duration::ZERO, -Duration::SECOND, Duration::MAX] {
        let error = authority.revocation_list(std::slice::from_ref(&one), 1, now(), holds);
        assert!(matches!(error, Err(RevokeError::Life { .. })), "{holds}");
    }
}

#[test]
#[ignore = "needs openssl"]
#[expect(clippy::disallowed_methods, reason = "the test runs openssl")]
fn openssl_refuses_whom_the_list_names_and_nobody_else() {
    let authority = authority();
    let (friend, thief) = (client(&authority), client(&authority));
    let list = authority
        .revocation_list(&[revoked(&thief)], 1, now(), days(7))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = write("ca.crt", authority.certificate_pem());
    let list = write("list.pem", &list.to_pem());
    let verify = |certificate: &Certificate| {
        let mut command = std::process::Command::new("openssl");
        command.args(["verify", "-x509_strict", "-crl_check", "-attime"]);
        command
            .arg(now().unix_timestamp().to_string())
            .arg("-CAfile")
            .arg(&ca);
        command
            .arg("-CRLfile")
            .arg(&list)
            .arg(write("leaf.crt", &certificate.to_pem()));
        let output = command.output().expect("openssl must be installed");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (accepted, text) = verify(&friend);
    assert!(accepted, "{text}");
    let (accepted, text) = verify(&thief);
    assert!(!accepted && text.contains("certificate revoked"), "{text}");
}
