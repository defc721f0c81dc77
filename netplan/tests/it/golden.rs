//! Everything that is printed, for two labs, against tests/data. `NETPLAN_BLESS=1 cargo test`
//! writes the files anew.

use std::fs;
use std::path::Path;

use netplan::Plan;

use crate::{planned, requirement};

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
    check(case, "network.lock", &plan.lock().to_text());
}

#[test]
fn reference_lab() {
    check_all("reference", &planned(&requirement(3, 1, 1)));
}

#[test]
fn three_control_planes_and_two_workers() {
    check_all("three-control-planes", &planned(&requirement(3, 3, 2)));
}
