//! Causes of an end, row by row.

use bhyve_vm::{Asked, Ending, ExitCause, Reaction, RestartPolicy, START_UP, exit_cause, reaction};
use host_exec::Status;
use std::time::Duration;

/// An end after an hour in which nothing was asked and nothing said.
fn ending(status: Status) -> Ending<'static> {
    Ending {
        status,
        ran_for: Duration::from_secs(3600),
        node_existed: true,
        asked: None,
        stderr: "",
    }
}

fn cause(status: i32, asked: Option<Asked>) -> ExitCause {
    exit_cause(&Ending {
        asked,
        ..ending(Status::Exited(status))
    })
}

#[test]
fn each_status_has_its_cause() {
    let none = String::new;
    for (status, expected) in [
        (0, ExitCause::GuestReboot),
        (1, ExitCause::GuestPowerOff),
        (2, ExitCause::GuestHalt),
        (3, ExitCause::TripleFault),
        (4, ExitCause::HostFault(none())),
        (64, ExitCause::BadConfiguration(none())),
        (71, ExitCause::HostFault(none())),
        (100, ExitCause::Unexpected(Status::Exited(100))),
        (134, ExitCause::Aborted(none())),
        (137, ExitCause::Killed),
        (143, ExitCause::EndedWhileBooting),
        (42, ExitCause::Unexpected(Status::Exited(42))),
    ] {
        assert_eq!(cause(status, None), expected, "{status}");
    }
    for signal in [6, 9, 15, 11] {
        let told_by_shell = ending(Status::Exited(128 + signal));
        assert_eq!(
            exit_cause(&ending(Status::Signalled(signal))),
            exit_cause(&told_by_shell)
        );
    }
}

#[test]
fn what_we_asked_for_is_no_fault() {
    for (status, asked) in [
        (1, Asked::ForcePowerOff),
        (4, Asked::Destroy),
        (137, Asked::Kill),
    ] {
        assert_eq!(cause(status, Some(asked)), ExitCause::EndedByUs(asked));
    }
    assert_eq!(cause(1, Some(Asked::PowerButton)), ExitCause::GuestPowerOff);
    assert_eq!(
        cause(143, Some(Asked::PowerButton)),
        ExitCause::EndedWhileBooting
    );
    assert_eq!(cause(137, Some(Asked::PowerButton)), ExitCause::Killed);
}

/// Status 1 is a power-off only with every sign of one.
#[test]
fn status_1_is_not_believed_without_evidence() {
    let off = ending(Status::Exited(1));
    let short = Ending {
        ran_for: START_UP - Duration::from_millis(1),
        ..off.clone()
    };
    let nodeless = Ending {
        node_existed: false,
        ..off.clone()
    };
    let complaint = Ending {
        stderr: "noise\nbhyve: vmm_open: No such file\nlast\n",
        ..off.clone()
    };
    for doubtful in [short, nodeless, complaint.clone()] {
        assert!(
            matches!(exit_cause(&doubtful), ExitCause::HostFault(_)),
            "{doubtful:?}"
        );
    }
    let told = exit_cause(&complaint).to_string();
    assert_eq!(told, "bhyve could not run: bhyve: vmm_open: No such file");
    let usage = Ending {
        stderr: "bhyve: unknown option -- Z\nUsage: bhyve [-AaC]",
        ..off
    };
    assert!(matches!(exit_cause(&usage), ExitCause::BadConfiguration(_)));
    let forced = Ending {
        asked: Some(Asked::ForcePowerOff),
        ..usage
    };
    assert!(matches!(
        exit_cause(&forced),
        ExitCause::BadConfiguration(_)
    ));
}

#[test]
fn restarts_have_a_budget_and_faults_have_none() {
    let policy = RestartPolicy {
        restarts: 3,
        within_s: 600,
        pause_s: 2,
    };
    let react = |status, restarts| reaction(&cause(status, None), &policy, restarts);
    for restarts in 0..3 {
        assert_eq!(react(0, restarts), Reaction::StartAgain { after_s: 0 });
        assert_eq!(
            react(3, restarts),
            Reaction::StartAgain {
                after_s: 2 << restarts
            }
        );
    }
    for storm in [0, 3, 134, 137] {
        assert_eq!(react(storm, 3), Reaction::GiveUp, "{storm}");
    }
    for end in [1, 2, 143] {
        assert_eq!(react(end, 0), Reaction::Stop, "{end}");
    }
    for fault in [4, 64, 71, 100, 42] {
        assert_eq!(react(fault, 0), Reaction::GiveUp, "{fault}");
    }
    let endless = RestartPolicy {
        restarts: u32::MAX,
        ..policy
    };
    let after_many = reaction(&ExitCause::TripleFault, &endless, 1_000_000);
    assert_eq!(after_many, Reaction::StartAgain { after_s: 2 << 16 });
}
