//! Bad input, each with the words that it is answered with: `tests/data/bad.txt`. Nothing is half-written after any of them, and
//! nothing is lost.

#![expect(
    clippy::disallowed_methods,
    reason = "tests run openssl, mount and themselves"
)]

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use pki::{
    AltNames, ApplyError, Authority, CaRole, Certificate, HostName, ItemId, LeafRequest, Life,
    OsRandom, Passphrase, PkiPlan, PrivateKey, Purpose, Report, Store, Subject, apply,
    apply_with_events,
};

use time::OffsetDateTime;

use crate::support::{days, empty_lab, host, ip, lab, now, plan, run, spec};

/// An error with its sources, as the program prints it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

fn refusal<T, E: Error>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => panic!("it was accepted"),
        Err(error) => chain(&error),
    }
}

fn authority(name: &str) -> Authority {
    let subject = Subject::new(name, &[]).unwrap();
    Authority::create(&subject, Life::days(100).unwrap(), now(), &OsRandom).unwrap()
}

fn server(life: Life) -> LeafRequest {
    let names = AltNames::new(vec![host("etcd-0")], vec![ip("10.0.0.2")]).unwrap();
    let subject = Subject::new("etcd-0", &[]).unwrap();
    LeafRequest::new(subject, Purpose::Server, names, life).unwrap()
}

/// Pairs of texts that are no authority.
fn authorities(found: &mut Vec<(&'static str, String)>) {
    let (one, other) = (authority("lab-ca"), authority("other-ca"));
    let (public, key) = (one.certificate_pem(), one.key_pem());
    let load = |public: &str, key: &str, at| refusal(Authority::from_pem(public, key, at));
    found.push(("wrong key", load(public, &other.key_pem(), now())));
    let leaf = one
        .issue(&server(Life::days(9).unwrap()), now(), &OsRandom)
        .unwrap();
    found.push((
        "non-CA as CA",
        load(&leaf.certificate_pem, &leaf.key_pem, now()),
    ));
    found.push(("expired CA", load(public, &key, now() + days(101))));
    found.push(("truncated certificate", load(&public[..300], &key, now())));
    found.push(("truncated key", load(public, &key[..120], now())));
    let passphrase = Passphrase::new("correct horse").unwrap();
    let sealed = PrivateKey::from_pem(&key)
        .unwrap()
        .to_encrypted_pem(&passphrase, &OsRandom);
    let sealed = sealed.unwrap();
    found.push((
        "encrypted key, no pass phrase",
        load(public, &sealed, now()),
    ));
    let other = Passphrase::new("battery staple").unwrap();
    let wrong = Authority::from_encrypted_pem(public, &sealed, &other, now());
    found.push(("encrypted key, another pass phrase", refusal(wrong)));
    found.push(("a short pass phrase", refusal(Passphrase::new("secret"))));
    let late = one.issue(&server(Life::LEAF), now(), &OsRandom);
    found.push(("life past the CA", refusal(late)));
}

/// A private key of RFC 5915 on secp256k1, whose curve no verifier of a cluster knows: one of OpenSSL 3.0.19, drawn for this.
const SECP256K1: &str = include_str!("../data/secp256k1.pem");

fn values(found: &mut Vec<(&'static str, String)>) {
    found.push(("unknown curve", refusal(PrivateKey::from_pem(SECP256K1))));
    found.push((
        "a name that is no name",
        refusal(HostName::new("etcd_0.lab")),
    ));
    found.push(("an address as a name", refusal(HostName::new("10.0.0.2"))));
    let mapped = AltNames::new(vec![], vec![ip("::ffff:10.0.0.2")]);
    found.push(("an address in an address", refusal(mapped)));
    found.push(("0 days", refusal(Life::days(0))));
    let names = AltNames::default();
    let subject = Subject::new("etcd-0", &[]).unwrap();
    let nameless = LeafRequest::new(subject, Purpose::Server, names, Life::LEAF);
    found.push(("a server without names", refusal(nameless)));
    found.push((
        "a name of 65 characters",
        refusal(Subject::new(&"n".repeat(65), &[])),
    ));
}

/// Stores that cannot be used. The store's directory is written as STORE.
fn stores(found: &mut Vec<(&'static str, String)>) {
    let shown =
        |store: &Store, text: String| text.replace(&store.root().display().to_string(), "STORE");
    let damaged = |act: &dyn Fn(&Store)| {
        let lab = lab();
        act(&lab.store);
        shown(
            &lab.store,
            refusal(PkiPlan::new(&lab.spec, &lab.store, now())),
        )
    };
    let key = |store: &Store| store.key_path(&ItemId::Authority(CaRole::Etcd));
    let mode = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    found.push(("world-readable key", damaged(&|store| mode(&key(store)))));
    let cut = |store: &Store| fs::write(key(store), "-----BEGIN PRIVATE KEY-----\nMIG").unwrap();
    found.push(("a truncated key of an authority", damaged(&cut)));
    found.push((
        "an authority without its key",
        damaged(&|store| fs::remove_file(key(store)).unwrap()),
    ));
    let swap = |store: &Store| {
        fs::copy(
            store.key_path(&ItemId::Authority(CaRole::Kubernetes)),
            key(store),
        )
        .unwrap();
    };
    found.push(("another authority's key", damaged(&swap)));
    let lab = empty_lab(spec());
    let (first, second) = (plan(&lab, now()), plan(&lab, now()));
    let mut refused = None;
    let mut on_event = |_| {
        let second = || refusal(apply(&lab.store, &second, now(), &OsRandom));
        refused.get_or_insert_with(second);
    };
    apply_with_events(&lab.store, &first, now(), &OsRandom, &mut on_event).unwrap();
    found.push(("two writers", shown(&lab.store, refused.unwrap())));
}

#[test]
fn every_refusal_has_the_words_that_are_written_down() {
    let mut found = Vec::new();
    authorities(&mut found);
    values(&mut found);
    stores(&mut found);
    let text: String = found
        .iter()
        .map(|(case, words)| format!("{case}\n    {words}\n"))
        .collect();
    if text != include_str!("../data/bad.txt") {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad.txt");
        fs::write(&path, &text).unwrap();
        panic!(
            "the words differ from tests/data/bad.txt; what they are now is in {}",
            path.display()
        );
    }
}

/// Set by the parent: where the child mounts a small file system.
const PLACE: &str = "PKI_TEST_PLACE";

fn mount(arguments: &[&str], place: &Path) {
    let status = Command::new("mount").args(arguments).arg(place).status();
    assert!(status.unwrap().success(), "mount {arguments:?}");
}

/// Every file of a store with its bytes, so that nothing lost is missed.
fn pairs(store: &Store) -> Vec<(ItemId, String, String)> {
    let leaves = spec().leaves().unwrap().into_iter().map(|leaf| leaf.id);
    let items = CaRole::ALL.into_iter().map(ItemId::Authority).chain(leaves);
    items
        .filter_map(|id| {
            let found = store.existing(&id).unwrap();
            Some((id, found.public_pem?, found.key_pem?.to_string()))
        })
        .collect()
}

fn assert_whole(pairs: &[(ItemId, String, String)]) {
    for (id, public, key) in pairs {
        let certificate = Certificate::from_pem(public).unwrap();
        assert!(
            certificate.is_about(&PrivateKey::from_pem(key).unwrap()),
            "{id}"
        );
    }
}

type Again<'a> = &'a dyn Fn(OffsetDateTime) -> Result<Report, ApplyError>;

/// The disk fills up at other moments of a run that makes all leaves anew: each is the old or the new one. Gives the moment of
/// the last such run, which was finished.
fn fill_up(place: &Path, store: &Store, again: Again<'_>) -> OffsetDateTime {
    let filler = place.join("filler");
    let (whole, mut moment, mut failures) = (pairs(store).len(), now(), 0);
    for pages_left in 0..6 {
        moment += days(300);
        let mut command = Command::new("dd");
        command
            .args(["if=/dev/zero", "bs=4k"])
            .arg(format!("of={}", filler.display()));
        assert!(
            !command.output().unwrap().status.success(),
            "the disk is full"
        );
        let file = fs::OpenOptions::new().write(true).open(&filler).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - pages_left * 4096).unwrap();
        drop(file);
        if let Err(error) = again(moment) {
            let text = chain(&error);
            assert!(text.contains("No space left on device"), "{text}");
            failures += 1;
        }
        let after = pairs(store);
        assert_whole(&after);
        assert_eq!(after.len(), whole, "{pages_left}");
        fs::remove_file(&filler).unwrap();
        again(moment).unwrap();
    }
    assert!(failures > 1, "the disk was full {failures} times only");
    moment
}

/// In a mount namespace of its own, so nothing is left mounted.
#[test]
#[ignore = "is started by `a_full_or_read_only_disk_loses_nothing`"]
fn child() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let place = Path::new(&place);
    mount(&["-t", "tmpfs", "-o", "size=80k", "none"], place);
    let (spec, store) = (spec(), Store::new(place.join("pki")));
    let again = |at| {
        let plan = PkiPlan::new(&spec, &store, at).unwrap();
        apply(&store, &plan, at, &OsRandom)
    };
    let text = refusal(again(now()));
    assert!(
        text.contains("No space left on device") && text.contains("pki/"),
        "{text}"
    );
    assert_whole(&pairs(&store));
    mount(&["-o", "remount,size=10m", "none"], place);
    again(now()).unwrap();
    let before = pairs(&store);
    assert_eq!(before.len(), spec.leaves().unwrap().len() + 4);
    let last = fill_up(place, &store, &again);
    let before = pairs(&store);
    mount(&["-o", "remount,ro", "none"], place);
    let text = refusal(again(last + days(300)));
    assert!(text.contains("Read-only file system"), "{text}");
    assert_eq!(pairs(&store), before);
    assert!(
        PkiPlan::new(&spec, &store, last).unwrap().is_done(),
        "reading needs no writing"
    );
}

#[test]
#[ignore = "needs root"]
fn a_full_or_read_only_disk_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap());
    command
        .args(["--exact", "bad::child", "--ignored"])
        .env(PLACE, directory.path());
    let output = command.output().expect("unshare must be installed");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let text = refusal(PkiPlan::new(&spec(), &Store::new(file.join("pki")), now()));
    assert!(text.contains("file/pki"), "{text}");
    let mut lab = lab();
    let node = lab.store.root().join("node/new-0");
    fs::write(&node, "").unwrap();
    lab.spec
        .etcd_members
        .push(crate::support::node("new-0", &["10.0.0.5"]));
    let text = refusal(PkiPlan::new(&lab.spec, &lab.store, now()));
    assert!(text.contains("node/new-0"), "{text}");
    fs::remove_file(node).unwrap();
    run(&lab, now());
}
