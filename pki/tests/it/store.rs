//! Keys under a pass phrase, foreign authorities in a store, the ledger of numbers, and pairs that are replaced as one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use pki::{
    Action, AdoptError, ApplyError, Authority, CaRole, Certificate, ItemId, KeyError, LeafRole,
    Life, NodeNames, OsRandom, Passphrase, PkiPlan, PlanError, PrivateKey, ReadError, Reason,
    SerialNumber, Store, Subject, adopt, apply,
};

use crate::support::{Lab, days, empty_lab, host, lab, now, plan, run, spec};

fn phrase(text: &str) -> Passphrase {
    Passphrase::new(text).unwrap()
}

fn sealed_lab() -> Lab {
    let mut lab = empty_lab(spec());
    lab.store = lab.store.clone().with_passphrase(phrase("correct horse"));
    run(&lab, now());
    lab
}

fn key_files(lab: &Lab) -> Vec<String> {
    let path = |role| lab.store.key_path(&ItemId::Authority(role));
    CaRole::ALL
        .map(|role| fs::read_to_string(path(role)).unwrap())
        .to_vec()
}

#[test]
fn keys_of_authorities_lie_under_the_pass_phrase_and_all_else_works() {
    let lab = sealed_lab();
    for text in key_files(&lab) {
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        assert_eq!(
            PrivateKey::from_pem(&text).unwrap_err(),
            KeyError::Encrypted
        );
    }
    assert!(plan(&lab, now()).is_done());
    // Late, all leaves are made anew by the authorities, whose keys are opened for it.
    run(&lab, now() + days(300));
    // What goes to a machine is what its programs read.
    for file in lab.spec.files_for_control_plane(&host("cp-0")).unwrap() {
        let text = lab.store.contents(&file.content).unwrap();
        assert!(!text.contains("ENCRYPTED"), "{}", file.path);
    }
}

#[test]
fn a_store_under_a_pass_phrase_is_closed_to_everybody_else() {
    let lab = sealed_lab();
    let open = |store: &Store| PkiPlan::new(&lab.spec, store, now()).unwrap_err();
    let without = open(&Store::new(lab.store.root()));
    assert!(
        matches!(without, PlanError::Read(ReadError::Sealed { .. })),
        "{without}"
    );
    assert!(
        without
            .to_string()
            .ends_with("is encrypted; give its pass phrase"),
        "{without}"
    );
    let other = Store::new(lab.store.root()).with_passphrase(phrase("battery staple"));
    let wrong = open(&other);
    assert!(
        matches!(wrong, PlanError::Read(ReadError::Passphrase { .. })),
        "{wrong}"
    );
    let shown = format!("{:?} {wrong:?} {without:?}", lab.store);
    assert!(
        !shown.contains("horse") && !shown.contains("staple"),
        "{shown}"
    );
}

#[test]
fn a_pass_phrase_is_put_on_changed_and_taken_off() {
    let lab = lab();
    let plain = key_files(&lab);
    let store = lab
        .store
        .clone()
        .seal(Some(phrase("correct horse")), &OsRandom)
        .unwrap();
    assert!(
        key_files(&lab)
            .iter()
            .all(|text| text.contains("ENCRYPTED"))
    );
    let store = store
        .seal(Some(phrase("battery staple")), &OsRandom)
        .unwrap();
    assert!(PkiPlan::new(&lab.spec, &store, now()).unwrap().is_done());
    // A killed run has left one key under the old pass phrase and one under none; the same call goes on.
    let old = lab.store.clone().with_passphrase(phrase("correct horse"));
    let key = PrivateKey::from_pem(&plain[1]).unwrap();
    let text = key
        .to_encrypted_pem(&phrase("correct horse"), &OsRandom)
        .unwrap();
    fs::write(
        lab.store.key_path(&ItemId::Authority(CaRole::FrontProxy)),
        text.as_bytes(),
    )
    .unwrap();
    fs::write(
        lab.store.key_path(&ItemId::Authority(CaRole::Etcd)),
        &plain[2],
    )
    .unwrap();
    let store = old.seal(Some(phrase("battery staple")), &OsRandom).unwrap();
    assert!(
        key_files(&lab)
            .iter()
            .all(|text| text.contains("ENCRYPTED"))
    );
    store.seal(None, &OsRandom).unwrap();
    assert_eq!(key_files(&lab), plain);
}

fn foreign(name: &str) -> Authority {
    let subject = Subject::new(name, &[]).unwrap();
    Authority::create(&subject, Life::AUTHORITY, now(), &OsRandom).unwrap()
}

fn adopted(lab: &Lab, role: CaRole, authority: &Authority) -> Result<Action, AdoptError> {
    let key = authority.key_pem();
    let pair = (authority.certificate_pem(), key.as_str());
    adopt(&lab.store, role, pair, None, now(), &OsRandom)
}

#[test]
fn an_adopted_authority_signs_everything_below_it() {
    let lab = empty_lab(spec());
    let authority = foreign("Example Corp CA");
    assert_eq!(
        adopted(&lab, CaRole::Kubernetes, &authority).unwrap(),
        Action::Create
    );
    assert_eq!(
        adopted(&lab, CaRole::Kubernetes, &authority).unwrap(),
        Action::Reuse
    );
    let report = run(&lab, now());
    assert_eq!(report.reused, 1);
    let pem = lab
        .store
        .read_public(&ItemId::Authority(CaRole::Kubernetes))
        .unwrap();
    assert_eq!(pem, authority.certificate_pem());
    let leaf = lab
        .store
        .certificate(&ItemId::cluster(LeafRole::Admin))
        .unwrap();
    assert_eq!(leaf.issuer_common_name(), "Example Corp CA");
    assert!(plan(&lab, now()).is_done());
}

#[test]
fn what_would_not_work_is_not_adopted_and_nothing_is_written() {
    let (lab, authority) = (empty_lab(spec()), foreign("etcd-ca"));
    let error = adopted(&lab, CaRole::Kubernetes, &authority).unwrap_err();
    assert!(matches!(error, AdoptError::Unusable(_)), "{error}");
    let (other, key) = (foreign("other"), authority.key_pem());
    let pair = (other.certificate_pem(), key.as_str());
    let error = adopt(&lab.store, CaRole::Etcd, pair, None, now(), &OsRandom).unwrap_err();
    assert!(matches!(error, AdoptError::Load { .. }), "{error}");
    let late = now() + days(3651);
    let pair = (authority.certificate_pem(), key.as_str());
    let error = adopt(&lab.store, CaRole::Etcd, pair, None, late, &OsRandom).unwrap_err();
    assert!(matches!(error, AdoptError::Load { .. }), "{error}");
    assert!(!lab.store.root().join("ca").exists());
    adopted(&lab, CaRole::Etcd, &authority).unwrap();
    let error = adopted(&lab, CaRole::Etcd, &other).unwrap_err();
    assert!(matches!(error, AdoptError::Occupied { .. }), "{error}");
    assert!(error.to_string().contains("`etcd-ca`"), "{error}");
}

#[test]
fn the_ledger_has_every_number_and_grows() {
    let lab = lab();
    let first = lab.store.ledger().unwrap();
    assert_eq!(first.len(), lab.spec.leaves().unwrap().len());
    let certificate = lab
        .store
        .certificate(&ItemId::cluster(LeafRole::Admin))
        .unwrap();
    let entry = first
        .iter()
        .find(|entry| entry.item == "cluster/admin")
        .unwrap();
    assert_eq!(entry.serial, SerialNumber::of(&certificate).unwrap());
    assert_eq!(entry.not_after, certificate.not_after());
    assert_eq!(entry.authority, "kubernetes");
    run(&lab, now() + days(300));
    let second = lab.store.ledger().unwrap();
    assert_eq!(second[..first.len()], first);
    assert_eq!(second.len(), 2 * first.len());
    let numbers: BTreeSet<_> = second.iter().map(|entry| &entry.serial).collect();
    assert_eq!(numbers.len(), second.len());
}

#[test]
fn a_repeating_source_and_a_damaged_ledger_stop_before_anything_is_issued() {
    struct Constant;
    impl pki::Random for Constant {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), pki::RandomError> {
            buffer.fill(9);
            Ok(())
        }
    }
    let lab = empty_lab(spec());
    let error = apply(&lab.store, &plan(&lab, now()), now(), &Constant).unwrap_err();
    assert!(matches!(error, ApplyError::Ledger(_)), "{error}");
    assert!(!lab.store.root().join("ca").exists());
    let lab = crate::support::lab();
    fs::write(lab.store.root().join("ledger.txt"), "00ff etcd\n").unwrap();
    let late = now() + days(300);
    let error = apply(&lab.store, &plan(&lab, late), late, &OsRandom).unwrap_err();
    let text = format!("{:#}", anyhow_like(&error));
    assert!(
        text.contains("line 1 of") && text.contains("ledger.txt"),
        "{text}"
    );
}

/// An error with its sources, as the program prints it.
fn anyhow_like(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

fn etcd_server() -> ItemId {
    ItemId::node(LeafRole::EtcdServer, &host("etcd-0"))
}

/// What a run leaves that is killed after the new pair counts and before its files are in place: here the key is.
fn cut_off(lab: &Lab) -> (String, String, PathBuf) {
    let id = etcd_server();
    let peer = empty_lab(lab.spec.clone());
    for role in CaRole::ALL {
        let id = ItemId::Authority(role);
        fs::create_dir_all(peer.store.root().join("ca")).unwrap();
        for path in [Store::public_path, Store::key_path] {
            fs::copy(path(&lab.store, &id), path(&peer.store, &id)).unwrap();
        }
    }
    run(&peer, now());
    let new = peer.store.existing(&id).unwrap();
    let (key, public) = (new.key_pem.unwrap().to_string(), new.public_pem.unwrap());
    let pending = lab.store.root().join("node/etcd-0/.etcd-server.pair");
    fs::write(&pending, format!("{key}{public}")).unwrap();
    fs::set_permissions(&pending, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(lab.store.key_path(&id), &key).unwrap();
    (key, public, pending)
}

#[test]
fn a_pair_that_counts_is_read_whole_and_put_in_place() {
    let lab = lab();
    let (key, public, pending) = cut_off(&lab);
    let material = lab.store.read(&etcd_server()).unwrap();
    assert_eq!(
        (material.key_pem.as_str(), &material.public_pem),
        (key.as_str(), &public)
    );
    assert_eq!(lab.store.read_public(&etcd_server()).unwrap(), public);
    let plan = plan(&lab, now());
    let open: Vec<_> = plan
        .items()
        .iter()
        .filter(|item| item.decision.action != Action::Reuse)
        .collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].decision.reason, Reason::Unfinished);
    let report = apply(&lab.store, &plan, now(), &OsRandom).unwrap();
    assert_eq!(report.written, [etcd_server()]);
    assert!(!pending.exists());
    assert_eq!(
        fs::read_to_string(lab.store.public_path(&etcd_server())).unwrap(),
        public
    );
    assert!(crate::support::plan(&lab, now()).is_done());
}

#[test]
fn a_pair_that_is_cut_off_or_exposed_is_named() {
    let lab = lab();
    let (_, _, pending) = cut_off(&lab);
    fs::set_permissions(&pending, fs::Permissions::from_mode(0o644)).unwrap();
    let error = lab.store.read(&etcd_server()).unwrap_err();
    assert!(matches!(error, ReadError::Exposed { .. }), "{error}");
    fs::set_permissions(&pending, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&pending, "half").unwrap();
    let error = lab.store.read(&etcd_server()).unwrap_err();
    assert!(
        error.to_string().contains(".etcd-server.pair is damaged"),
        "{error}"
    );
}

/// A reader that looks again and again while another thread replaces the pair never sees two halves of two pairs.
#[test]
fn a_reader_never_sees_halves_of_two_pairs() {
    let lab = lab();
    let mut changing = lab.spec.clone();
    let extra =
        |count: u8| -> Vec<std::net::IpAddr> { (0..count).map(|n| [10, 0, 9, n].into()).collect() };
    let base: Vec<NodeNames> = changing.etcd_members.clone();
    let store = lab.store.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while stopped.try_recv().is_err() {
            let found = store.existing(&etcd_server()).unwrap();
            let certificate = Certificate::from_pem(&found.public_pem.unwrap()).unwrap();
            let key = PrivateKey::from_pem(&found.key_pem.unwrap()).unwrap();
            assert!(certificate.is_about(&key));
            seen.insert(certificate.serial_hex());
        }
        seen.len()
    });
    for round in 1..40 {
        changing.etcd_members = base.clone();
        changing.etcd_members[0].ips.extend(extra(round));
        let plan = PkiPlan::new(&changing, &lab.store, now()).unwrap();
        apply(&lab.store, &plan, now(), &OsRandom).unwrap();
    }
    stop.send(()).unwrap();
    let seen = reader.join().unwrap();
    assert!(
        seen > 5,
        "the reader saw {seen} pairs only, so it proves little"
    );
}
