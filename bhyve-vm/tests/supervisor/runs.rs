//! Each way in which a run ends, and what follows.

use crate::both;
use bhyve_vm::{EventWord, ExitCause, Reaction, Wanted, reaction};
use std::{
    fs,
    time::{Duration, Instant},
};

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_reboot_starts_it_again_at_once_and_a_power_off_ends_it() {
    both(|world| {
        world.plan(&["exit 0", "exit 0", "exit 1"]);
        let begun = Instant::now();
        world.start();
        assert_eq!(world.end(), Some(0), "{}", world.told());
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(
            world.story(),
            [
                "0 supervising",
                "1 starting",
                "1 started",
                "1 exited 0 guest-rebooted",
                "1 restarting after=0 used=0",
                "2 starting",
                "2 started",
                "2 exited 0 guest-rebooted",
                "2 restarting after=0 used=1",
                "3 starting",
                "3 started",
                "3 exited 1 guest-powered-off",
                "3 stopped cause=guest-powered-off",
            ]
        );
        // The node stays over a reboot, as bhyve takes it over, and goes once.
        assert_eq!(world.read("bhyvectl.calls"), "--destroy\n");
        world.assert_clean();
    });
}

/// The script decides as the crate does, for every status and kind of words.
#[test]
#[ignore = "needs sh, shellcheck"]
fn the_scripts_table_is_the_crates() {
    both(|world| {
        world.supervision.restart.restarts = 0;
        let words = [
            "",
            "; say bhyve: pci_vtblk: no such file",
            "; say Usage: bhyve [-A]",
            "; say bhyve: Warning: old",
        ];
        let mut lines = [0, 2, 3, 4, 64, 71, 100, 126, 127, 42]
            .map(|status| format!("exit {status}"))
            .to_vec();
        lines.extend(words.map(|words| format!("exit 1{words}")));
        lines.extend(
            [
                "early 1", "early 4", "early 64", "panic 0", "panic 1", "panic 3",
            ]
            .map(str::to_owned),
        );
        lines.extend(
            ["ABRT", "KILL", "TERM", "SEGV", "USR1"].map(|signal| format!("signal {signal}")),
        );
        world.supervision.console =
            Some(world.path("vm/unused").to_str().unwrap().parse().unwrap());
        world.install();
        // The guest writes where the recorder would.
        std::os::unix::fs::symlink(world.directory("console"), world.path("guest-console"))
            .unwrap();
        world.plan(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        for line in &lines {
            fs::write(world.directory("console"), "").unwrap();
            world.start();
            let ended = world.end();
            let events = world.events();
            let [.., exited, last] = events.as_slice() else {
                panic!("{}", world.told())
            };
            let EventWord::Exited(exited) = &exited.what else {
                panic!("{line}: {}", world.told())
            };
            let console = world.read("vm/console");
            let cause = exited.cause(&world.read("vm/stderr"), &console);
            // Both take the shortest run for a long one here.
            let cause = if exited.cause == "guest-powered-off" && exited.node && exited.ran_s < 3 {
                let longer = bhyve_vm::Exited {
                    ran_s: 3,
                    ..exited.clone()
                };
                longer.cause(&world.read("vm/stderr"), &console)
            } else {
                cause
            };
            assert_eq!(cause.word(), exited.cause, "{line}\n{exited}");
            let (status, word) = match reaction(&cause, &world.supervision.restart, 0, Wanted::Run)
            {
                Reaction::Stop => (0, EventWord::Stopped(exited.cause.clone())),
                Reaction::GiveUp => (1, EventWord::Failed(exited.cause.clone())),
                Reaction::StartAgain { .. } => panic!("no restart is left"),
            };
            assert_eq!((ended, &last.what), (Some(status), &word), "{line}");
            world.assert_clean();
            fs::remove_file(world.directory("events")).unwrap();
        }
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_storm_of_reboots_and_of_crashes_ends_with_the_budget() {
    both(|world| {
        world.plan(&["exit 0", "exit 3", "signal ABRT", "exit 0"]);
        world.start();
        assert_eq!(world.end(), Some(1));
        let story = world.story();
        let restarts: Vec<_> = story
            .iter()
            .filter(|line| line.contains("restarting"))
            .collect();
        assert_eq!(
            restarts,
            [
                "1 restarting after=0 used=0",
                "2 restarting after=0 used=1",
                "3 restarting after=0 used=2"
            ]
        );
        assert_eq!(story.last().unwrap(), "4 failed cause=guest-rebooted");
        world.assert_clean();
        // The budget is the VM's, not the process's: it is spent for the next supervisor, too.
        world.plan(&["exit 0"; 5]);
        world.start();
        assert_eq!(world.end(), Some(1));
        assert_eq!(
            world.story().last().unwrap(),
            "5 failed cause=guest-rebooted"
        );
        // Restarts of long ago do not count.
        fs::write(world.directory("restarts"), "1\n2\n3\n").unwrap();
        world.plan(&[
            "exit 0", "exit 0", "exit 0", "exit 0", "exit 0", "exit 0", "exit 1",
        ]);
        world.start();
        assert_eq!(world.end(), Some(0));
        assert_eq!(
            world.story().last().unwrap(),
            "7 stopped cause=guest-powered-off"
        );
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn crashes_are_followed_by_growing_pauses() {
    both(|world| {
        world.supervision.restart.pause_s = 1;
        world.install();
        world.plan(&["exit 3", "exit 3", "exit 1"]);
        world.start();
        world.await_event("restarting after=1 used=0", 1);
        let begun = Instant::now();
        world.await_event("restarting after=2 used=1", 1);
        assert!(
            begun.elapsed() >= Duration::from_millis(900),
            "{}",
            world.told()
        );
        // A stop is heard in the pause.
        world.request("stop");
        assert_eq!(world.end(), Some(0));
        assert_eq!(
            world.story().last().unwrap(),
            "2 stopped cause=triple-fault"
        );
        world.assert_clean();
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_wrong_call_or_a_missing_disk_fails_with_bhyves_words_kept() {
    both(|world| {
        fs::remove_file(world.path("disk")).unwrap();
        world.start();
        assert_eq!(world.end(), Some(1));
        assert_eq!(world.story().last().unwrap(), "1 failed cause=host-fault");
        let events = world.events();
        let EventWord::Exited(exited) = &events[events.len() - 2].what else {
            panic!()
        };
        let ExitCause::HostFault(evidence) = exited.cause(&world.read("vm/stderr"), "") else {
            panic!()
        };
        assert!(evidence.contains("No such file"), "{evidence}");
        world.install_for(&["-Z"]);
        world.start();
        assert_eq!(world.end(), Some(1));
        assert_eq!(
            world.story().last().unwrap(),
            "2 failed cause=bad-configuration"
        );
        assert!(world.read("vm/stderr.1").contains("No such file"));
        fs::remove_file(world.path("bin/bhyve")).unwrap();
        world.start();
        assert_eq!(world.end(), Some(1));
        assert_eq!(world.story().last().unwrap(), "3 failed cause=host-fault");
        world.assert_clean();
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn the_log_is_capped_and_bhyves_words_are() {
    both(|world| {
        world.supervision.restart.restarts = 30;
        world.supervision.limits.events_bytes = 2000;
        world.supervision.limits.stderr_bytes = 5000;
        world.install();
        world.plan(&["exit 0"; 12]);
        world.start();
        world.await_armed();
        for name in ["vm/events", "vm/events.1"] {
            let size = world.read(name).len();
            assert!(size > 0 && size < 2200, "{name} {size}");
        }
        let noise = "x".repeat(6000);
        let mut stderr = fs::File::options()
            .append(true)
            .open(world.directory("stderr"))
            .unwrap();
        std::io::Write::write_all(&mut stderr, noise.as_bytes()).unwrap();
        world.wait("cut", |world| world.read("vm/stderr").is_empty());
        assert_eq!(world.read("vm/stderr.cut").len(), 4096);
        fs::remove_file(world.directory("stderr.cut")).unwrap();
        world.request("stop");
        assert_eq!(world.end(), Some(0));
        world.assert_clean();
    });
}
