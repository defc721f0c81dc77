//! Everything that is printed, for several labs, against tests/data. `NETPLAN_BLESS=1 cargo test`
//! writes the files anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use netplan::{
    Expectation, Plan, Policy, dot, map_text, matrix_table, mermaid, picture_mermaid, picture_svg,
    reachability,
};

use crate::{labs, planned, requirement};

#[track_caller]
pub(crate) fn check(case: &str, name: &str, text: &str) {
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

fn check_all(case: &str, plan: &Plan) {
    let json = serde_json::to_string_pretty(plan).expect("a plan is data");
    check(case, "plan.json", &format!("{json}\n"));
    check(case, "map.txt", &map_text(plan));
    check(case, "network.lock", &plan.lock().to_text());
    check_policy(case, plan);
}

fn check_policy(case: &str, plan: &Plan) {
    let policy = Policy::standard(plan);
    check(case, "router.nft", &policy.nft_router(plan).load);
    for class in &plan.classes {
        if let Some(ruleset) = policy.nft_guest(class) {
            check(case, &format!("{}.nft", class.name), &ruleset.load);
        }
    }
    let rows = reachability(plan, &policy);
    check(case, "reachability.txt", &list(&rows));
    check(case, "matrix.txt", &matrix_table(plan, &rows));
    check(case, "picture.svg", &picture_svg(plan, &rows));
    check(case, "picture.mmd", &picture_mermaid(plan, &rows));
    check(case, "flows.mmd", &mermaid(plan, &rows));
    check(case, "flows.dot", &dot(plan, &rows));
}

fn list(rows: &[Expectation]) -> String {
    let mut text = String::new();
    for row in rows {
        let probe = &row.probe;
        let answer = if row.allowed { "yes" } else { "no " };
        let via = probe.via.as_ref();
        let via = via.map_or_else(String::new, |via| format!(" via {via}"));
        writeln!(
            text,
            "{answer} {} -> {} [{}]:{}{via} ({})",
            probe.from, probe.to, probe.destination, probe.port, row.why
        )
        .expect("a String takes all");
    }
    text
}

#[test]
fn reference_lab() {
    check_all("reference", &planned(&requirement(3, 1, 1)));
}

#[test]
fn three_control_planes_and_two_workers() {
    check_all("three-control-planes", &planned(&requirement(3, 3, 2)));
}

#[test]
fn three_networks_behind_a_host() {
    check_policy("host-npt", &planned(&labs::host_npt()));
}

#[test]
fn nodes_with_a_second_network_behind_one_address() {
    check_policy("nodes-nat66", &planned(&labs::nodes_nat66()));
}

#[test]
fn no_way_out_for_ipv6() {
    check_policy("ula-only", &planned(&labs::ula_only()));
}
