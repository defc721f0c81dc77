//! The rows of the fault table on real etcd processes, three seeds each. `LAB_BIN_DIR` says where the programs are.
//!
//! Needs root and network namespaces. The long run is `etcd-faults run --long --seeds 100`.

use etcd_faults::{
    rows::{ROWS, find},
    run::{Outcome, Runner},
};
use std::{collections::BTreeSet, path::PathBuf, thread};

const SEEDS: [u64; 3] = [1, 2, 3];

#[expect(
    clippy::disallowed_methods,
    reason = "a test asks where the real programs are"
)]
fn runner() -> Runner {
    let programs = std::env::var_os("LAB_BIN_DIR").expect("LAB_BIN_DIR says where etcd is");
    Runner {
        program: PathBuf::from(env!("CARGO_BIN_EXE_etcd-faults")),
        programs: PathBuf::from(programs),
        parent: PathBuf::from("/var/tmp"),
        long: false,
        keep: false,
    }
}

fn row(name: &str) {
    let (runner, row) = (runner(), find(name).unwrap());
    let run = |seed| runner.run(row, seed);
    let outcomes: Vec<Outcome> = if row.waits {
        thread::scope(|scope| {
            let runs = SEEDS.map(|seed| scope.spawn(move || run(seed)));
            runs.map(|run| run.join().unwrap()).into()
        })
    } else {
        SEEDS.map(run).into()
    };
    for outcome in &outcomes {
        let (seed, took) = (outcome.seed, outcome.took);
        println!("{name} seed {seed}: {took:.1?} {:.0?}", outcome.figures);
    }
    let failures = outcomes.iter().filter_map(|outcome| {
        let why = outcome.failure.as_ref()?;
        Some(format!("{name} seed {}: {why}\n", outcome.seed))
    });
    let failures: String = failures.collect();
    assert!(failures.is_empty(), "{failures}");
}

macro_rules! tests {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            #[ignore = "needs etcd, root"]
            fn $test() {
                crate::rows::row($name);
            }
        )*

        pub(in crate::rows) const NAMES: &[&str] = &[$($name),*];
    };
}

/// Rows that mind how long writes fail or members take, or that a client is answered in time, and bear little beside them:
/// `./lab test` runs nothing else meanwhile.
mod alone {
    tests! {
        ca_rotation: "ca-rotation",
        downgrade: "downgrade",
        kill_leader: "kill-leader",
        kill_member_while_forming: "kill-member-while-forming",
        latency_and_loss: "latency-and-loss",
        partition: "partition",
        pause: "pause",
        rolling_restart: "rolling-restart",
        stale_reads_are_found: "stale-reads-are-found",
        stop_leader: "stop-leader",
    }
}

/// Rows that mostly wait: `./lab test` runs them beside labs.
mod waiting {
    /// Those that take more than half a minute. Tests begin in the order of their names, so these are not left alone at
    /// the end.
    mod long {
        tests! {
            grow_and_shrink: "grow-and-shrink",
            kill_tool: "kill-tool",
            upgrade: "upgrade",
            upgrade_with_a_bad_binary: "upgrade-with-a-bad-binary",
        }
    }

    mod short {
        tests! {
            two_late: "two-late",
            disk_full: "disk-full",
            lost_data: "lost-data",
            foreign_member: "foreign-member",
            clock_skew: "clock-skew",
            bad_peer_certificate: "bad-peer-certificate",
            no_space: "no-space",
            snapshot: "snapshot",
            restore: "restore",
            two_of_three_lost: "two-of-three-lost",
        }
    }

    pub(super) const NAMES: [&[&str]; 2] = [long::NAMES, short::NAMES];
}

#[test]
fn every_row_has_its_test() {
    let tested = waiting::NAMES.into_iter().chain([alone::NAMES]);
    let tested: BTreeSet<&str> = tested.flatten().copied().collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(rows, tested);
}
