//! Requests of others, signed by a policy or refused by it.

use pki::{
    AltNames, Authority, CaRole, Certificate, CertificateRequest, Life, NamePolicy, OsRandom,
    Purpose, SignRequestError, SigningPolicy, StoreSignError, Subject,
};

use crate::support::{empty_lab, host, ip, lab, now, plan, spec};

fn node() -> Subject {
    Subject::new("system:node:worker-0", &["system:nodes"]).unwrap()
}

fn authority() -> Authority {
    let subject = Subject::new("kubernetes", &[]).unwrap();
    Authority::create(&subject, Life::AUTHORITY, now(), &OsRandom).unwrap()
}

fn policy(purpose: Purpose, names: NamePolicy) -> SigningPolicy {
    SigningPolicy {
        subject: node(),
        purpose,
        names,
        life: Life::LEAF,
    }
}

fn worker() -> AltNames {
    AltNames::new(vec![host("worker-0")], vec![ip("10.0.1.20")]).unwrap()
}

#[test]
fn a_request_gets_what_the_policy_says_and_the_key_stays_with_its_holder() {
    let authority = authority();
    let request = CertificateRequest::create(node()).unwrap();
    let client = policy(Purpose::Client, NamePolicy::Fixed(AltNames::default()));
    let pem = authority
        .sign_request(request.pem(), &client, now(), &OsRandom)
        .unwrap();
    // Its holder judges the answer as any client of that authority does.
    let issued = request
        .accept(&pem, authority.certificate(), now())
        .unwrap();
    assert_eq!(issued.certificate_pem, pem);
    let both = policy(Purpose::ServerAndClient, NamePolicy::Fixed(worker()));
    let pem = authority
        .sign_request(request.pem(), &both, now(), &OsRandom)
        .unwrap();
    let read = Certificate::from_pem(&pem).unwrap();
    assert_eq!(read.alt_names(), &worker());
    assert_eq!(
        (read.common_name(), read.groups()),
        ("system:node:worker-0", &["system:nodes".to_owned()][..])
    );
}

#[test]
fn requests_about_somebody_else_or_without_proof_are_refused() {
    let authority = authority();
    let client = policy(Purpose::Client, NamePolicy::Fixed(AltNames::default()));
    let refused = |pem: &str| {
        let error = authority.sign_request(pem, &client, now(), &OsRandom);
        error.unwrap_err()
    };
    for other in [
        Subject::new("system:node:worker-1", &["system:nodes"]).unwrap(),
        Subject::new("system:node:worker-0", &["system:masters"]).unwrap(),
        Subject::new("system:node:worker-0", &[]).unwrap(),
    ] {
        let request = CertificateRequest::create(other).unwrap();
        let error = refused(request.pem());
        assert!(matches!(error, SignRequestError::Subject { .. }), "{error}");
    }
    let request = CertificateRequest::create(node()).unwrap();
    let error = refused(&with_other_signature(request.pem()));
    assert!(matches!(error, SignRequestError::Proof { .. }), "{error}");
    let error = refused(&request.pem()[..150]);
    assert!(matches!(error, SignRequestError::Request { .. }), "{error}");
    // A server without names is a policy that nothing can fulfil.
    let server = policy(Purpose::Server, NamePolicy::Fixed(AltNames::default()));
    let error = authority
        .sign_request(request.pem(), &server, now(), &OsRandom)
        .unwrap_err();
    assert!(matches!(error, SignRequestError::Policy { .. }), "{error}");
}

#[test]
fn an_authority_of_a_store_signs_and_its_ledger_knows() {
    let lab = lab();
    let person = Subject::new("jane doe", &["developers"]).unwrap();
    let request = CertificateRequest::create(person.clone()).unwrap();
    let policy = SigningPolicy {
        subject: person,
        purpose: Purpose::Client,
        names: NamePolicy::Fixed(AltNames::default()),
        life: Life::days(30).unwrap(),
    };
    let role = CaRole::Kubernetes;
    let at = now() + time::Duration::milliseconds(500);
    let sign = |pem: &str| lab.store.sign_request(role, pem, &policy, at, &OsRandom);
    let before = lab.store.ledger().unwrap();
    let pem = sign(request.pem()).unwrap();
    let ca = lab
        .store
        .certificate(&pki::ItemId::Authority(role))
        .unwrap();
    request.accept(&pem, &ca, now()).unwrap();
    let after = lab.store.ledger().unwrap();
    assert_eq!(after[..before.len()], before);
    let [entry] = &after[before.len()..] else {
        panic!("{after:?}");
    };
    let signed = Certificate::from_pem(&pem).unwrap();
    assert_eq!(entry.serial.to_string(), signed.serial_hex());
    assert_eq!(
        (entry.item.as_str(), entry.authority.as_str()),
        ("signed/jane_doe", role.name())
    );
    assert_eq!(entry.not_after, signed.not_after());
    // What is refused takes no number, and nothing else of the store has changed.
    let other = CertificateRequest::create(node()).unwrap();
    assert!(matches!(sign(other.pem()), Err(StoreSignError::Sign(_))));
    assert_eq!(lab.store.ledger().unwrap(), after);
    assert!(plan(&lab, now()).is_done());
    let empty = empty_lab(spec());
    let nobody = empty
        .store
        .sign_request(role, request.pem(), &policy, now(), &OsRandom);
    assert!(matches!(nobody, Err(StoreSignError::Read(_))), "{nobody:?}");
}

/// The same request whose last byte, inside of the signature, is another one.
fn with_other_signature(pem: &str) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let label = |line: &&str| line.starts_with("-----");
    let body: String = pem.lines().filter(|line| !label(line)).collect();
    let mut der = base64.decode(body).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let body = base64.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
}
