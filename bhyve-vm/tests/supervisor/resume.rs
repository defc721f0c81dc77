//! A supervisor is killed, and the next one goes on.

use crate::{World, both, dash};
use std::{fs, process::Command};

/// Ends the supervisor as nothing else does.
fn kill(world: &mut World, pid: u32) {
    world.kill("-KILL", pid);
    assert_eq!(world.end(), None);
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_second_supervisor_refuses() {
    both(|world| {
        world.start();
        world.await_event("started", 1);
        let before = world.story();
        world.start();
        assert_eq!(world.end(), Some(75));
        assert!(
            world.read("log").contains("supervises etcd-0 already"),
            "{}",
            world.told()
        );
        assert_eq!(world.story(), before);
        world.request("stop");
        world.await_event("stopped cause=guest-powered-off", 1);
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_running_vm_is_adopted_and_its_end_judged() {
    both(|world| {
        let pid = world.start();
        world.await_armed();
        let bhyve = world.bhyve();
        kill(world, pid);
        world.start();
        world.await_event("adopted", 1);
        assert_eq!(world.bhyve(), bhyve);
        world.kill("-TERM", bhyve);
        assert_eq!(world.end(), Some(0));
        assert_eq!(
            world.story_since("1 supervising"),
            [
                "1 supervising",
                "1 adopted",
                "1 exited 1 guest-powered-off",
                "1 stopped cause=guest-powered-off"
            ]
        );
        world.assert_clean();
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_run_that_ended_meanwhile_is_judged_by_its_status() {
    both(|world| {
        world.plan(&["guest", "guest"]);
        let pid = world.start();
        world.await_armed();
        kill(world, pid);
        world.kill("-ABRT", world.bhyve());
        world.wait("status", |world| world.directory("status").exists());
        world.start();
        world.await_armed();
        world.request("stop");
        assert_eq!(world.end(), Some(0), "{}", world.told());
        let story = world.story_since("1 supervising");
        assert_eq!(
            story[..3],
            [
                "1 supervising",
                "1 exited 134 aborted",
                "1 restarting after=0 used=0"
            ]
        );
        world.assert_clean();
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_stop_is_gone_on_with() {
    both(|world| {
        world.plan(&["deaf"]);
        let pid = world.start();
        world.await_armed();
        world.request("stop");
        world.await_event("rung what=acpi", 1);
        kill(world, pid);
        world.start();
        assert_eq!(world.end(), Some(0));
        let story = world.story();
        assert_eq!(
            story
                .iter()
                .filter(|line| line.contains("requested what=stop"))
                .count(),
            2
        );
        assert_eq!(story.last().unwrap(), "1 stopped cause=ended-by-us");
        world.assert_clean();
    });
}

/// Without the process that waits for bhyve its status is lost: that is said, not guessed.
#[test]
#[ignore = "needs sh, shellcheck"]
fn a_lost_status_is_a_failure_unless_it_was_to_stop() {
    both(|world| {
        world.plan(&["guest"; 2]);
        for asked in [false, true] {
            world.start();
            world.await_armed();
            world.kill("-KILL", world.read("vm/runner.pid").trim().parse().unwrap());
            if asked {
                world.request("stop");
            } else {
                world.kill("-KILL", world.bhyve());
            }
            assert_eq!(world.end(), Some(i32::from(!asked)), "{}", world.told());
            world.assert_clean();
        }
        let story = world.story();
        assert!(
            story.contains(&"1 failed cause=status-lost".to_owned()),
            "{story:?}"
        );
        assert_eq!(story.last().unwrap(), "2 stopped cause=status-lost");
    });
}

/// init(8) ends everybody at once when the host goes down: the guest shuts down and its status is kept.
#[test]
#[ignore = "needs sh, shellcheck"]
fn a_term_to_all_loses_no_status() {
    dash(|world| {
        let supervisor = world.start();
        world.await_armed();
        let runner = world.read("vm/runner.pid");
        let all = [
            runner.trim(),
            &world.bhyve().to_string(),
            &supervisor.to_string(),
        ]
        .map(str::to_owned);
        assert!(
            world
                .command("/bin/kill")
                .arg("-TERM")
                .args(all)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(world.end(), Some(0), "{}", world.told());
        let story = world.story();
        assert!(
            story.contains(&"1 exited 1 guest-powered-off".to_owned()),
            "{story:?}"
        );
        world.assert_clean();
    });
}

/// The host fell: pid files and lock of a former life, a node with nobody in it.
#[test]
#[ignore = "needs sh, shellcheck"]
fn what_a_fallen_host_left_is_cleaned_before_the_start() {
    both(|world| {
        fs::write(world.node(), "").unwrap();
        for (name, text) in [
            ("bhyve.pid", "999999999\n"),
            ("runner.pid", "999999999\n"),
            ("boot", "6\n"),
            ("started", "1\n"),
            ("request.taken", "stop\n"),
            ("again", ""),
            ("events", "1764180000 6 start"),
        ] {
            fs::write(world.directory(name), text).unwrap();
        }
        std::os::unix::fs::symlink("999999999", world.directory("lock")).unwrap();
        world.plan(&["exit 1"]);
        world.start();
        assert_eq!(world.end(), Some(0));
        let text = world.read("vm/events");
        assert_eq!(bhyve_vm::parse_events(&text).unwrap().torn, 1);
        let rest = text.split_once('\n').unwrap().1.to_owned();
        fs::write(world.directory("events"), rest).unwrap();
        assert_eq!(
            world.story(),
            [
                "6 supervising",
                "6 lost",
                "6 leaked-node",
                "7 starting",
                "7 started",
                "7 exited 1 guest-powered-off",
                "7 stopped cause=guest-powered-off"
            ]
        );
        assert_eq!(world.read("bhyvectl.calls"), "--destroy\n--destroy\n");
        world.assert_clean();
    });
}

/// A bhyve that nobody supervises, started by hand: taken over, never doubled.
#[test]
#[ignore = "needs sh, shellcheck"]
fn a_bhyve_of_somebody_is_taken_over() {
    both(|world| {
        let bin = world.path("bin/bhyve");
        let mut child = world
            .command(bin.to_str().unwrap())
            .args(["-l", "bootrom,/rom", "etcd-0"])
            .spawn()
            .unwrap();
        world.await_armed();
        world.start();
        world.await_event("adopted", 1);
        world.request("stop");
        // Its parent is this test, so its status is not the supervisor's to know.
        child.wait().unwrap();
        assert_eq!(world.end(), Some(0), "{}", world.told());
        assert_eq!(world.story().last().unwrap(), "0 stopped cause=status-lost");
        world.assert_clean();
    });
}

/// Killed at any moment of two runs with a reboot between: the next one brings the VM up, and never two of them.
#[test]
#[ignore = "needs sh, shellcheck"]
fn killed_at_any_moment_the_next_one_goes_on() {
    both(|world| {
        world.supervision.restart.restarts = 1000;
        world.install();
        for round in 0..8 {
            fs::write(world.path("runs"), "0").unwrap();
            world.plan(&["exit 0 0.05", "exit 0 0.05", "guest", "guest"]);
            let pid = world.start();
            // Not for a condition: the moments are spread over the first third of a second.
            let _ = Command::new("sleep")
                .arg(format!("0.{:03}", 5 + round * 43))
                .status();
            kill(world, pid);
            world.start();
            world.await_armed();
            world.request("stop");
            assert_eq!(world.end(), Some(0), "round {round} {}", world.told());
            world.assert_clean();
            let _ = fs::remove_file(world.path("armed"));
        }
    });
}

/// The command that starts it, as it is: with daemon(8)'s lock, and output that lives as long as daemon does.
#[test]
#[ignore = "needs sh, shellcheck"]
fn daemon_starts_it_once_and_its_death_ends_no_vm() {
    both(|world| {
        let command = world.supervision.start();
        let program = world.path("bin").join(command.program());
        let run = |world: &World| {
            let mut daemon = world.command(program.to_str().unwrap());
            daemon.args(command.arguments()).output().unwrap()
        };
        assert!(run(world).status.success());
        world.await_armed();
        let second = run(world);
        assert_eq!(second.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&second.stderr).contains("already running"));
        let daemon = world.read("proc/lab-etcd-0.pid").parse().unwrap();
        world.kill("-KILL", daemon);
        // Its lock is gone, so the third gets through to the script, which refuses.
        world.wait("refusal", |world| {
            run(world);
            world
                .read("vm/supervise.log")
                .contains("supervises etcd-0 already")
        });
        world.request("stop");
        world.await_event("stopped cause=guest-powered-off", 1);
    });
}
