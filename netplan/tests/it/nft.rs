//! The rules as the real nft(8) takes them, each in a network namespace of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};

use netplan::{NftRuleset, Plan, Policy};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

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

/// A network namespace, alive as long as the program that was started in it.
struct Namespace {
    holder: Child,
}

impl Namespace {
    fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--net", "--", "tee"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        // tee(1) answers once it runs, so the namespace is there when the line comes back.
        let stdin = holder.stdin.as_mut().expect("piped");
        stdin.write_all(b"ready\n").expect("tee reads");
        let mut line = String::new();
        let stdout = holder.stdout.as_mut().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("tee writes");
        assert_eq!(line, "ready\n");
        Self { holder }
    }

    fn nft(&self, arguments: &[&str], text: &str) -> Output {
        let mut child = Command::new("nsenter")
            .args(["--user", "--net", "--preserve-credentials", "--target"])
            .arg(self.holder.id().to_string())
            .args(["--", "nft"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter and nft are installed");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(text.as_bytes())
            .expect("nft reads");
        child.wait_with_output().expect("nft ends")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // End of input is the end of tee.
        drop(self.holder.stdin.take());
        self.holder.wait().expect("tee ends");
    }
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
            &namespace.nft(&["-c", "-f", "-"], &ruleset.load),
            &ruleset.load,
        );
        accepted(
            &namespace.nft(&["-c", "-f", "-"], &ruleset.undo),
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
        let list = || accepted(&namespace.nft(&["list", "ruleset"], ""), "list ruleset");
        accepted(
            &namespace.nft(&["-f", "-"], "table inet other {}\n"),
            "other",
        );
        let before = list();
        accepted(&namespace.nft(&["-f", "-"], &ruleset.load), &ruleset.load);
        let once = list();
        accepted(&namespace.nft(&["-f", "-"], &ruleset.load), &ruleset.load);
        assert_eq!(list(), once);
        for comment in ruleset
            .load
            .lines()
            .filter_map(|line| line.split("comment ").nth(1))
        {
            let count = |text: &str| text.matches(comment).count();
            assert_eq!(count(&once), count(&ruleset.load), "{comment} in\n{once}");
        }
        accepted(&namespace.nft(&["-f", "-"], &ruleset.undo), &ruleset.undo);
        accepted(&namespace.nft(&["-f", "-"], &ruleset.undo), &ruleset.undo);
        assert_eq!(list(), before);
    }
}
