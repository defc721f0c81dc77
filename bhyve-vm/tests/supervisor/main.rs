//! The supervisor's scripts, run for real under dash and bash, with stand-ins for what only FreeBSD has.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test says what went wrong, and here the scripts are run as daemon(8) runs them"
)]

mod recorder;
mod resume;
mod runs;
mod stop;
mod world;

use world::World;

/// Both shells: dash is nearest to FreeBSD's sh, bash in its POSIX mode is another reader of the same grammar.
const SHELLS: [&str; 2] = ["/usr/bin/dash", "/usr/bin/bash"];

/// Runs a scenario under both shells at the same time.
fn both(scenario: fn(&mut World)) {
    std::thread::scope(|scope| {
        for shell in SHELLS {
            scope.spawn(move || scenario(&mut World::new(shell)));
        }
    });
}

/// Runs a scenario with a TERM to a script under dash alone: bash 5.2 is wrong about traps.
///
/// It runs one in the middle of reading a `$(...)` too, and ends with "trap: unexpected EOF while looking for matching `)'": 6 loops
/// of 6 within 300 signals. And where one ends its wait(1) as the child ends, it forgets the child's status and calls it -1: 7 of 300.
/// Neither happened under dash.
fn dash(scenario: fn(&mut World)) {
    scenario(&mut World::new(SHELLS[0]));
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn shellcheck_finds_nothing() {
    let world = World::new(SHELLS[0]);
    let stand_ins = ["bhyve", "bhyvectl", "ps", "pgrep"];
    let mut check = std::process::Command::new("shellcheck");
    check.args(["-s", "sh"]);
    check.args([world.directory("supervise"), world.directory("record")]);
    check.args(
        stand_ins.map(|name| format!("{}/tests/stand-in/{name}", env!("CARGO_MANIFEST_DIR"))),
    );
    let output = check.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
