//! Certificates as people ask for them: by lab.toml, as one file for a browser, signed for whoever keeps the key.

use crate::lab::{Lab, Scene};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

const PHRASE: &str = "correct horse battery";

#[expect(clippy::disallowed_methods, reason = "tests run openssl")]
#[track_caller]
fn openssl(directory: &Path, arguments: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(directory);
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks in lab.toml for other keys and lives, for an authority of somebody else, and for a pass phrase.
pub(crate) fn settings(scene: &Scene) {
    let company = scene.dir().join("company");
    fs::create_dir(&company).unwrap();
    openssl(
        &company,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 400 -subj /O=Company/CN=company-ca -addext \
         keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt",
    );
    secret(&company.join("ca.key"));
    let phrase = scene.dir().join("phrase");
    fs::write(&phrase, format!("{PHRASE}\n")).unwrap();
    secret(&phrase);
    let path = scene.dir().join("lab.toml");
    let text = fs::read_to_string(&path).unwrap();
    let edited = text
        .replace("\"ECDSA-P256\"", "\"ECDSA-P384\"")
        .replace(
            "\ncertificate_validity_days = 365",
            "\ncertificate_validity_days = 30",
        )
        .replace(
            "# authorities = \"/etc/kubernetes/pki\"",
            "authorities = \"company\"",
        )
        .replace(
            "# authority_passphrase_file = \"/root/lab-passphrase\"",
            "authority_passphrase_file = \"phrase\"",
        );
    fs::write(&path, edited).unwrap();
}

fn secret(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What was asked for is so in a lab that runs, and people get certificates of it.
pub(crate) fn ask(scene: &Scene, lab: &Lab<'_>) {
    assert_eq!(
        lab.authority("kubernetes").unwrap(),
        read(scene, "company/ca.crt")
    );
    let key: PathBuf = lab.dir().join("pki/ca/kubernetes.key");
    let sealed = fs::read_to_string(key).unwrap();
    assert!(sealed.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let leaf = lab.ok(&[
        "exec",
        "cp-0",
        "--",
        "cat",
        "/etc/kubernetes/pki/apiserver.crt",
    ]);
    fs::write(scene.dir().join("leaf.crt"), leaf).unwrap();
    let shown = openssl(
        scene.dir(),
        "x509 -in leaf.crt -noout -text -checkend 2500000",
    );
    assert!(
        shown.contains("NIST CURVE: P-384") && shown.contains("company-ca"),
        "{shown}"
    );
    exported(scene, lab);
    signed(scene, lab);
    // The company's directory was needed once, and is no part of the lab.
    fs::rename(scene.dir().join("company"), scene.dir().join("gone")).unwrap();
    lab.up(&["--etcd", "1"]).changed_nothing();
}

fn read(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.dir().join(name)).unwrap()
}

fn exported(scene: &Scene, lab: &Lab<'_>) {
    let export = ["certs", "export", "cluster/admin", "--pkcs12", "admin.p12"];
    let export = [&export[..], &["--passphrase-file", "phrase"]].concat();
    lab.ok(&export);
    let mode = fs::metadata(scene.dir().join("admin.p12"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let found = openssl(
        scene.dir(),
        "pkcs12 -in admin.p12 -passin file:phrase -nokeys",
    );
    assert!(
        found.contains("kubernetes-admin") && found.contains("company-ca"),
        "{found}"
    );
    // What is there stays.
    let again = lab.run(&export);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.err.contains("give a file that is not there"),
        "{}",
        again.err
    );
}

/// A person with a key of her own becomes a user of the cluster.
fn signed(scene: &Scene, lab: &Lab<'_>) {
    openssl(
        scene.dir(),
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=developers/CN=jane -keyout jane.key -out jane.csr",
    );
    let sign = [
        "certs",
        "sign",
        "jane.csr",
        "--common-name",
        "jane",
        "--days",
        "7",
    ];
    let other = lab.run(&sign);
    assert_eq!(other.code, Some(1), "a group that nobody named: {other:?}");
    assert!(other.err.contains("O=developers"), "{}", other.err);
    let sign = [&sign[..], &["--organization", "developers"]].concat();
    fs::write(scene.dir().join("jane.crt"), lab.ok(&sign)).unwrap();
    let words = ["auth", "whoami", "--output", "jsonpath={.status.userInfo}"];
    let place = |name: &str| scene.dir().join(name).display().to_string();
    let (certificate, key) = (place("jane.crt"), place("jane.key"));
    let user = ["--client-certificate", &certificate, "--client-key", &key];
    let told = lab.kubectl(&[&words[..], &user].concat());
    assert!(
        told.contains("\"jane\"") && told.contains("\"developers\""),
        "{told}"
    );
    let ledger = fs::read_to_string(lab.dir().join("pki/ledger.txt")).unwrap();
    assert!(ledger.contains("kubernetes signed/jane "), "{ledger}");
}
