//! Causes of an end, row by row.

use bhyve_vm::{
    Asked, Ending, ExitCause, Reaction, RestartPolicy, START_UP, Wanted, exit_cause, reaction,
};
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
        console: "",
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
    // Crashes of bhyve itself, whatever the signal; 1 is none.
    for signal in [4, 6, 8, 10, 11, 12] {
        assert_eq!(
            cause(128 + signal, None),
            ExitCause::Aborted(none()),
            "{signal}"
        );
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
    let react = |status, restarts| reaction(&cause(status, None), &policy, restarts, Wanted::Run);
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
    let after_many = reaction(&ExitCause::TripleFault, &endless, 1_000_000, Wanted::Run);
    assert_eq!(after_many, Reaction::StartAgain { after_s: 2 << 16 });
}

/// The whole table: status, seconds, node, what we asked, standard error, console; then cause and reaction.
#[test]
fn table() {
    let text = include_str!("../data/exits.table");
    let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() >= 30);
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [
            status,
            ran,
            node,
            asked,
            stderr,
            console,
            wanted,
            told,
            reacts,
        ] = cells[..]
        else {
            panic!("{row}");
        };
        let cause = exit_cause(&Ending {
            status: Status::Exited(status.parse().unwrap()),
            ran_for: Duration::from_secs(ran.parse().unwrap()),
            node_existed: node == "node",
            asked: match asked {
                "" => None,
                "press" => Some(Asked::PowerButton),
                "force" => Some(Asked::ForcePowerOff),
                "kill" => Some(Asked::Kill),
                "destroy" => Some(Asked::Destroy),
                _ => panic!("{row}"),
            },
            stderr,
            console,
        });
        let wanted = match wanted {
            "run" => Wanted::Run,
            "stop" => Wanted::Stop,
            "again" => Wanted::Again,
            _ => panic!("{row}"),
        };
        let reaction = match reaction(&cause, &RestartPolicy::default(), 1, wanted) {
            Reaction::Stop => "stop".to_owned(),
            Reaction::GiveUp => "give up".to_owned(),
            Reaction::StartAgain { after_s } => format!("again after {after_s}"),
        };
        assert_eq!(
            (cause.to_string().as_str(), reaction.as_str()),
            (told, reacts),
            "{row}"
        );
        assert!(ExitCause::WORDS.contains(&cause.word()));
    }
}
