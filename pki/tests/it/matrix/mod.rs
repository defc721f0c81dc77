//! Where the verifiers that count disagree: each case of `tests/data/verifiers.txt` is made and given to Go's
//! crypto/x509, OpenSSL with and without `-x509_strict`, and webpki. A cell that differs is a failure.
//!
//! What the crate issues has to stay in the rows where all of them say yes; what its own check has to see because
//! webpki does not stands in the rows where webpki alone says yes.

mod cases;
mod der;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pki::{AltNames, Certificate, HostName, NameError, Subject};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::support::now;
use cases::{Ask, Case};

fn all_cases() -> Vec<Case> {
    [
        cases::names(),
        cases::extensions(),
        cases::serials_and_times(),
        cases::authorities(),
        cases::constraints(),
        cases::rotations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn pem(certificates: &[Vec<u8>]) -> String {
    use base64::Engine as _;
    let one = |der: &Vec<u8>| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        let body = lines.join("\n");
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    };
    certificates.iter().map(one).collect()
}

/// The files of one case: trusted, sent and leaf.
fn write(directory: &Path, index: usize, case: &Case) -> [PathBuf; 3] {
    let file = |kind: &str, certificates: &[Vec<u8>]| {
        let path = directory.join(format!("{index}.{kind}.pem"));
        std::fs::write(&path, pem(certificates)).unwrap();
        path
    };
    [
        file("roots", &case.roots),
        file("sent", &case.sent),
        file("leaf", std::slice::from_ref(&case.leaf)),
    ]
}

#[expect(clippy::disallowed_methods, reason = "the test runs openssl")]
fn openssl(files: &[PathBuf; 3], case: &Case, strict: bool) -> bool {
    let [roots, sent, leaf] = files;
    let mut command = Command::new("openssl");
    command.args(["verify", "-no-CApath", "-no-CAstore", "-attime"]);
    command.arg(now().unix_timestamp().to_string());
    if strict {
        command.arg("-x509_strict");
    }
    match case.ask {
        Ask::Client => command.args(["-purpose", "sslclient"]),
        Ask::Server(name) => {
            let by = if name.parse::<IpAddr>().is_ok() {
                "-verify_ip"
            } else {
                "-verify_hostname"
            };
            command.args(["-purpose", "sslserver", by, name])
        }
    };
    command.arg("-CAfile").arg(roots);
    if !case.sent.is_empty() {
        command.arg("-untrusted").arg(sent);
    }
    let output = command
        .arg(leaf)
        .output()
        .expect("openssl must be installed");
    output.status.success()
}

fn webpki(case: &Case) -> bool {
    let roots: Vec<_> = case
        .roots
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let sent: Vec<_> = case
        .sent
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let leaf = CertificateDer::from(case.leaf.as_slice());
    let verify = || -> Result<(), webpki::Error> {
        let anchors: Vec<_> = roots
            .iter()
            .map(anchor_from_trusted_cert)
            .collect::<Result<_, _>>()?;
        let end = EndEntityCert::try_from(&leaf)?;
        let usage = match case.ask {
            Ask::Client => KeyUsage::client_auth(),
            Ask::Server(_) => KeyUsage::server_auth(),
        };
        let seconds = now().unix_timestamp().unsigned_abs();
        let moment = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        end.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &sent,
            moment,
            usage,
            None,
            None,
        )?;
        if let Ask::Server(name) = case.ask {
            end.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())?;
        }
        Ok(())
    };
    verify().is_ok()
}

/// Whether this crate takes an authority for one and a leaf for what it is asked: never where one of the others does not, or
/// what it issues and accepts would fail in a cluster. It takes one root and nothing in between.
fn ours(case: &Case) -> bool {
    let read = |der: &Vec<u8>| Certificate::from_pem(&pem(std::slice::from_ref(der)));
    let (roots, leaf) = (case.roots.iter().map(read), read(&case.leaf));
    let (Ok(roots), Ok(leaf)) = (roots.collect::<Result<Vec<_>, _>>(), leaf) else {
        return false;
    };
    roots.iter().any(|root| {
        let subject = Subject::new(leaf.common_name(), &[]);
        let names = match case.ask {
            Ask::Client => Ok(AltNames::default()),
            Ask::Server(name) => alt_names(name),
        };
        let (Ok(subject), Ok(names)) = (subject, names) else {
            return false;
        };
        let accepted = match case.ask {
            Ask::Client => leaf.check_client(&subject, root, now()),
            Ask::Server(_) => leaf.check_server(&subject, &names, root, now()),
        };
        root.check_authority(now()).is_ok() && accepted.is_ok()
    })
}

fn alt_names(name: &str) -> Result<AltNames, NameError> {
    match name.parse() {
        Ok(address) => AltNames::new(vec![], vec![address]),
        Err(_) => AltNames::new(vec![HostName::new(name)?], vec![]),
    }
}

/// One run of the Go program for all cases: a line of `yes` or `no` for each.
#[expect(clippy::disallowed_methods, reason = "the test runs go")]
fn go(directory: &Path, files: &[[PathBuf; 3]], cases: &[Case]) -> Vec<bool> {
    let mut list = String::new();
    for ([roots, sent, leaf], case) in files.iter().zip(cases) {
        let name = match case.ask {
            Ask::Client => "",
            Ask::Server(name) => name,
        };
        list += &format!(
            "{}\t{}\t{}\t{name}\n",
            roots.display(),
            sent.display(),
            leaf.display()
        );
    }
    let path = directory.join("list");
    std::fs::write(&path, list).unwrap();
    let mut command = Command::new("go");
    command.args([
        "run",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/matrix.go"),
    ]);
    command.arg(now().unix_timestamp().to_string()).arg(path);
    command
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local");
    let output = command.output().expect("go must be installed");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().map(|line| line == "yes").collect()
}

fn word(accepted: bool) -> &'static str {
    if accepted { "yes" } else { "no" }
}

#[test]
#[ignore = "needs go and openssl"]
fn every_verifier_says_what_the_table_says() {
    let directory = tempfile::tempdir().unwrap();
    let cases = all_cases();
    let files: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| write(directory.path(), index, case))
        .collect();
    let go = go(directory.path(), &files, &cases);
    assert_eq!(go.len(), cases.len());
    let mut table = String::new();
    for ((case, files), go) in cases.iter().zip(&files).zip(go) {
        let plain = openssl(files, case, false);
        let strict = openssl(files, case, true);
        let ours = ours(case);
        assert!(
            !ours || (go && webpki(case)),
            "{} is taken here only",
            case.name
        );
        let cells = [go, plain, strict, webpki(case), ours].map(word);
        let [go, plain, strict, webpki, ours] = cells;
        table += &format!(
            "{:<58} | {go:<3} | {plain:<3} | {strict:<3} | {webpki:<3} | {ours}\n",
            case.name
        );
    }
    let written = include_str!("../../data/verifiers.txt");
    let written: Vec<_> = written
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let found: Vec<_> = table.lines().collect();
    if found != written {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verifiers.txt");
        std::fs::write(&path, &table).unwrap();
        let first = found
            .iter()
            .zip(&written)
            .find(|(found, written)| found != written);
        panic!(
            "the first that differs: {first:?}; all are in {}",
            path.display()
        );
    }
}
