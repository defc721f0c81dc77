//! The judgement of the verifiers that count: OpenSSL, and Go's crypto/x509, on which etcd and
//! Kubernetes stand.

#![expect(clippy::disallowed_methods, reason = "tests run openssl and go")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use pki::{
    CaRole, Certificate, CertificateRequest, FileContent, ItemId, KubeletClients, PrivateKey,
    Purpose, Subject, WantedLeaf,
};

use crate::support::{Lab, empty_lab, host, now, run, spec};

/// The reference cluster with every role, kubelets too.
fn every_role() -> Lab {
    let mut spec = spec();
    spec.kubelet_clients = KubeletClients::All;
    let lab = empty_lab(spec);
    run(&lab, now());
    lab
}

fn output(command: &mut Command) -> (bool, String) {
    let done = command
        .output()
        .expect("the program must be installed to run this test");
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// `openssl verify` as strict as it gets, at the tests' moment.
fn openssl_verify(ca: &Path, leaf: &Path, more: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(["verify", "-x509_strict", "-check_ss_sig", "-attime"]);
    command.arg(now().unix_timestamp().to_string()).args(more);
    output(command.arg("-CAfile").arg(ca).arg(leaf))
}

fn paths(lab: &Lab, leaf: &WantedLeaf) -> (std::path::PathBuf, std::path::PathBuf) {
    let ca = lab.store.public_path(&ItemId::Authority(leaf.signer));
    (ca, lab.store.public_path(&leaf.id))
}

#[test]
#[ignore = "needs openssl"]
fn openssl_accepts_every_role_for_its_uses_and_names_only() {
    let lab = every_role();
    for leaf in lab.spec.leaves().unwrap() {
        let (ca, path) = paths(&lab, &leaf);
        let purpose = leaf.request.purpose();
        for (name, expected) in [
            ("sslserver", purpose.serves()),
            ("sslclient", purpose.dials()),
        ] {
            let (accepted, text) = openssl_verify(&ca, &path, &["-purpose", name]);
            assert_eq!(accepted, expected, "{} as {name}: {text}", leaf.id);
        }
        for name in leaf.request.alt_names().dns() {
            let (accepted, text) = openssl_verify(&ca, &path, &["-verify_hostname", name.as_str()]);
            assert!(accepted, "{} as {name}: {text}", leaf.id);
        }
        for address in leaf.request.alt_names().ips() {
            let more = ["-verify_ip", &address.to_string()];
            let (accepted, text) = openssl_verify(&ca, &path, &more);
            assert!(accepted, "{} as {address}: {text}", leaf.id);
        }
        for role in CaRole::ALL.into_iter().filter(|role| *role != leaf.signer) {
            let other = lab.store.public_path(&ItemId::Authority(role));
            assert!(
                !openssl_verify(&other, &path, &[]).0,
                "{} under {role:?}",
                leaf.id
            );
        }
    }
}

#[test]
#[ignore = "needs openssl"]
fn openssl_reads_every_key_and_sees_the_same_public_half() {
    let lab = every_role();
    for leaf in lab.spec.leaves().unwrap() {
        let (_, certificate) = paths(&lab, &leaf);
        let key = lab.store.key_path(&leaf.id);
        let (_, of_key) = output(
            Command::new("openssl")
                .args(["pkey", "-pubout", "-in"])
                .arg(key),
        );
        let mut command = Command::new("openssl");
        command
            .args(["x509", "-pubkey", "-noout", "-in"])
            .arg(certificate);
        let (read, of_certificate) = output(&mut command);
        assert!(read && of_key.contains("PUBLIC KEY"), "{of_key}");
        assert_eq!(of_key, of_certificate, "{}", leaf.id);
    }
    let key = lab.store.key_path(&ItemId::ServiceAccount);
    let (_, public) = output(
        Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(key),
    );
    assert_eq!(
        public,
        lab.store.read_public(&ItemId::ServiceAccount).unwrap()
    );
}

/// A signer that is not this crate reads the request, believes its proof, and its answer is taken.
#[test]
#[ignore = "needs openssl"]
fn openssl_signs_a_request_and_the_answer_fits() {
    let lab = every_role();
    let id = ItemId::Authority(CaRole::Kubernetes);
    let subject = Subject::new("system:node:worker-0", &["system:nodes"]).unwrap();
    let request = CertificateRequest::create(subject).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (csr, usage) = (
        directory.path().join("node.csr"),
        directory.path().join("usage"),
    );
    std::fs::write(&csr, request.pem()).unwrap();
    std::fs::write(&usage, "extendedKeyUsage=clientAuth\n").unwrap();
    let mut command = Command::new("openssl");
    let look = ["req", "-verify", "-noout", "-subject", "-in"];
    let (good, text) = output(command.args(look).arg(&csr));
    assert!(
        good && text.contains("O = system:nodes, CN = system:node:worker-0"),
        "{text}"
    );
    let mut command = Command::new("openssl");
    command
        .args(["x509", "-req", "-days", "30", "-in"])
        .arg(csr);
    command.arg("-CA").arg(lab.store.public_path(&id));
    command.arg("-CAkey").arg(lab.store.key_path(&id));
    let answer = directory.path().join("node.crt");
    let (signed, text) = output(command.arg("-extfile").arg(usage).arg("-out").arg(&answer));
    assert!(signed, "{text}");
    let answer = std::fs::read_to_string(answer).unwrap();
    // OpenSSL looks at the real clock.
    let moment = Certificate::from_pem(&answer).unwrap().not_before();
    let ca = lab.store.certificate(&id).unwrap();
    let issued = request.accept(&answer, &ca, moment).unwrap();
    assert_eq!(
        PrivateKey::from_pem(&issued.key_pem)
            .unwrap()
            .public_key_der(),
        request.public_key_der()
    );
}

#[test]
#[ignore = "needs openssl"]
fn the_pin_is_what_kubeadms_documentation_computes() {
    let lab = every_role();
    let id = ItemId::Authority(CaRole::Kubernetes);
    let directory = tempfile::tempdir().unwrap();
    let (pem, der) = (
        directory.path().join("key.pem"),
        directory.path().join("key.der"),
    );
    let ca = lab.store.public_path(&id);
    let run = |arguments: &[&dyn AsRef<OsStr>]| {
        let mut command = Command::new("openssl");
        command.args(arguments.iter().map(AsRef::as_ref));
        let (worked, text) = output(&mut command);
        assert!(worked, "{text}");
        text
    };
    run(&[&"x509", &"-pubkey", &"-noout", &"-in", &ca, &"-out", &pem]);
    run(&[
        &"pkey",
        &"-pubin",
        &"-in",
        &pem,
        &"-outform",
        &"DER",
        &"-out",
        &der,
    ]);
    let text = run(&[&"dgst", &"-sha256", &"-hex", &der]);
    let hex = text.trim().rsplit(' ').next().unwrap();
    assert_eq!(
        lab.store.certificate(&id).unwrap().public_key_pin(),
        format!("sha256:{hex}")
    );
}

/// The extensions of a certificate in OpenSSL's words, one line each.
fn extensions(path: &Path) -> Vec<String> {
    let wanted = "keyUsage,extendedKeyUsage,basicConstraints,subjectKeyIdentifier,\
                  authorityKeyIdentifier";
    let mut command = Command::new("openssl");
    let (read, text) = output(
        command
            .args(["x509", "-noout", "-ext", wanted, "-in"])
            .arg(path),
    );
    assert!(read, "{text}");
    let (mut lines, mut found) = (text.lines(), Vec::new());
    while let Some(name) = lines.next() {
        let value = lines.next().unwrap_or_default().trim();
        let shown = if name.contains("Identifier") {
            "..."
        } else {
            value
        };
        found.push(format!(
            "{} {shown}",
            name.trim().trim_start_matches("X509v3 ")
        ));
    }
    found.sort();
    found
}

#[test]
#[ignore = "needs openssl"]
fn profiles_are_exactly_these() {
    let lab = every_role();
    for role in CaRole::ALL {
        let expected = [
            "Authority Key Identifier: ...",
            "Basic Constraints: critical CA:TRUE, pathlen:0",
            "Key Usage: critical Digital Signature, Certificate Sign, CRL Sign",
            "Subject Key Identifier: ...",
        ];
        assert_eq!(
            extensions(&lab.store.public_path(&ItemId::Authority(role))),
            expected
        );
    }
    for leaf in lab.spec.leaves().unwrap() {
        let usage = match leaf.request.purpose() {
            Purpose::Server => "TLS Web Server Authentication",
            Purpose::Client => "TLS Web Client Authentication",
            Purpose::ServerAndClient => {
                "TLS Web Server Authentication, TLS Web Client Authentication"
            }
        };
        let expected = [
            "Authority Key Identifier: ...",
            "Basic Constraints: critical CA:FALSE",
            &format!("Extended Key Usage: {usage}"),
            "Key Usage: critical Digital Signature",
            "Subject Key Identifier: ...",
        ];
        assert_eq!(extensions(&paths(&lab, &leaf).1), expected, "{}", leaf.id);
    }
}

#[test]
#[ignore = "needs kubectl"]
fn kubectl_reads_every_kubeconfig() {
    let lab = every_role();
    let directory = tempfile::tempdir().unwrap();
    let mut files = lab.spec.files_for_control_plane(&host("cp-0")).unwrap();
    files.extend(lab.spec.files_for_node(&host("worker-0")).unwrap());
    files.retain(|file| file.path.ends_with(".conf"));
    assert_eq!(files.len(), 6);
    for file in files {
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, lab.store.contents(&file.content).unwrap().as_bytes()).unwrap();
        let template = "{.current-context} {.clusters[0].cluster.server} {.users[0].name}";
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(&path)
            .args(["config", "view", "--minify", "-o"]);
        let (read, text) = output(command.arg(format!("jsonpath={template}")));
        let FileContent::Kubeconfig { id, .. } = &file.content else {
            panic!("{}", file.path)
        };
        let user = lab.store.certificate(id).unwrap().common_name().to_owned();
        assert!(read, "{}: {text}", file.path);
        assert_eq!(
            text,
            format!("{user}@lab https://10.0.1.10:6443 {user}"),
            "{}",
            file.path
        );
    }
}

/// One line per leaf for the Go program: authority, certificate, key, uses, names.
fn task(lab: &Lab) -> String {
    let mut text = String::new();
    for leaf in lab.spec.leaves().unwrap() {
        let (ca, certificate) = paths(lab, &leaf);
        let key = lab.store.key_path(&leaf.id);
        let purpose = leaf.request.purpose();
        let names: Vec<String> = leaf
            .request
            .alt_names()
            .dns()
            .map(ToString::to_string)
            .chain(
                leaf.request
                    .alt_names()
                    .ips()
                    .map(|address| address.to_string()),
            )
            .collect();
        text += &format!(
            "{}\t{}\t{}\t{}\t{}\t{}\n",
            ca.display(),
            certificate.display(),
            key.display(),
            purpose.serves(),
            purpose.dials(),
            names.join(",")
        );
    }
    text
}

#[test]
#[ignore = "needs go"]
fn go_accepts_every_role_for_its_uses_and_names_only() {
    let lab = every_role();
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    std::fs::write(&list, task(&lab)).unwrap();
    let mut command = Command::new("go");
    command.args([
        "run",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/verify.go"),
    ]);
    command.arg(now().unix_timestamp().to_string()).arg(&list);
    let (accepted, text) = output(
        command
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local"),
    );
    assert!(accepted, "{text}");
    assert_eq!(
        text.trim(),
        format!("{} leaves", lab.spec.leaves().unwrap().len())
    );
}
