//! The rules as the real nft(8) takes them, each in a network namespace of its own.

use std::process::Output;

use netplan::{NftRuleset, Plan, Policy};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::namespace::Namespace;
use crate::{labs, planned, requirement};

fn plans() -> Vec<Plan> {
    let all = [
        requirement(3, 1, 1),
        requirement(3, 3, 2),
        requirement(1, 1, 0),
        labs::host_npt(),
        labs::nodes_nat66(),
        labs::ula_only(),
        labs::npt(),
        labs::cluster_on_host(),
    ];
    all.iter().map(planned).collect()
}

fn rulesets(plan: &Plan) -> Vec<NftRuleset> {
    let policy = Policy::standard(plan);
    let guests = plan.classes.iter();
    let guests = guests.filter_map(|class| policy.nft_guest(class));
    let mut all: Vec<NftRuleset> = guests.collect();
    all.push(policy.nft_router(plan));
    all.push(policy.with_api_on_uplink(plan).nft_router(plan));
    all
}

fn nft(namespace: &Namespace, arguments: &[&str], text: &str) -> Output {
    namespace.run_with(&[&["nft"], arguments].concat(), text)
}

#[track_caller]
fn accepted(output: &Output, text: &str) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && error.is_empty(),
        "{error}\n{text}"
    );
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
#[ignore = "needs nft"]
fn nft_accepts_every_file() {
    let namespace = Namespace::new();
    let mut runner = TestRunner::deterministic();
    let labs = std::iter::repeat_with(|| labs::any().new_tree(&mut runner).expect("a lab"));
    let others = labs.take(16).map(|lab| planned(&lab.current()));
    for ruleset in plans()
        .into_iter()
        .chain(others)
        .flat_map(|plan| rulesets(&plan))
    {
        accepted(
            &nft(&namespace, &["-c", "-f", "-"], &ruleset.load),
            &ruleset.load,
        );
        accepted(
            &nft(&namespace, &["-c", "-f", "-"], &ruleset.undo),
            &ruleset.undo,
        );
    }
}

/// Loaded twice it is the same table once; other tables stay; the kernel gives back each rule.
#[test]
#[ignore = "needs nft"]
fn the_kernel_holds_what_was_loaded_until_it_is_undone() {
    for ruleset in plans().iter().flat_map(rulesets) {
        let namespace = Namespace::new();
        let list = || accepted(&nft(&namespace, &["list", "ruleset"], ""), "list ruleset");
        accepted(
            &nft(&namespace, &["-f", "-"], "table inet other {}\n"),
            "other",
        );
        let before = list();
        accepted(&nft(&namespace, &["-f", "-"], &ruleset.load), &ruleset.load);
        let once = list();
        accepted(&nft(&namespace, &["-f", "-"], &ruleset.load), &ruleset.load);
        assert_eq!(list(), once);
        for comment in ruleset
            .load
            .lines()
            .filter_map(|line| line.split("comment ").nth(1))
        {
            let count = |text: &str| text.matches(comment).count();
            assert_eq!(count(&once), count(&ruleset.load), "{comment} in\n{once}");
        }
        accepted(&nft(&namespace, &["-f", "-"], &ruleset.undo), &ruleset.undo);
        accepted(&nft(&namespace, &["-f", "-"], &ruleset.undo), &ruleset.undo);
        assert_eq!(list(), before);
    }
}
