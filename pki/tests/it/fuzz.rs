//! A short run of every fuzz target, from damaged forms of what it reads.

use pki::{
    Authority, CertificateRequest, LeafRequest, Life, OsRandom, Passphrase, PrivateKey, Purpose,
    Subject,
};
use proptest::prelude::*;

use crate::fuzzed;
use crate::support::now;

/// Replaces, removes or inserts some bytes.
fn damaged(mut bytes: Vec<u8>, changes: &[(usize, u8, u8)]) -> Vec<u8> {
    for (at, kind, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match kind % 4 {
            0 => bytes[at] = *byte,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, *byte),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// PEM around damaged DER: damage of the text itself hardly ever reaches the reader of the bytes.
fn damaged_der(pem: &str, changes: &[(usize, u8, u8)]) -> Vec<u8> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut lines = pem.lines();
    let (first, body): (_, Vec<_>) = (lines.next().unwrap(), lines.collect());
    let (last, body) = body.split_last().unwrap();
    let der = damaged(base64.decode(body.concat()).unwrap(), changes);
    format!("{first}\n{}\n{last}\n", base64.encode(der)).into_bytes()
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..4)
}

fn texts() -> [String; 3] {
    let subject = Subject::new("ca", &[]).unwrap();
    let authority = Authority::create(&subject, Life::AUTHORITY, now(), &OsRandom).unwrap();
    let names = "*.a.b";
    let names = pki::AltNames::default()
        .with_wildcards(vec![pki::WildcardName::new(names).unwrap()])
        .unwrap();
    let leaf = LeafRequest::new(subject.clone(), Purpose::Server, names, Life::LEAF).unwrap();
    let leaf = authority.issue(&leaf, now(), &OsRandom).unwrap();
    let request = CertificateRequest::create(subject).unwrap();
    [
        leaf.certificate_pem,
        leaf.key_pem.to_string(),
        request.pem().to_owned(),
    ]
}

fn sealed() -> String {
    let passphrase = Passphrase::new("a pass phrase").unwrap();
    let key = PrivateKey::generate().unwrap();
    key.to_encrypted_pem(&passphrase, &OsRandom)
        .unwrap()
        .to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn certificates_keys_and_requests(changes in changes()) {
        let [certificate, key, request] = texts();
        for (text, target) in [
            (&certificate, fuzzed::certificate as fn(&[u8])),
            (&key, fuzzed::private_key),
            (&request, fuzzed::request),
        ] {
            target(&damaged(text.clone().into_bytes(), &changes));
            target(&damaged_der(text, &changes));
        }
    }

    #[test]
    fn names(text in "\\PC{0,60}|[a-z*.0-9:-]{1,60}|https://[a-z0-9.:\\[\\]/-]{0,40}") {
        fuzzed::names(text.as_bytes());
    }
}

proptest! {
    // A key that is whole costs its pass phrase, which is slow on purpose.
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn encrypted_keys(changes in changes()) {
        fuzzed::private_key(&damaged_der(&sealed(), &changes));
    }
}
