//! Authorities and keys of other programs: OpenSSL's and kubeadm's.

#![expect(clippy::disallowed_methods, reason = "tests run openssl and kubeadm")]

use std::path::Path;
use std::process::Command;

use pki::{
    AltNames, Authority, Certificate, KeyAlgorithm, KeyError, LeafRequest, Life, LoadError,
    NamePolicy, OsRandom, Passphrase, PrivateKey, Purpose, SignRequestError, SigningPolicy,
    Subject,
};
use time::OffsetDateTime;

use crate::support::{host, ip};

/// What `openssl` says, run in a directory; its failure is the test's.
fn openssl(directory: &Path, arguments: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(directory);
    let output = command.output().expect("openssl must be installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {complaint}");
    text
}

fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

/// Other programs look at the real clock, so the moment is one of their certificate's life.
fn moment(certificate_pem: &str) -> OffsetDateTime {
    Certificate::from_pem(certificate_pem).unwrap().not_before()
}

fn adopt(directory: &Path) -> Result<Authority, LoadError> {
    let certificate = read(directory, "ca.crt");
    Authority::from_pem(
        &certificate,
        &read(directory, "ca.key"),
        moment(&certificate),
    )
}

/// A leaf of an adopted authority passes OpenSSL; the crate's own check has compared issuer bytes and key identifier.
fn assert_signs(directory: &Path, authority: &Authority) {
    let names = AltNames::new(vec![host("etcd-0")], vec![ip("10.0.0.2")]).unwrap();
    let subject = Subject::new("etcd-0", &["first", "second"]).unwrap();
    let request = LeafRequest::new(subject, Purpose::ServerAndClient, names, Life::LEAF).unwrap();
    let at = authority.certificate().not_before();
    let issued = authority.issue(&request, at, &OsRandom).unwrap();
    std::fs::write(directory.join("leaf.crt"), &issued.certificate_pem).unwrap();
    let at = at.unix_timestamp();
    let verify = format!("verify -attime {at} -CAfile ca.crt -verify_hostname etcd-0");
    openssl(directory, &format!("{verify} -purpose sslserver leaf.crt"));
    openssl(directory, &format!("{verify} -purpose sslclient leaf.crt"));
}

const P256: &str = "ecparam -name prime256v1 -genkey -out ca.key";

#[test]
#[ignore = "needs openssl"]
fn authorities_of_openssl_are_adopted_in_every_container() {
    for (make, label, algorithm) in [
        (P256, "EC PRIVATE KEY", KeyAlgorithm::EcdsaP256),
        (
            "ecparam -name secp384r1 -genkey -noout -out ca.key",
            "EC PRIVATE KEY",
            KeyAlgorithm::EcdsaP384,
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key",
            "PRIVATE KEY",
            KeyAlgorithm::EcdsaP256,
        ),
        (
            "genrsa -traditional -out ca.key 2048",
            "RSA PRIVATE KEY",
            KeyAlgorithm::Rsa,
        ),
        ("genrsa -out ca.key 3072", "PRIVATE KEY", KeyAlgorithm::Rsa),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        openssl(directory, make);
        openssl(
            directory,
            "req -x509 -key ca.key -out ca.crt -days 3650 -subj /C=NO/O=Lab/CN=lab-ca",
        );
        let key = read(directory, "ca.key");
        assert!(key.contains(&format!("-----BEGIN {label}-----")), "{make}");
        let authority = adopt(directory).unwrap();
        assert_eq!(authority.certificate().key_algorithm(), Some(algorithm));
        assert_eq!(authority.certificate_pem(), read(directory, "ca.crt"));
        assert_signs(directory, &authority);
        // Handed on, the key is in the container that every program reads.
        assert!(
            authority
                .key_pem()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
    }
}

#[test]
#[ignore = "needs openssl"]
fn keys_that_openssl_makes_and_no_cluster_takes_are_named() {
    for (make, expected) in [
        ("genpkey -algorithm ED25519 -out ca.key", KeyError::Ed25519),
        (
            "ecparam -name secp521r1 -genkey -out ca.key",
            KeyError::Curve,
        ),
        (
            "ecparam -name secp256k1 -genkey -noout -out ca.key",
            KeyError::Curve,
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out ca.key",
            KeyError::Curve,
        ),
        ("genrsa -out ca.key 1024", KeyError::RsaSize),
        ("genrsa -traditional -out ca.key 1024", KeyError::RsaSize),
        ("genpkey -algorithm X25519 -out ca.key", KeyError::Algorithm),
    ] {
        let directory = tempfile::tempdir().unwrap();
        openssl(directory.path(), make);
        let error = PrivateKey::from_pem(&read(directory.path(), "ca.key")).unwrap_err();
        assert_eq!(error, expected, "{make}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_name_that_would_change_is_refused() {
    for subject in ["/O=a/O=b/CN=lab-ca", "/OU=a/OU=b/OU=c/CN=lab-ca"] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        openssl(directory, P256);
        let make = "req -x509 -key ca.key -out ca.crt -days 3650 -subj";
        openssl(directory, &format!("{make} {subject}"));
        let error = adopt(directory).unwrap_err();
        assert!(
            matches!(error, LoadError::Name { .. }),
            "{subject}: {error}"
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    openssl(directory, P256);
    openssl(
        directory,
        "req -x509 -key ca.key -out ca.crt -days 3650 -subj /O=a+OU=b/CN=lab-ca",
    );
    let error = adopt(directory).unwrap_err();
    assert!(matches!(error, LoadError::Sign { .. }), "{error}");
}

#[test]
#[ignore = "needs openssl"]
fn keys_under_a_pass_phrase_go_both_ways() {
    let phrase = "correct horse battery";
    let passphrase = Passphrase::new(phrase).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("phrase"), phrase).unwrap();
    std::fs::write(directory.join("other"), "another phrase").unwrap();
    // Ours, read by OpenSSL.
    let key = PrivateKey::generate().unwrap();
    let sealed = key.to_encrypted_pem(&passphrase, &OsRandom).unwrap();
    std::fs::write(directory.join("ours"), sealed.as_bytes()).unwrap();
    let opened = openssl(directory, "pkey -in ours -passin file:phrase");
    assert_eq!(opened, *key.to_pem());
    let asn1 = openssl(directory, "asn1parse -in ours");
    assert!(
        asn1.contains("PBES2") && asn1.contains("scrypt") && asn1.contains("aes-256-cbc"),
        "{asn1}"
    );
    // OpenSSL's, read by us: scrypt, and PBKDF2, which is its default.
    openssl(
        directory,
        "ecparam -name prime256v1 -genkey -noout -out plain",
    );
    for more in [
        "-scrypt",
        "-v2 aes-256-cbc",
        "-v2 aes-128-cbc -v2prf hmacWithSHA512",
    ] {
        openssl(
            directory,
            &format!("pkcs8 -topk8 {more} -in plain -passout file:phrase -out theirs"),
        );
        let sealed = read(directory, "theirs");
        let opened = PrivateKey::from_encrypted_pem(&sealed, &passphrase).unwrap();
        let plain = PrivateKey::from_pem(&read(directory, "plain")).unwrap();
        // Out of SEC1 the curve stands inside as well, so the texts differ and the keys do not.
        assert_eq!(opened.public_key_der(), plain.public_key_der(), "{more}");
        let other = Passphrase::new("another phrase").unwrap();
        let error = PrivateKey::from_encrypted_pem(&sealed, &other).unwrap_err();
        assert_eq!(error, KeyError::Passphrase, "{more}");
        assert_eq!(
            PrivateKey::from_pem(&sealed).unwrap_err(),
            KeyError::Encrypted
        );
    }
    // What is no longer safe to rely on, or would take a day to open.
    openssl(
        directory,
        "pkcs8 -topk8 -v1 PBE-SHA1-3DES -in plain -passout file:phrase -out theirs",
    );
    let error = PrivateKey::from_encrypted_pem(&read(directory, "theirs"), &passphrase);
    assert!(matches!(
        error.unwrap_err(),
        KeyError::Encryption | KeyError::Malformed
    ));
    openssl(
        directory,
        "ec -in plain -aes256 -passout file:phrase -out theirs",
    );
    let error = PrivateKey::from_encrypted_pem(&read(directory, "theirs"), &passphrase);
    assert_eq!(error.unwrap_err(), KeyError::OldEncryption);
    openssl(
        directory,
        "pkcs8 -topk8 -scrypt -scrypt_N 16384 -scrypt_r 8 -scrypt_p 64 -in plain -passout file:phrase -out theirs",
    );
    let error = PrivateKey::from_encrypted_pem(&read(directory, "theirs"), &passphrase);
    assert_eq!(error.unwrap_err(), KeyError::Encryption);
}

/// A request of OpenSSL with everything that one could ask for: only key and allowed names are taken.
#[test]
#[ignore = "needs openssl"]
fn requests_of_openssl_get_nothing_but_what_the_policy_gives() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    openssl(directory, P256);
    openssl(
        directory,
        "req -x509 -key ca.key -out ca.crt -days 3650 -subj /CN=lab-ca",
    );
    let authority = adopt(directory).unwrap();
    let at = authority.certificate().not_before();
    let names = AltNames::new(
        vec![host("etcd-0"), host("etcd-0.lab")],
        vec![ip("10.0.0.2")],
    );
    let policy = SigningPolicy {
        subject: Subject::new("etcd-0", &[]).unwrap(),
        purpose: Purpose::ServerAndClient,
        names: NamePolicy::Among(names.unwrap()),
        life: Life::LEAF,
    };
    let ask = |key: &str, san: &str| {
        openssl(directory, key);
        let extensions =
            "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign -addext";
        openssl(
            directory,
            &format!(
                "req -new -key key -subj /CN=etcd-0 -out csr {extensions} subjectAltName={san}"
            ),
        );
        authority.sign_request(&read(directory, "csr"), &policy, at, &OsRandom)
    };
    let p256 = "ecparam -name prime256v1 -genkey -noout -out key";
    for key in [
        p256,
        "ecparam -name secp384r1 -genkey -noout -out key",
        "genrsa -out key 2048",
    ] {
        let pem = ask(key, "DNS:etcd-0,IP:10.0.0.2").unwrap();
        std::fs::write(directory.join("leaf.crt"), &pem).unwrap();
        let text = openssl(directory, "x509 -in leaf.crt -noout -text");
        assert!(
            text.contains("CA:FALSE") && !text.contains("Certificate Sign"),
            "{text}"
        );
        assert!(text.contains("DNS:etcd-0, IP Address:10.0.0.2"), "{text}");
    }
    let error = ask(p256, "DNS:etcd-0,DNS:etcd-1").unwrap_err();
    assert!(matches!(error, SignRequestError::Names { .. }), "{error}");
    let error = ask("genpkey -algorithm ED25519 -out key", "DNS:etcd-0").unwrap_err();
    assert!(
        matches!(error, SignRequestError::KeyAlgorithm { .. }),
        "{error}"
    );
}

fn kubeadm(version: &str) -> Command {
    let directory = std::env::var_os("LAB_KUBEADM_DIR");
    let directory = directory.expect("LAB_KUBEADM_DIR names the directory of kubeadm's versions");
    Command::new(Path::new(&directory).join(version).join("kubeadm"))
}

/// The oldest and the newest that are supported; `./lab test` provides both.
const KUBEADM: [&str; 2] = ["1.28.3", "1.37.2"];

#[test]
#[ignore = "needs kubeadm and openssl"]
fn authorities_of_kubeadm_are_adopted_with_their_names_and_identifiers() {
    for version in KUBEADM {
        for algorithm in ["RSA-2048", "ECDSA-P256"] {
            let directory = tempfile::tempdir().unwrap();
            let directory = directory.path();
            let config = kubeadm_config(version, directory, algorithm);
            let Some(config) = config else { continue };
            let mut command = kubeadm(version);
            command
                .args(["init", "phase", "certs", "ca", "--config"])
                .arg(config);
            let output = command.output().unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{version} {algorithm}: {complaint}"
            );
            let authority = adopt(directory).unwrap();
            assert_eq!(authority.certificate().common_name(), "kubernetes");
            assert_signs(directory, &authority);
            // It has no cRLSign, so a list would be refused by OpenSSL: said before it is made.
            let at = authority.certificate().not_before();
            let error = authority
                .revocation_list(&[], 1, at, time::Duration::DAY)
                .unwrap_err();
            assert!(error.to_string().contains("cRLSign"), "{error}");
        }
    }
}

/// `None` where this version does not know the algorithm by that name.
fn kubeadm_config(version: &str, directory: &Path, algorithm: &str) -> Option<std::path::PathBuf> {
    let old = version.starts_with("1.28");
    if old && algorithm != "RSA-2048" {
        return None;
    }
    let (api, line) = match old {
        true => ("v1beta3", String::new()),
        false => ("v1beta4", format!("encryptionAlgorithm: {algorithm}\n")),
    };
    let text = format!(
        "apiVersion: kubeadm.k8s.io/{api}\nkind: ClusterConfiguration\nkubernetesVersion: v{version}\n\
         certificatesDir: {}\n{line}",
        directory.display()
    );
    let path = directory.join("kubeadm.yaml");
    std::fs::write(&path, text).unwrap();
    Some(path)
}
