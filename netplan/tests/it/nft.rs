//! The rules as the real nft(8) takes them, each in a network namespace of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use netplan::{NftRuleset, Policy};

use crate::{planned, requirement};

fn rulesets() -> Vec<NftRuleset> {
    let plans = [
        requirement(3, 1, 1),
        requirement(3, 3, 2),
        requirement(1, 1, 0),
    ];
    plans
        .iter()
        .map(|requirement| Policy::standard(&planned(requirement)))
        .flat_map(|policy| {
            [
                policy.nft_router(),
                policy.nft_etcd_member(),
                policy.nft_control_plane(),
            ]
        })
        .collect()
}

/// `nft ARGUMENTS -f -` in a new network namespace (unshare(1)).
fn nft(arguments: &[&str], text: &str) -> Output {
    let mut child = Command::new("unshare")
        .args(["--map-root-user", "--net", "--", "nft"])
        .args(arguments)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare and nft are installed");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(text.as_bytes())
        .expect("nft reads");
    child.wait_with_output().expect("nft ends")
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
    for ruleset in rulesets() {
        accepted(&nft(&["-c"], &ruleset.load), &ruleset.load);
        accepted(&nft(&["-c"], &ruleset.undo), &ruleset.undo);
    }
}
