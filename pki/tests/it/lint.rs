//! pkilint judges every certificate of every role and a revocation list by RFC 5280, with its own reader of ASN.1.
//!
//! `./lab test` installs it into a directory of its own and links that below the target directory.

#![expect(clippy::disallowed_methods, reason = "the tests run pkilint")]

use std::path::{Path, PathBuf};
use std::process::Command;

use pki::{CaRole, ItemId, KubeletClients};

use crate::revocation;
use crate::support::{days, empty_lab, now, run, spec};

/// The complaints of one of pkilint's programs, from warnings on. Its exit code is their number.
fn complaints(program: &str, arguments: &[&str], files: &[&Path]) -> String {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pkilint/bin");
    let mut command = Command::new(directory.join(program));
    command
        .arg("lint")
        .args(arguments)
        .args(["-s", "WARNING"])
        .args(files);
    let output = command.output();
    let output = output.expect("pkilint must be installed; `./lab prerequisites` does");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    assert_eq!(output.status.success(), text.is_empty(), "{text}");
    without_single_labels(&text)
}

/// pkilint takes a name of one label for no name, which RFC 1034 section 3.5 does not say; `kubernetes` and `localhost` are
/// such, and every API server has the former. A finding is two lines: who finds, and what.
fn without_single_labels(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let single = |finding: &&[&str]| {
        let name = finding[1].trim().strip_prefix(SYNTAX);
        name.is_some_and(|name| !name.contains('.'))
    };
    let kept = lines
        .chunks(2)
        .filter(|finding| finding.len() < 2 || !single(finding));
    kept.map(|finding| finding.join("\n")).collect()
}

const SYNTAX: &str = "pkix.invalid_domain_name_syntax (ERROR): Invalid domain name syntax: ";

#[test]
#[ignore = "needs pkilint"]
fn every_role_is_without_a_complaint() {
    let mut spec = spec();
    spec.kubelet_clients = KubeletClients::All;
    // One machine of a kind: the others differ in their names only.
    spec.etcd_members.truncate(1);
    spec.nodes.truncate(1);
    let lab = empty_lab(spec);
    run(&lab, now());
    for role in CaRole::ALL {
        let path = lab.store.public_path(&ItemId::Authority(role));
        assert_eq!(complaints("lint_pkix_cert", &[], &[&path]), "", "{role:?}");
    }
    for leaf in lab.spec.leaves().unwrap() {
        let path = lab.store.public_path(&leaf.id);
        assert_eq!(
            complaints("lint_pkix_cert", &[], &[&path]),
            "",
            "{}",
            leaf.id
        );
        let signer = lab.store.public_path(&ItemId::Authority(leaf.signer));
        let chain = "lint_pkix_signer_signee_cert_chain";
        assert_eq!(complaints(chain, &[], &[&signer, &path]), "", "{}", leaf.id);
    }
}

#[test]
#[ignore = "needs pkilint"]
fn a_revocation_list_is_without_a_complaint() {
    let authority = revocation::authority();
    let gone = revocation::revoked(&revocation::client(&authority));
    let list = authority
        .revocation_list(&[gone], 1, now(), days(7))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list.crl");
    std::fs::write(&path, list.der()).unwrap();
    let arguments = ["-t", "CRL", "-p", "PKIX", "--document-format", "DER"];
    assert_eq!(complaints("lint_crl", &arguments, &[&path]), "");
}

/// A program that never complains would prove nothing.
#[test]
#[ignore = "needs pkilint"]
fn a_chain_of_two_authorities_of_one_name_is_complained_about() {
    let (one, other) = (revocation::authority(), revocation::authority());
    let directory = tempfile::tempdir().unwrap();
    let (signer, leaf) = (directory.path().join("ca"), directory.path().join("leaf"));
    std::fs::write(&signer, one.certificate_pem()).unwrap();
    std::fs::write(&leaf, revocation::client(&other).to_pem()).unwrap();
    let text = complaints("lint_pkix_signer_signee_cert_chain", &[], &[&signer, &leaf]);
    assert!(text.contains("ERROR"), "{text}");
}
