//! Authorities of somebody else, given in a directory: taken in with the plan, once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pki::{
    Authorities, AuthoritiesError, Authority, CaRole, Certificate, ItemId, LeafRole, Life,
    LoadError, OsRandom, Passphrase, PkiPlan, PrivateKey, Store, Subject, WriteStep, apply,
    apply_with_events,
};

use crate::support::{Lab, empty_lab, now, spec};

const PHRASE: &str = "correct horse";

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory as kubeadm lays it out, with the authorities of the cluster and of etcd; etcd's key is encrypted.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (stem, name) in [("ca", "company-kubernetes"), ("etcd/ca", "company-etcd")] {
        let subject = Subject::new(name, &[]).unwrap();
        let made = Authority::create(&subject, Life::AUTHORITY, now(), &OsRandom).unwrap();
        let at = |ending| directory.path().join(format!("{stem}.{ending}"));
        let key = PrivateKey::from_pem(&made.key_pem()).unwrap();
        let sealed = key.to_encrypted_pem(&Passphrase::new(PHRASE).unwrap(), &OsRandom);
        let key = match stem {
            "ca" => made.key_pem(),
            _ => sealed.unwrap(),
        };
        write(&at("crt"), made.certificate_pem(), 0o644);
        write(&at("key"), &key, 0o600);
    }
    directory
}

fn given(directory: &Path) -> Authorities {
    let passphrase = Passphrase::new(PHRASE).unwrap();
    Authorities::read(directory, Some(&passphrase), now()).unwrap()
}

fn plan(lab: &Lab, authorities: &Authorities) -> PkiPlan {
    PkiPlan::with_authorities(&lab.spec, &lab.store, authorities, now()).unwrap()
}

fn name(store: &Store, role: CaRole) -> String {
    let certificate = store.certificate(&ItemId::Authority(role)).unwrap();
    certificate.common_name().to_owned()
}

#[test]
fn authorities_that_are_given_are_taken_in_by_the_plan_and_sign() {
    let (lab, directory) = (empty_lab(spec()), directory());
    let authorities = given(directory.path());
    let shown = plan(&lab, &authorities).to_string();
    assert!(
        shown.contains("ca/kubernetes create: `company-kubernetes` is given; it is valid until")
    );
    assert!(shown.contains("ca/front-proxy create: it does not exist"));
    assert!(!lab.store.root().exists(), "a plan touches nothing");
    apply(&lab.store, &plan(&lab, &authorities), now(), &OsRandom).unwrap();
    let names = CaRole::ALL.map(|role| name(&lab.store, role));
    let wanted = [
        "company-kubernetes",
        "front-proxy-ca",
        "company-etcd",
        "etcd-peer-ca",
    ];
    assert_eq!(names, wanted);
    let file = fs::read(directory.path().join("ca.crt")).unwrap();
    let kept = lab
        .store
        .public_path(&ItemId::Authority(CaRole::Kubernetes));
    assert_eq!(fs::read(kept).unwrap(), file, "byte for byte");
    let admin = lab.store.certificate(&ItemId::cluster(LeafRole::Admin));
    assert_eq!(admin.unwrap().issuer_common_name(), "company-kubernetes");
    // Again with them and without: nothing is to do.
    assert!(plan(&lab, &authorities).is_done());
    assert!(
        PkiPlan::new(&lab.spec, &lab.store, now())
            .unwrap()
            .is_done()
    );
}

#[test]
fn an_authority_that_the_store_has_stays() {
    let (lab, directory) = (crate::support::lab(), directory());
    assert!(plan(&lab, &given(directory.path())).is_done());
}

#[test]
fn a_run_that_ends_between_the_two_halves_is_gone_on_with() {
    let (lab, directory) = (empty_lab(spec()), directory());
    let authorities = given(directory.path());
    let first = plan(&lab, &authorities);
    let stop = std::panic::AssertUnwindSafe(|| {
        apply_with_events(&lab.store, &first, now(), &OsRandom, &mut |event| {
            let is_key = event.file.ends_with("ca/kubernetes.key");
            assert!(!is_key || event.step != WriteStep::Durable, "killed here");
        })
    });
    assert!(std::panic::catch_unwind(stop).is_err());
    let left = lab
        .store
        .existing(&ItemId::Authority(CaRole::Kubernetes))
        .unwrap();
    assert!(left.public_pem.is_none() && left.key_pem.is_some());
    apply(&lab.store, &plan(&lab, &authorities), now(), &OsRandom).unwrap();
    assert_eq!(name(&lab.store, CaRole::Kubernetes), "company-kubernetes");
    assert!(plan(&lab, &authorities).is_done());
}

#[test]
fn half_a_pair_an_open_key_and_an_empty_directory_are_named() {
    let directory = directory();
    let read = |passphrase: Option<&str>| {
        let passphrase = passphrase.map(|text| Passphrase::new(text).unwrap());
        Authorities::read(directory.path(), passphrase.as_ref(), now()).unwrap_err()
    };
    let error = read(None);
    let AuthoritiesError::Load {
        certificate,
        source,
    } = &error
    else {
        panic!("{error}");
    };
    assert!(certificate.ends_with("etcd/ca.crt") && matches!(**source, LoadError::Key(_)));
    let key = directory.path().join("ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(
        read(Some(PHRASE))
            .to_string()
            .contains("ca.key has mode 0640")
    );
    fs::remove_file(&key).unwrap();
    let error = read(Some(PHRASE)).to_string();
    assert!(error.contains("ca.key is not; give the key"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = Authorities::read(empty.path(), None, now()).unwrap_err();
    assert!(matches!(error, AuthoritiesError::Empty { .. }), "{error}");
}

#[test]
fn no_key_of_a_directory_is_shown() {
    let directory = directory();
    let authorities = given(directory.path());
    let shown = format!(
        "{authorities:?}{:?}",
        plan(&empty_lab(spec()), &authorities)
    );
    let key = fs::read_to_string(directory.path().join("ca.key")).unwrap();
    assert!(
        key.lines()
            .skip(1)
            .all(|line| line.starts_with('-') || !shown.contains(line))
    );
    let certificate = fs::read_to_string(directory.path().join("ca.crt")).unwrap();
    assert!(Certificate::from_pem(&certificate).is_ok());
}
