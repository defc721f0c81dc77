//! A real etcd with our certificates and a revocation list, which it reads as DER and for each connection anew.

#![expect(clippy::disallowed_methods, reason = "the test runs etcd and etcdctl")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use pki::{
    AltNames, Authority, Certificate, Issued, LeafRequest, Life, OsRandom, Purpose, Subject,
};
use time::OffsetDateTime;

use crate::revocation::revoked;
use crate::support::{days, host, ip};

fn program(name: &str) -> Command {
    let directory = std::env::var_os("LAB_BIN_DIR");
    let directory = directory.expect("LAB_BIN_DIR names the directory of etcd and etcdctl");
    Command::new(PathBuf::from(directory).join(name))
}

/// Ends with the test, however that ends.
struct Etcd {
    child: Child,
    url: String,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The system gives a port that nobody has; somebody could take it before etcd does, and then etcd ends.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn start(directory: &Path) -> Etcd {
    let url = format!("https://127.0.0.1:{}", free_port());
    let peer = format!("http://127.0.0.1:{}", free_port());
    let mut command = program("etcd");
    command
        .current_dir(directory)
        .args(["--name=m", "--data-dir=data", "--logger=zap"]);
    command
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"));
    command.arg(format!("--listen-peer-urls={peer}"));
    command.arg(format!("--initial-advertise-peer-urls={peer}"));
    command.arg(format!("--initial-cluster=m={peer}"));
    command.args([
        "--cert-file=server.crt",
        "--key-file=server.key",
        "--trusted-ca-file=ca.crt",
    ]);
    command.args(["--client-cert-auth", "--client-crl-file=clients.crl"]);
    let log = std::fs::File::create(directory.join("etcd.log")).unwrap();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    let child = child.expect("etcd must be installed");
    Etcd { child, url }
}

/// `etcdctl` waits for a connection itself, so there is nothing to wait for before.
fn put(directory: &Path, etcd: &Etcd, client: &str, seconds: u8) -> Output {
    let mut command = program("etcdctl");
    command.current_dir(directory).env("ETCDCTL_API", "3");
    command
        .arg(format!("--endpoints={}", etcd.url))
        .arg("--cacert=ca.crt");
    command
        .arg(format!("--cert={client}.crt"))
        .arg(format!("--key={client}.key"));
    command
        .arg(format!("--dial-timeout={seconds}s"))
        .arg(format!("--command-timeout={seconds}s"));
    command
        .args(["put", "key", "value"])
        .output()
        .expect("etcdctl must be installed")
}

fn issue(authority: &Authority, purpose: Purpose, name: &str, now: OffsetDateTime) -> Issued {
    let names = match purpose.serves() {
        true => AltNames::new(vec![host("localhost")], vec![ip("127.0.0.1")]).unwrap(),
        false => AltNames::default(),
    };
    let subject = Subject::new(name, &[]).unwrap();
    let request = LeafRequest::new(subject, purpose, names, Life::LEAF).unwrap();
    authority.issue(&request, now, &OsRandom).unwrap()
}

#[test]
#[ignore = "needs etcd"]
fn etcd_refuses_whom_the_list_names_from_the_next_connection_on() {
    // etcd looks at the real clock.
    let now = OffsetDateTime::now_utc();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let subject = Subject::new("etcd-ca", &[]).unwrap();
    let authority = Authority::create(&subject, Life::AUTHORITY, now, &OsRandom).unwrap();
    std::fs::write(directory.join("ca.crt"), authority.certificate_pem()).unwrap();
    let mut thief = None;
    for (name, purpose) in [
        ("server", Purpose::ServerAndClient),
        ("friend", Purpose::Client),
        ("thief", Purpose::Client),
    ] {
        let issued = issue(&authority, purpose, name, now);
        std::fs::write(
            directory.join(format!("{name}.crt")),
            &issued.certificate_pem,
        )
        .unwrap();
        std::fs::write(
            directory.join(format!("{name}.key")),
            issued.key_pem.as_bytes(),
        )
        .unwrap();
        thief = Some(Certificate::from_pem(&issued.certificate_pem).unwrap());
    }
    let list = |revoked: &[_], number| authority.revocation_list(revoked, number, now, days(1));
    let write = |bytes: &[u8]| std::fs::write(directory.join("clients.crl"), bytes).unwrap();
    write(list(&[], 1).unwrap().der());
    let etcd = start(directory);
    let log = || std::fs::read_to_string(directory.join("etcd.log")).unwrap();
    let accepted = |client: &str, seconds| {
        let output = put(directory, &etcd, client, seconds);
        output.status.success()
    };
    assert!(accepted("friend", 30), "{}", log());
    assert!(accepted("thief", 10), "{}", log());
    let full = list(&[revoked(&thief.unwrap())], 2).unwrap();
    write(full.der());
    assert!(!accepted("thief", 3), "{}", log());
    assert!(accepted("friend", 10), "{}", log());
    // PEM is no list to etcd: it then refuses everybody, which is why the store hands out DER.
    write(full.to_pem().as_bytes());
    assert!(!accepted("friend", 3), "{}", log());
}
