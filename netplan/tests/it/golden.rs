//! Everything that is printed, for two labs, against tests/data. `NETPLAN_BLESS=1 cargo test`
//! writes the files anew.

use std::fs;
use std::path::Path;

use netplan::{InterfaceName, Plan, Policy, map_text, reachability};

use crate::{planned, requirement};

#[track_caller]
fn check(case: &str, name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(case)
        .join(name);
    if option_env!("NETPLAN_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("below tests/data")).expect("a folder");
        fs::write(&path, text).expect("a golden file");
    }
    let golden = fs::read_to_string(&path).expect("a golden file");
    assert_eq!(text, golden, "{} differs", path.display());
}

fn matrix(plan: &Plan, policy: &Policy) -> String {
    let rows = reachability(plan, policy).into_iter().map(|row| {
        let probe = &row.probe;
        let via = probe
            .via
            .as_ref()
            .map_or_else(String::new, |via| format!(" via {via}"));
        let verdict = if row.allowed { "yes" } else { "no" };
        format!(
            "{verdict:3} {:?} {} -> {} [{}]:{}{via} ({})\n",
            row.family, probe.from, probe.to, probe.destination, probe.port, row.why
        )
    });
    rows.collect()
}

fn check_all(case: &str, plan: &Plan) {
    let policy = Policy::standard(plan);
    let json = serde_json::to_string_pretty(plan).expect("a plan is data");
    check(case, "plan.json", &format!("{json}\n"));
    check(case, "map.txt", &map_text(plan));
    check(case, "network.lock", &plan.lock().to_text());
    check(case, "router.nft", &policy.nft_router().load);
    check(case, "etcd-member.nft", &policy.nft_etcd_member().load);
    check(case, "control-plane.nft", &policy.nft_control_plane().load);
    let uplink = InterfaceName::new("em0").expect("a name");
    check(case, "anchor.pf", &policy.pf_anchor(plan, &uplink).load);
    check(case, "reachability.txt", &matrix(plan, &policy));
}

#[test]
fn reference_lab() {
    check_all("reference", &planned(&requirement(3, 1, 1)));
}

#[test]
fn three_control_planes_and_two_workers() {
    check_all("three-control-planes", &planned(&requirement(3, 3, 2)));
}
