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
