//! Certificates: one leaf against the limit of its key and signature, and the whole set on disk.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on must stop")]

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use pki::{
    AltNames, Authority, CaRole, HostName, LeafRequest, Life, OsRandom, PkiPlan, PkiSpec,
    PrivateKey, Purpose, Store, Subject, apply,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
/// Typical of the part of a leaf that is signed; up to a few KiB the size hardly shows.
const SIGNED_BYTES: usize = 400;

/// A fresh P-256 key, read as signers need it, and one signature by another key: the work that no
/// certificate can do without.
fn limit(criterion: &mut Criterion) {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let fresh = || {
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
    };
    let issuer = fresh();
    let signed = [0x30; SIGNED_BYTES];
    criterion.bench_function("limit: ring, key and signature", |bencher| {
        bencher.iter(|| (fresh(), issuer.sign(&random, &signed).unwrap()));
    });
    criterion.bench_function("limit: ring, signature", |bencher| {
        bencher.iter(|| issuer.sign(&random, &signed).unwrap());
    });
}

/// The encoder below `pki` by itself: the leaf of [`two_names`] without any check. `pki` issues
/// nothing unchecked, so this is what its checks come on top of.
fn unchecked(criterion: &mut Criterion) {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    let generate = || KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let issuer = Issuer::new(CertificateParams::default(), generate());
    let params = || {
        let names = ["etcd-0".to_owned(), "10.0.0.2".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params
    };
    let issue = |key: &KeyPair| {
        let certificate = params().signed_by(key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    criterion.bench_function("leaf, 2 names, unchecked, rcgen", |bencher| {
        bencher.iter(|| issue(&generate()));
    });
    let key = generate();
    criterion.bench_function("leaf, 2 names, reused key, unchecked, rcgen", |bencher| {
        bencher.iter(|| issue(&key));
    });
}

fn checked(criterion: &mut Criterion) {
    let subject = Subject::new("etcd-ca", &[]).unwrap();
    let authority = Authority::create(&subject, Life::AUTHORITY, NOW, &OsRandom).unwrap();
    for (name, request) in [
        ("leaf, 2 names, every check, pki", two_names()),
        ("leaf, 6 names, every check, pki", six_names()),
    ] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| authority.issue(&request, NOW, &OsRandom).unwrap());
        });
    }
    let (key, request) = (PrivateKey::generate().unwrap(), two_names());
    criterion.bench_function("leaf, 2 names, reused key, every check, pki", |bencher| {
        let issue = || authority.issue_for(&request, &key, NOW, &OsRandom);
        bencher.iter(|| issue().unwrap());
    });
}

fn two_names() -> LeafRequest {
    etcd_member(&["etcd-0"], &["10.0.0.2"])
}

/// What an etcd member of a lab really has.
fn six_names() -> LeafRequest {
    let ips = ["10.0.0.2", "fd5c::2", "127.0.0.1", "::1"];
    etcd_member(&["etcd-0", "localhost"], &ips)
}

fn etcd_member(names: &[&str], ips: &[&str]) -> LeafRequest {
    let names = names.iter().map(|name| HostName::new(name).unwrap());
    let ips = ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap());
    let names = AltNames::new(names.collect(), ips.collect()).unwrap();
    let subject = Subject::new("etcd-0", &[]).unwrap();
    LeafRequest::new(subject, Purpose::ServerAndClient, names, Life::LEAF).unwrap()
}

/// Authorities, service account key and leaves of the reference lab, written and synchronised.
fn whole_set(criterion: &mut Criterion) {
    let spec = benches::reference_lab().pki;
    let mut group = criterion.benchmark_group("set of the reference lab");
    group.sample_size(10);
    // The first is memory on Linux and missing elsewhere; cargo puts the second below target.
    for (name, place) in [
        ("to memory (tmpfs)", "/dev/shm"),
        ("to disk", env!("CARGO_TARGET_TMPDIR")),
    ] {
        let place = Path::new(place);
        if !place.is_dir() {
            continue;
        }
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || TempDir::with_prefix_in("benches-pki-", place).unwrap(),
                |directory| {
                    make(&spec, &Store::new(directory.path()));
                    directory
                },
                BatchSize::PerIteration,
            );
        });
    }
    let directory = TempDir::with_prefix("benches-pki-").unwrap();
    let store = Store::new(directory.path());
    make(&spec, &store);
    group.bench_function("second run, nothing to do", |bencher| {
        bencher.iter(|| make(&spec, &store));
    });
    unsynchronised(&mut group, &store);
    by_openssl(&mut group, spec.leaves().unwrap().len());
    group.finish();
}

/// The bytes of a set in files of the same names, in one go and without waiting for the disk: what writing costs at least.
fn unsynchronised(group: &mut BenchmarkGroup<'_, WallTime>, store: &Store) {
    let mut files = Vec::new();
    let mut directories = vec![store.root().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => files.push((
                    path.strip_prefix(store.root()).unwrap().to_owned(),
                    fs::read(path).unwrap(),
                )),
            }
        }
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    group.bench_function(
        "limit: the same bytes to disk, not synchronised",
        |bencher| {
            bencher.iter_batched(
                || TempDir::with_prefix_in("benches-pki-", place).unwrap(),
                |directory| {
                    for (name, bytes) in &files {
                        let path = directory.path().join(name);
                        fs::create_dir_all(path.parent().unwrap()).unwrap();
                        fs::write(path, bytes).unwrap();
                    }
                    directory
                },
                BatchSize::PerIteration,
            );
        },
    );
}

/// As many authorities and leaves by the program `openssl`, as scripts make them: it neither checks nor synchronises. Left out
/// where there is none.
#[expect(clippy::disallowed_methods, reason = "openssl is a yardstick")]
fn by_openssl(group: &mut BenchmarkGroup<'_, WallTime>, leaves: usize) {
    let openssl = |directory: &TempDir, arguments: &str| {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split(' '))
            .current_dir(directory.path())
            .stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "openssl {arguments}");
    };
    if Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    group.bench_function("openssl, the same number, to disk", |bencher| {
        bencher.iter_batched(
            || TempDir::with_prefix_in("benches-pki-", place).unwrap(),
            |directory| {
                for ca in 0..CaRole::ALL.len() {
                    let more =
                        format!("-keyout ca{ca}.key -out ca{ca}.crt -days 3650 -subj /CN=ca{ca}");
                    openssl(&directory, &format!("req -x509 {key} {more}"));
                }
                for leaf in 0..leaves {
                    let more = format!("-keyout {leaf}.key -out {leaf}.csr -subj /CN={leaf}");
                    openssl(
                        &directory,
                        &format!(
                            "req -new {key} -addext subjectAltName=DNS:etcd-0,IP:10.0.0.2 {more}"
                        ),
                    );
                    let sign =
                        "x509 -req -CA ca0.crt -CAkey ca0.key -days 365 -copy_extensions copy";
                    openssl(
                        &directory,
                        &format!("{sign} -in {leaf}.csr -out {leaf}.crt"),
                    );
                }
                directory
            },
            BatchSize::PerIteration,
        );
    });
}

fn make(spec: &PkiSpec, store: &Store) {
    let plan = PkiPlan::new(spec, store, NOW).unwrap();
    apply(store, &plan, NOW, &OsRandom).unwrap();
}

fn main() {
    let mut criterion = benches::settings();
    limit(&mut criterion);
    unchecked(&mut criterion);
    checked(&mut criterion);
    whole_set(&mut criterion);
    criterion.final_summary();
}
