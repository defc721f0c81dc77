//! The escalation, rung by rung.

use crate::{World, both, dash};
use bhyve_vm::{EventWord, Exited};

fn last_exit(world: &World) -> Exited {
    let events = world.events();
    let mut exits = events.into_iter().filter_map(|event| match event.what {
        EventWord::Exited(exited) => Some(exited),
        _ => None,
    });
    exits.next_back().unwrap()
}

fn rungs(world: &World) -> Vec<String> {
    let story = world.story();
    let rungs = story
        .iter()
        .filter_map(|line| Some(line.split_once("rung what=")?.1.to_owned()));
    rungs.collect()
}

/// Runs a guest of this kind, asks for a stop; the rungs that it took.
fn stopped(world: &mut World, guest: &str, request: &str) -> Vec<String> {
    world.plan(&[guest]);
    world.start();
    world.await_armed();
    world.request(request);
    assert_eq!(world.end(), Some(0), "{}", world.told());
    world.assert_clean();
    rungs(world)
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_guest_that_listens_needs_one_press() {
    both(|world| {
        assert_eq!(stopped(world, "guest", "stop"), ["acpi"]);
        assert_eq!(last_exit(world).cause, "guest-powered-off");
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_guest_in_its_firmware_is_ended_by_the_first() {
    both(|world| {
        assert_eq!(stopped(world, "firmware", "stop"), ["acpi"]);
        let exit = last_exit(world);
        assert_eq!(
            (exit.status, exit.cause.as_str()),
            (Some(143), "ended-while-booting")
        );
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_deaf_guest_is_pressed_twice_then_powered_off() {
    both(|world| {
        assert_eq!(
            stopped(world, "deaf", "stop"),
            ["acpi", "acpi-again", "force-poweroff"]
        );
        assert_eq!(world.read("pressed"), "pressed\npressed\n");
        assert_eq!(last_exit(world).cause, "ended-by-us");
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_stuck_bhyve_is_killed() {
    both(|world| {
        assert_eq!(
            stopped(world, "stuck", "stop"),
            ["acpi", "acpi-again", "force-poweroff", "kill"]
        );
        let exit = last_exit(world);
        assert_eq!(
            (exit.status, exit.cause.as_str()),
            (Some(137), "ended-by-us")
        );
        assert_eq!(
            world.read("bhyvectl.calls"),
            "--force-poweroff\n--destroy\n"
        );
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn kill_skips_the_button_also_while_a_stop_waits() {
    both(|world| {
        assert_eq!(stopped(world, "deaf", "kill"), ["force-poweroff"]);
        world.supervision.grace = std::time::Duration::from_secs(60);
        world.install();
        world.plan(&["deaf"; 2]);
        world.start();
        world.await_armed();
        world.request("stop");
        world.await_event("rung what=acpi-again", 1);
        world.request("kill");
        assert_eq!(world.end(), Some(0));
        assert_eq!(
            rungs(world),
            ["force-poweroff", "acpi", "acpi-again", "force-poweroff"]
        );
        world.assert_clean();
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_reboot_that_was_asked_for_costs_nothing_and_a_later_stop_wins() {
    both(|world| {
        world.supervision.restart.restarts = 0;
        world.install();
        world.plan(&["guest", "deaf", "guest"]);
        world.start();
        world.await_armed();
        world.request("reboot");
        world.await_event("restarting after=0 used=0", 1);
        world.await_armed();
        world.request("nonsense");
        world.await_event("refused", 1);
        world.request("reboot");
        world.await_event("rung what=acpi-again", 1);
        world.request("stop");
        assert_eq!(world.end(), Some(0), "{}", world.told());
        assert_eq!(world.story().last().unwrap(), "2 stopped cause=ended-by-us");
        world.assert_clean();
    });
}

/// Somebody destroys the VM with bhyvectl(8), past us.
#[test]
#[ignore = "needs sh, shellcheck"]
fn a_vm_destroyed_by_others_has_failed() {
    both(|world| {
        world.start();
        world.await_armed();
        let bin = world.path("bin/bhyvectl");
        let mut destroy = world.command(bin.to_str().unwrap());
        assert!(
            destroy
                .args(["--vm=etcd-0", "--destroy"])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(world.end(), Some(1));
        assert_eq!(last_exit(world).status, Some(4));
        let cause = last_exit(world)
            .cause(&world.read("vm/stderr"), "")
            .to_string();
        assert_eq!(
            cause,
            "bhyve could not run: bhyve: VM destroyed asynchronously"
        );
        world.assert_clean();
    });
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn a_node_that_stays_is_a_failure_also_after_a_clean_end() {
    both(|world| {
        std::fs::write(world.path("node-sticks"), "").unwrap();
        world.plan(&["exit 1"]);
        world.start();
        assert_eq!(world.end(), Some(1));
        let story = world.story();
        assert_eq!(
            story[story.len() - 2..],
            ["1 node-stuck", "1 failed cause=host-fault"]
        );
    });
}

/// daemon(8) passes TERM on; so does init(8) when the host goes down.
#[test]
#[ignore = "needs sh, shellcheck"]
fn a_term_to_the_supervisor_shuts_the_guest_down() {
    dash(|world| {
        let pid = world.start();
        world.await_armed();
        world.kill("-HUP", pid);
        world.kill("-TERM", pid);
        assert_eq!(world.end(), Some(0));
        assert_eq!(rungs(world), ["acpi"]);
        world.assert_clean();
    });
}
