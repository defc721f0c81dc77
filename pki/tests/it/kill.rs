//! A run killed at any step of any file is finished by the next one.

use std::path::Path;
use std::process::{Command, Stdio};

use pki::{Action, CaRole, Certificate, ItemId, OsRandom, PkiPlan, PkiSpec, Store, apply};

use crate::support::{Lab, days, empty_lab, now, plan, run, spec};

/// Tells the child which store to write and at which step to die.
const STORE: &str = "PKI_TEST_STORE";
const DIE_AT: &str = "PKI_TEST_DIE_AT";
/// When the child's clock stands, in days after that of the other tests.
const DAY: &str = "PKI_TEST_DAY";

/// One machine for everything keeps the steps few: 18 pairs of files.
fn small() -> PkiSpec {
    let mut spec = spec();
    spec.etcd_members.truncate(1);
    spec.nodes.truncate(1);
    spec
}

#[expect(
    clippy::disallowed_methods,
    reason = "the parent test passes the child's task this way"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The child: applies a plan and aborts, without unwinding, at the step it was given.
#[test]
#[ignore = "is started and killed by `a_run_killed_at_any_step_is_finished_by_the_next`"]
fn child() {
    let Some(root) = variable(STORE) else { return };
    let die_at: usize = variable(DIE_AT).unwrap().parse().unwrap();
    let moment = now() + days(variable(DAY).unwrap().parse().unwrap());
    let store = Store::new(root);
    let plan = PkiPlan::new(&small(), &store, moment).unwrap();
    let mut steps = 0;
    let mut on_event = |_| {
        if steps == die_at {
            std::process::abort();
        }
        steps += 1;
    };
    pki::apply_with_events(&store, &plan, moment, &OsRandom, &mut on_event).unwrap();
}

/// Whether the child came to its end alive.
#[expect(
    clippy::disallowed_methods,
    reason = "the test kills a process of its own"
)]
fn child_survives(lab: &Lab, die_at: usize, day: i64) -> bool {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--ignored"])
        .env(STORE, lab.store.root())
        .env(DIE_AT, die_at.to_string())
        .env(DAY, day.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

fn files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

fn assert_whole(lab: &Lab, day: i64) {
    let plan = plan(lab, now() + days(day));
    assert!(
        plan.items()
            .iter()
            .all(|item| item.decision.action == Action::Reuse),
        "{plan}"
    );
    let pairs = plan.items().len() * 2;
    assert_eq!(
        files(lab.store.root()),
        pairs + 2,
        "all pairs, the lock, the ledger, and no temporary file"
    );
}

#[test]
fn a_run_killed_at_any_step_is_finished_by_the_next() {
    let mut die_at = 0;
    loop {
        let lab = empty_lab(small());
        let survived = child_survives(&lab, die_at, 0);
        run(&lab, now());
        assert_whole(&lab, 0);
        if survived {
            break;
        }
        // Every step of the first authority and its leaf, then a stride that meets all four steps.
        die_at += if die_at < 16 { 1 } else { 5 };
    }
    assert!(
        die_at > 100,
        "the child ended after {die_at} steps, so it was hardly ever killed"
    );
}

#[test]
fn a_renewal_killed_at_any_step_leaves_pairs_or_is_repaired() {
    let day = 300;
    let lab = empty_lab(small());
    run(&lab, now());
    let ca = |lab: &Lab| {
        lab.store
            .read_public(&ItemId::Authority(CaRole::Kubernetes))
            .unwrap()
    };
    let before = ca(&lab);
    // The same store is killed again and again, and only at the end finished.
    let mut kills = 0;
    while !child_survives(&lab, kills % 17, day) {
        kills += 1;
        for id in lab.spec.leaves().unwrap().into_iter().map(|leaf| leaf.id) {
            // Never half a file, and never halves of two pairs: a machine that is given them can start with them.
            let existing = lab.store.existing(&id).unwrap();
            let certificate = Certificate::from_pem(&existing.public_pem.unwrap()).unwrap();
            let key = pki::PrivateKey::from_pem(&existing.key_pem.unwrap()).unwrap();
            assert!(certificate.is_about(&key), "{id}");
        }
    }
    assert!(kills > 5);
    let report = apply(
        &lab.store,
        &plan(&lab, now() + days(day)),
        now() + days(day),
        &OsRandom,
    );
    assert!(report.unwrap().written.is_empty());
    assert_whole(&lab, day);
    assert_eq!(ca(&lab), before);
}
