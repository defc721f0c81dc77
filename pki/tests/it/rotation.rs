//! Rotations in a store: every phase, backwards, and killed between any two writes.

use std::fs;

use pki::{
    Action, CaRole, Certificate, FileContent, ItemId, LeafRole, OsRandom, PkiPlan,
    rotation::{Generation, Phase, Rotated, RotationError, advance, begin, finish, step_back},
};

use crate::support::{Lab, host, lab, now, plan, run};

const ETCD: Rotated = Rotated::Authority(CaRole::Etcd);
const KUBERNETES: Rotated = Rotated::Authority(CaRole::Kubernetes);

fn add(lab: &Lab, rotated: Rotated) -> Phase {
    let (life, kind) = (lab.spec.authority_life, lab.spec.key);
    begin(&lab.store, rotated, life, kind, now(), &OsRandom).unwrap()
}

fn to(lab: &Lab, rotated: Rotated, phase: Phase) {
    add(lab, rotated);
    for next in Phase::ALL.into_iter().skip(1).filter(|next| *next <= phase) {
        if lab.store.rotation(rotated).unwrap() < Some(next) {
            advance(&lab.store, rotated, next).unwrap();
        }
    }
}

fn renewed(lab: &Lab) -> Vec<ItemId> {
    let plan = plan(lab, now());
    let items = plan.items().iter();
    let renewed = items.filter(|item| item.decision.action != Action::Reuse);
    renewed.map(|item| item.id.clone()).collect()
}

fn names(bundle: &str) -> Vec<String> {
    let texts = bundle.split_inclusive("-----END CERTIFICATE-----\n");
    let name = |text: &str| {
        Certificate::from_pem(text)
            .unwrap()
            .common_name()
            .to_owned()
    };
    texts.map(name).collect()
}

#[test]
fn an_authority_goes_through_its_phases() {
    let lab = lab();
    let server = ItemId::node(LeafRole::EtcdServer, &host("etcd-0"));
    let old = lab.store.certificate(&server).unwrap();
    assert_eq!(add(&lab, ETCD), Phase::Add);
    assert_eq!(add(&lab, ETCD), Phase::Add, "a second call is nothing");
    assert_eq!(names(&lab.store.trusted(ETCD).unwrap()), ["etcd-ca"]);
    assert!(renewed(&lab).is_empty());

    advance(&lab.store, ETCD, Phase::Trust).unwrap();
    let both = lab.store.trusted(ETCD).unwrap();
    assert_eq!(names(&both), ["etcd-ca", "etcd-ca g2"]);
    let on_machine = FileContent::Public(ItemId::Authority(CaRole::Etcd));
    assert_eq!(*lab.store.contents(&on_machine).unwrap(), both);
    assert!(renewed(&lab).is_empty());

    advance(&lab.store, ETCD, Phase::Swap).unwrap();
    assert_eq!(
        lab.store.trusted(ETCD).unwrap(),
        both,
        "the file stays: nothing is started anew"
    );
    let leaves = lab.spec.leaves().unwrap();
    let of_etcd = leaves.iter().filter(|leaf| leaf.signer == CaRole::Etcd);
    assert_eq!(
        renewed(&lab),
        of_etcd.map(|leaf| leaf.id.clone()).collect::<Vec<_>>()
    );
    run(&lab, now());
    assert!(renewed(&lab).is_empty());
    let new = lab.store.certificate(&server).unwrap();
    assert_ne!(new.der(), old.der());

    advance(&lab.store, ETCD, Phase::Drop).unwrap();
    assert_eq!(names(&lab.store.trusted(ETCD).unwrap()), ["etcd-ca g2"]);
    finish(&lab.store, ETCD).unwrap();
    assert_eq!(lab.store.rotation(ETCD).unwrap(), None);
    assert_eq!(names(&lab.store.trusted(ETCD).unwrap()), ["etcd-ca g2"]);
    assert_eq!(lab.store.certificate(&server).unwrap().der(), new.der());
    assert!(renewed(&lab).is_empty());
    assert!(!lab.store.root().join("ca/etcd.next.key").exists());
    // And once more.
    to(&lab, ETCD, Phase::Trust);
    assert_eq!(
        names(&lab.store.trusted(ETCD).unwrap()),
        ["etcd-ca g2", "etcd-ca g3"]
    );
}

#[test]
fn the_signer_of_kubelets_comes_first() {
    let lab = lab();
    to(&lab, KUBERNETES, Phase::Trust);
    assert_eq!(
        names(&lab.store.trusted(KUBERNETES).unwrap()),
        ["kubernetes", "kubernetes g2"]
    );
    let admin = lab.store.read(&ItemId::cluster(LeafRole::Admin)).unwrap();
    assert_eq!(
        names(&admin.authority_pem.unwrap()).len(),
        2,
        "kubeconfigs trust both"
    );
    advance(&lab.store, KUBERNETES, Phase::Swap).unwrap();
    assert_eq!(
        names(&lab.store.trusted(KUBERNETES).unwrap()),
        ["kubernetes g2", "kubernetes"]
    );
}

#[test]
fn every_phase_but_the_last_has_a_way_back() {
    let lab = lab();
    let server = ItemId::node(LeafRole::EtcdServer, &host("etcd-0"));
    let old = lab.store.certificate(&server).unwrap();
    let before = lab.store.trusted(ETCD).unwrap();
    to(&lab, ETCD, Phase::Swap);
    run(&lab, now());
    assert_eq!(step_back(&lab.store, ETCD).unwrap(), Some(Phase::Trust));
    assert!(
        renewed(&lab).contains(&server),
        "leaves are the old one's again"
    );
    run(&lab, now());
    assert_eq!(step_back(&lab.store, ETCD).unwrap(), Some(Phase::Add));
    assert_eq!(step_back(&lab.store, ETCD).unwrap(), None);
    assert_eq!(lab.store.trusted(ETCD).unwrap(), before);
    assert!(renewed(&lab).is_empty());
    assert_ne!(lab.store.certificate(&server).unwrap().der(), old.der());
    assert!(matches!(
        step_back(&lab.store, ETCD),
        Err(RotationError::NotRotating(_))
    ));
    for file in ["ca/etcd.next.crt", "ca/etcd.next.key", "ca/etcd.rotation"] {
        assert!(!lab.store.root().join(file).exists(), "{file}");
    }

    to(&lab, ETCD, Phase::Drop);
    assert!(matches!(
        step_back(&lab.store, ETCD),
        Err(RotationError::NoWayBack(_))
    ));
}

#[test]
fn phases_are_not_skipped() {
    let lab = lab();
    assert!(matches!(
        advance(&lab.store, ETCD, Phase::Trust),
        Err(RotationError::NotRotating(_))
    ));
    add(&lab, ETCD);
    let error = advance(&lab.store, ETCD, Phase::Swap).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the rotation of etcd is at `add`, and `swap` does not come after that"
    );
    assert!(matches!(
        finish(&lab.store, ETCD),
        Err(RotationError::Order { .. })
    ));
}

#[test]
fn a_run_that_was_killed_in_the_first_or_last_phase_is_finished() {
    let lab = lab();
    let next = |half: &str| lab.store.root().join(format!("ca/etcd.next.{half}"));
    add(&lab, ETCD);
    let key = fs::read(next("key")).unwrap();
    // Killed before the word was written, and before the certificate was.
    fs::remove_file(lab.store.root().join("ca/etcd.rotation")).unwrap();
    fs::remove_file(next("crt")).unwrap();
    assert_eq!(add(&lab, ETCD), Phase::Add);
    assert_eq!(
        fs::read(next("key")).unwrap(),
        key,
        "the key that was drawn is used"
    );
    // A way back killed after the key.
    fs::remove_file(next("key")).unwrap();
    assert_eq!(add(&lab, ETCD), Phase::Add);
    lab.store
        .authority_of(CaRole::Etcd, Generation::New, now())
        .unwrap();

    to(&lab, ETCD, Phase::Drop);
    run(&lab, now());
    // Killed between the two renames: still the new pair signs, and both halves of it are found.
    fs::rename(next("key"), lab.store.root().join("ca/etcd.key")).unwrap();
    let material = lab.store.read(&ItemId::Authority(CaRole::Etcd)).unwrap();
    pki::Authority::from_pem(&material.public_pem, &material.key_pem, now()).unwrap();
    assert!(renewed(&lab).is_empty());
    finish(&lab.store, ETCD).unwrap();
    assert!(renewed(&lab).is_empty());
    assert_eq!(names(&lab.store.trusted(ETCD).unwrap()), ["etcd-ca g2"]);
}

#[test]
fn the_service_account_key_is_rotated_as_well() {
    let lab = lab();
    let rotated = Rotated::ServiceAccount;
    let keys = || {
        let bundle = FileContent::Public(ItemId::ServiceAccount);
        lab.store
            .contents(&bundle)
            .unwrap()
            .matches("BEGIN PUBLIC KEY")
            .count()
    };
    let old = lab.store.read(&ItemId::ServiceAccount).unwrap();
    to(&lab, rotated, Phase::Trust);
    assert_eq!(keys(), 2);
    let signs = || lab.store.read(&ItemId::ServiceAccount).unwrap();
    assert_eq!(*signs().key_pem, *old.key_pem);
    advance(&lab.store, rotated, Phase::Swap).unwrap();
    assert_eq!(keys(), 2);
    assert_ne!(*signs().key_pem, *old.key_pem);
    assert!(renewed(&lab).is_empty());
    advance(&lab.store, rotated, Phase::Drop).unwrap();
    finish(&lab.store, rotated).unwrap();
    assert_eq!(keys(), 1);
    assert_ne!(signs().public_pem, old.public_pem);
    assert!(renewed(&lab).is_empty());
}

#[test]
fn a_record_that_says_nothing_is_named_before_anything_else() {
    let lab = lab();
    fs::write(lab.store.root().join("ca/etcd.rotation"), "swop\n").unwrap();
    let error = PkiPlan::new(&lab.spec, &lab.store, now())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ca/etcd.rotation does not say how far"),
        "{error}"
    );
}
