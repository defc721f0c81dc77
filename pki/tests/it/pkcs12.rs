//! One file with key and certificate, opened by the programs of others.

#![expect(clippy::disallowed_methods, reason = "tests run openssl and others")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pki::{
    CaRole, Certificate, ItemId, LeafRole, OsRandom, Passphrase, Pkcs12Error, PrivateKey, pkcs12,
};

use crate::support::lab;

/// Beyond ASCII, since one half of the file takes it as UTF-8 and the other as UTF-16.
const PHRASE: &str = "grüße, p4ss phrase";

/// `admin.p12` of a store, with the pass phrase in a file, and what is in it.
fn exported(directory: &Path) -> (Certificate, Certificate, PrivateKey) {
    let lab = lab();
    let id = ItemId::cluster(LeafRole::Admin);
    let phrase = Passphrase::new(PHRASE).unwrap();
    let bytes = lab.store.pkcs12(&id, &phrase, &OsRandom).unwrap();
    fs::write(directory.join("admin.p12"), &*bytes).unwrap();
    fs::write(directory.join("phrase"), PHRASE).unwrap();
    let pair = lab.store.read(&id).unwrap();
    let authority = ItemId::Authority(CaRole::Kubernetes);
    (
        lab.store.certificate(&id).unwrap(),
        lab.store.certificate(&authority).unwrap(),
        PrivateKey::from_pem(&pair.key_pem).unwrap(),
    )
}

fn program(directory: &Path, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(directory);
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{name} must be installed: {error}"))
}

#[test]
#[ignore = "needs openssl"]
fn openssl_opens_it_and_finds_the_pair_and_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, authority, key) = exported(directory.path());
    let open = [
        "pkcs12",
        "-in",
        "admin.p12",
        "-noenc",
        "-passin",
        "file:phrase",
    ];
    let output = program(directory.path(), "openssl", &open);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("friendlyName: kubernetes-admin"));
    let found = PrivateKey::from_pem(&text).unwrap();
    assert_eq!(*found.to_pem(), *key.to_pem());
    assert_eq!(pki::read_bundle(&text).unwrap(), [certificate, authority]);
    let info = [&open[..], &["-info", "-noout"]].concat();
    let output = program(directory.path(), "openssl", &info);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "MAC: sha256, Iteration 100000",
        "PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256",
    ] {
        assert!(text.contains(words), "{text}");
    }
    fs::write(directory.path().join("phrase"), "another one").unwrap();
    let output = program(directory.path(), "openssl", &open);
    assert!(!output.status.success(), "it is opened by any pass phrase");
}

#[test]
fn what_belongs_to_two_pairs_is_refused() {
    let lab = lab();
    let phrase = Passphrase::new(PHRASE).unwrap();
    let certificate = lab.store.certificate(&ItemId::cluster(LeafRole::Admin));
    let (certificate, other) = (certificate.unwrap(), PrivateKey::generate().unwrap());
    let error = pkcs12(&certificate, &other, &[], &phrase, &OsRandom).unwrap_err();
    assert!(matches!(error, Pkcs12Error::Mismatch { .. }), "{error}");
    let tokens = lab
        .store
        .pkcs12(&ItemId::ServiceAccount, &phrase, &OsRandom);
    let error = tokens.unwrap_err();
    assert!(
        matches!(error, Pkcs12Error::NoCertificate { .. }),
        "{error}"
    );
}

#[test]
fn two_files_of_one_pair_share_no_salt_and_show_no_key() {
    let lab = lab();
    let id = ItemId::cluster(LeafRole::Admin);
    let phrase = Passphrase::new(PHRASE).unwrap();
    let file = || lab.store.pkcs12(&id, &phrase, &OsRandom).unwrap();
    let (one, other) = (file(), file());
    let same = one.iter().zip(other.iter()).filter(|(a, b)| a == b).count();
    // What is not random is the frame around three encrypted parts.
    assert!(
        same < one.len() / 4,
        "{same} of {} bytes are the same",
        one.len()
    );
    let der = lab.store.certificate(&id).unwrap().der().to_vec();
    assert!(!one.windows(40).any(|window| window == &der[100..140]));
}
