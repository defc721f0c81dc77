use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pki::{
    Action, ApplyError, CaRole, ExpiryLevel, ItemId, KeyAlgorithm, KeySpec, KubernetesVersion,
    LeafRole, Life, OsRandom, PkiPlan, PlanError, PrivateKey, ReadError, Store, apply, expiry,
};
use time::{Duration, OffsetDateTime};

use crate::support::{Lab, days, empty_lab, host, lab, node, now, plan, run, spec};

/// Inode and modification time of everything below a directory.
fn prints(directory: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(prints(&path));
        }
        found.insert(
            path,
            (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()),
        );
    }
    found
}

/// The items that are not reused, one line each.
fn work(lab: &Lab, at: OffsetDateTime) -> Vec<String> {
    let plan = plan(lab, at);
    let changed = plan
        .items()
        .iter()
        .filter(|item| item.decision.action != Action::Reuse);
    changed.map(ToString::to_string).collect()
}

fn etcd_server() -> ItemId {
    ItemId::node(LeafRole::EtcdServer, &host("etcd-0"))
}

#[test]
fn a_plan_creates_everything_and_touches_nothing() {
    let lab = empty_lab(spec());
    let plan = plan(&lab, now());
    assert!(
        plan.items()
            .iter()
            .all(|item| item.decision.action == Action::Create)
    );
    assert!(
        plan.to_string()
            .starts_with("ca/kubernetes create: it does not exist\n")
    );
    assert!(!lab.store.root().exists());
}

#[test]
fn a_second_run_writes_nothing() {
    let lab = lab();
    let before = prints(lab.store.root());
    let report = run(&lab, now() + days(30));
    assert!(report.written.is_empty());
    assert_eq!(report.reused, plan(&lab, now()).items().len());
    assert_eq!(prints(lab.store.root()), before);
}

#[test]
fn modes_are_0600_0644_and_0700() {
    let lab = lab();
    for path in prints(lab.store.root())
        .into_keys()
        .chain([lab.store.root().to_owned()])
    {
        let metadata = fs::metadata(&path).unwrap();
        let extension = path.extension().unwrap_or_default();
        let expected = match extension.to_str().unwrap() {
            _ if metadata.is_dir() => 0o700,
            "crt" | "pub" => 0o644,
            _ => 0o600,
        };
        assert_eq!(
            metadata.permissions().mode() & 0o7777,
            expected,
            "{}",
            path.display()
        );
    }
}

#[test]
fn leaves_are_renewed_before_two_thirds_of_their_life_and_authorities_are_not() {
    let lab = lab();
    let leaves = lab.spec.leaves().unwrap();
    // 243.3 days of 365 are two thirds, and a twentieth is 18.3; five minutes of back-dating count into the life.
    assert!(work(&lab, now() + days(225)).is_empty());
    let moments: BTreeSet<_> = leaves
        .iter()
        .map(|leaf| lab.store.certificate(&leaf.id).unwrap().renewal())
        .collect();
    assert!(moments.len() > 1, "they are spread");
    let (first, last) = (moments.first().unwrap(), moments.last().unwrap());
    assert!(*last <= now() + days(244) && *last - *first <= days(19));
    assert!(work(&lab, *first - Duration::seconds(1)).is_empty());
    let items = work(&lab, *first);
    assert_eq!(items.len(), 1);
    let due = format!("renew: due since {}, with 3", first.date());
    assert!(items[0].contains(&due), "{items:?}");

    let late = now() + days(244);
    assert_eq!(work(&lab, late).len(), leaves.len());
    let before = fs::read(lab.store.public_path(&ItemId::Authority(CaRole::Etcd))).unwrap();
    run(&lab, late);
    assert!(work(&lab, late).is_empty());
    let after = fs::read(lab.store.public_path(&ItemId::Authority(CaRole::Etcd))).unwrap();
    assert_eq!(before, after);
}

#[test]
fn all_leaves_are_renewed_on_request_and_nothing_else() {
    let lab = lab();
    let leaves = lab.spec.leaves().unwrap();
    let plan = PkiPlan::renewing(&lab.spec, &lab.store, now()).unwrap();
    let renewed: Vec<_> = plan
        .items()
        .iter()
        .filter(|item| item.decision.action != Action::Reuse)
        .collect();
    assert_eq!(renewed.len(), leaves.len());
    let shown = renewed[0].to_string();
    assert!(
        shown.contains("renew: asked for; it was in order"),
        "{shown}"
    );
    let pair = |id: &ItemId| lab.store.read(id).unwrap();
    let before: Vec<_> = leaves.iter().map(|leaf| pair(&leaf.id)).collect();
    let fixed = [
        ItemId::ServiceAccount,
        ItemId::Authority(CaRole::Kubernetes),
    ];
    let kept: Vec<_> = fixed.iter().map(|id| pair(id).public_pem).collect();
    let report = apply(&lab.store, &plan, now(), &OsRandom).unwrap();
    assert_eq!(report.written.len(), leaves.len());
    for (leaf, before) in leaves.iter().zip(before) {
        let after = pair(&leaf.id);
        assert_ne!(after.public_pem, before.public_pem);
        assert_ne!(*after.key_pem, *before.key_pem, "a new key for {}", leaf.id);
    }
    let after: Vec<_> = fixed.iter().map(|id| pair(id).public_pem).collect();
    assert_eq!(kept, after);
    assert!(work(&lab, now()).is_empty());
}

#[test]
fn another_kind_of_key_reaches_leaves_and_no_authority() {
    let mut lab = lab();
    lab.spec.key = KeySpec::EcdsaP384;
    let items = work(&lab, now());
    let leaves = lab.spec.leaves().unwrap();
    assert_eq!(items.len(), leaves.len());
    let words = "renew: its key is ECDSA-P256, wanted ECDSA-P384";
    assert!(items.iter().all(|item| item.contains(words)), "{items:?}");
    run(&lab, now());
    assert!(work(&lab, now()).is_empty());
    let kind = |id: &ItemId| lab.store.certificate(id).unwrap().key_spec();
    assert_eq!(kind(&leaves[0].id), Some(KeySpec::EcdsaP384));
    let authority = ItemId::Authority(CaRole::Kubernetes);
    assert_eq!(kind(&authority), Some(KeySpec::EcdsaP256));
    // What is made anew is of that kind as well, and so is the key that signs tokens.
    let mut fresh = empty_lab(spec());
    fresh.spec.key = KeySpec::EcdsaP384;
    run(&fresh, now());
    let made = fresh.store.certificate(&authority).unwrap();
    assert_eq!(made.key_spec(), Some(KeySpec::EcdsaP384));
    let token = fresh.store.existing(&ItemId::ServiceAccount).unwrap();
    let token = PrivateKey::from_pem(&token.key_pem.unwrap()).unwrap();
    assert_eq!(token.algorithm(), KeyAlgorithm::EcdsaP384);
}

#[cfg(not(feature = "aws-lc-rs"))]
#[test]
fn a_kind_of_key_that_is_not_drawn_here_is_refused_before_anything_is_touched() {
    let mut lab = empty_lab(spec());
    lab.spec.key = KeySpec::Rsa2048;
    let error = PkiPlan::new(&lab.spec, &lab.store, now()).unwrap_err();
    assert_eq!(error.to_string(), "key");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("`--features aws-lc-rs`"), "{cause}");
    assert!(!lab.store.root().exists());
}

#[test]
fn another_version_renews_what_it_names_differently() {
    let mut lab = lab();
    lab.spec.kubernetes_version = KubernetesVersion::new(1, 28, 3);
    let old = work(&lab, now());
    assert!(
        old.iter()
            .any(|item| item.contains("apiserver-kubelet-client renew: groups"))
    );
    run(&lab, now());
    // From 1.28 to 1.36.1: system:masters goes, the super-administrator comes.
    lab.spec.kubernetes_version = KubernetesVersion::new(1, 36, 1);
    let items = work(&lab, now());
    for name in [
        "apiserver-kubelet-client renew",
        "cluster/admin renew",
        "apiserver-etcd-client renew",
    ] {
        assert!(
            items.iter().any(|item| item.contains(name)),
            "{name}: {items:?}"
        );
    }
    run(&lab, now());
    let client = ItemId::node(LeafRole::ApiServerKubeletClient, &host("cp-0"));
    assert!(lab.store.certificate(&client).unwrap().groups().is_empty());
    lab.store
        .read(&ItemId::cluster(LeafRole::SuperAdmin))
        .unwrap();
}

#[test]
fn a_change_of_the_spec_renews_exactly_what_it_touches() {
    let mut lab = lab();
    lab.spec.etcd_members[0]
        .ips
        .push("10.0.0.9".parse().unwrap());
    let items = work(&lab, now());
    assert_eq!(items.len(), 2, "{items:?}");
    assert!(
        items[0].contains("node/etcd-0/etcd-server renew: alternative names"),
        "{items:?}"
    );
    assert!(items[1].contains("node/etcd-0/etcd-peer"), "{items:?}");
    run(&lab, now());

    lab.spec.nodes.push(node("worker-1", &["10.0.1.21"]));
    assert_eq!(
        work(&lab, now()),
        ["node/worker-1/kube-proxy create: it does not exist"]
    );

    lab.spec.nodes.pop();
    lab.spec.kubernetes_version = KubernetesVersion::new(1, 36, 0);
    let items = work(&lab, now());
    assert_eq!(items.len(), 1, "{items:?}");
    assert!(
        items[0].contains("apiserver-kubelet-client renew: groups is ``"),
        "{items:?}"
    );
}

#[test]
fn halves_that_do_not_match_and_damaged_leaves_are_made_anew() {
    let lab = lab();
    let (certificate, key) = (
        lab.store.public_path(&etcd_server()),
        lab.store.key_path(&etcd_server()),
    );
    let other = lab
        .store
        .key_path(&ItemId::node(LeafRole::EtcdPeer, &host("etcd-0")));
    let damage: [(&str, &dyn Fn()); 6] = [
        ("renew: its key belongs to another", &|| {
            assert!(fs::copy(&other, &key).is_ok())
        }),
        ("renew: its key is missing", &|| {
            fs::remove_file(&key).unwrap()
        }),
        ("create: its key has no", &|| {
            fs::remove_file(&certificate).unwrap()
        }),
        ("renew: it cannot be read", &|| {
            fs::write(&certificate, "-----BEGIN CERT").unwrap()
        }),
        ("renew: its key cannot be used", &|| {
            fs::write(&key, "").unwrap()
        }),
        ("create: it does not exist", &|| {
            fs::remove_file(&certificate).unwrap();
            fs::remove_file(&key).unwrap();
        }),
    ];
    for (expected, act) in damage {
        act();
        let items = work(&lab, now());
        assert_eq!(items.len(), 1, "{items:?}");
        assert!(items[0].contains(expected), "{items:?}");
        run(&lab, now());
        assert!(work(&lab, now()).is_empty(), "{expected}");
    }
}

#[test]
fn a_leaf_of_another_authority_is_made_anew() {
    let (ours, theirs) = (lab(), lab());
    for path in [Store::public_path, Store::key_path] {
        fs::copy(
            path(&theirs.store, &etcd_server()),
            path(&ours.store, &etcd_server()),
        )
        .unwrap();
    }
    let items = work(&ours, now());
    assert_eq!(items.len(), 1, "{items:?}");
    assert!(items[0].contains("renew: the certificate does not point at its authority's key"));
}

#[test]
fn a_damaged_authority_stops_the_plan_and_stays_as_it_is() {
    let id = ItemId::Authority(CaRole::Kubernetes);
    let check = |act: &dyn Fn(&Lab), expected: &str| {
        let lab = lab();
        act(&lab);
        let before = prints(lab.store.root());
        let error = PkiPlan::new(&lab.spec, &lab.store, now()).unwrap_err();
        assert!(matches!(error, PlanError::Authority(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("backup"), "{text}");
        assert_eq!(prints(lab.store.root()), before);
    };
    check(
        &|lab| fs::remove_file(lab.store.key_path(&id)).unwrap(),
        "key is missing",
    );
    let etcd = ItemId::Authority(CaRole::Etcd);
    let swap = |lab: &Lab| drop(fs::copy(lab.store.key_path(&etcd), lab.store.key_path(&id)));
    check(&swap, "belongs to another");
    check(
        &|lab| fs::write(lab.store.public_path(&id), "x").unwrap(),
        "cannot be read",
    );
    let swap_both = |lab: &Lab| {
        swap(lab);
        fs::copy(lab.store.public_path(&etcd), lab.store.public_path(&id)).unwrap();
    };
    check(&swap_both, "common name is `etcd-ca`, wanted `kubernetes`");

    let lab = lab();
    let error = PkiPlan::new(&lab.spec, &lab.store, now() + days(3651)).unwrap_err();
    assert!(error.to_string().contains("is valid from"), "{error}");
}

#[test]
fn an_authority_whose_certificate_was_not_written_yet_keeps_its_key() {
    let lab = lab();
    let id = ItemId::Authority(CaRole::Etcd);
    let key = fs::read(lab.store.key_path(&id)).unwrap();
    fs::remove_file(lab.store.public_path(&id)).unwrap();
    assert!(work(&lab, now())[0].contains("ca/etcd create: its key has no certificate yet"));
    run(&lab, now());
    assert_eq!(fs::read(lab.store.key_path(&id)).unwrap(), key);
    assert!(work(&lab, now()).is_empty());
}

#[test]
fn the_service_account_key_is_never_replaced() {
    let lab = lab();
    let id = ItemId::ServiceAccount;
    let key = fs::read(lab.store.key_path(&id)).unwrap();
    fs::write(lab.store.public_path(&id), "another").unwrap();
    assert_eq!(work(&lab, now()).len(), 1);
    run(&lab, now());
    assert!(work(&lab, now()).is_empty());
    assert_eq!(fs::read(lab.store.key_path(&id)).unwrap(), key);
    fs::remove_file(lab.store.key_path(&id)).unwrap();
    let error = PkiPlan::new(&lab.spec, &lab.store, now()).unwrap_err();
    assert!(matches!(error, PlanError::ServiceAccount(_)), "{error}");
}

#[test]
fn a_key_that_others_may_read_is_an_error_with_the_remedy() {
    let lab = lab();
    let key = lab.store.key_path(&etcd_server());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = PkiPlan::new(&lab.spec, &lab.store, now()).unwrap_err();
    assert!(
        matches!(
            error,
            PlanError::Read(ReadError::Exposed { mode: 0o640, .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn two_writers_are_told_apart_and_a_stale_plan_is_refused() {
    let lab = empty_lab(spec());
    let stale = plan(&lab, now());
    let other = plan(&lab, now());
    let mut inner = None;
    let mut second = |_: pki::Event| {
        if inner.is_none() {
            inner = apply(&lab.store, &other, now(), &OsRandom).err();
        }
    };
    pki::apply_with_events(&lab.store, &stale, now(), &OsRandom, &mut second).unwrap();
    assert!(matches!(inner, Some(ApplyError::Lock(_))), "{inner:?}");
    assert!(inner.unwrap().to_string().contains("another process"));
    let error = apply(&lab.store, &stale, now(), &OsRandom).unwrap_err();
    assert!(matches!(error, ApplyError::Stale { .. }), "{error}");
}

#[test]
fn a_leaf_life_past_the_authority_stops_with_what_was_done_kept() {
    let mut lab = lab();
    lab.spec.leaf_life = Life::days(364).unwrap();
    let late = now() + days(3650 - 100);
    let error = apply(&lab.store, &plan(&lab, late), late, &OsRandom).unwrap_err();
    assert!(matches!(error, ApplyError::Issue { .. }), "{error}");
    assert!(work(&lab, now()).is_empty());
}

#[test]
fn expiry_reports_every_certificate_the_first_to_end_first() {
    let mut lab = lab();
    // A machine that left the spec is still reported while its files lie there.
    lab.spec.nodes.pop();
    let levels = |at| -> Vec<ExpiryLevel> {
        expiry(&lab.store, at)
            .unwrap()
            .into_iter()
            .map(|expiry| expiry.level)
            .collect()
    };
    let fine = levels(now());
    assert_eq!(
        fine.len(),
        spec().leaves().unwrap().len() + CaRole::ALL.len()
    );
    assert!(fine.iter().all(|level| *level == ExpiryLevel::Fine));
    for (day, first) in [
        (243, ExpiryLevel::Fine),
        (244, ExpiryLevel::Warning),
        (329, ExpiryLevel::Error),
        (365, ExpiryLevel::Error),
        (366, ExpiryLevel::Expired),
    ] {
        assert_eq!(levels(now() + days(day))[0], first, "day {day}");
        assert_eq!(
            levels(now() + days(day)).last(),
            Some(&ExpiryLevel::Fine),
            "day {day}"
        );
    }
    let first = expiry(&lab.store, now()).unwrap().remove(0);
    assert!(
        first.to_string().contains("ends 2028-01-15, 100 % left"),
        "{first}"
    );
    assert!(
        expiry(&Store::new("/nonexistent/store"), now())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let store = Store::new(file.join("pki"));
    let error = PkiPlan::new(&spec(), &store, now()).unwrap_err();
    assert!(error.to_string().contains("file/pki"), "{error}");
}
