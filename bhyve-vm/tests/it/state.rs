//! The table of states.

use bhyve_vm::{Request, VmState};

/// The states that can be reached from `from`, itself among them, without losing sight of the host.
fn reachable(from: VmState) -> Vec<VmState> {
    let mut found = vec![from];
    let mut i = 0;
    while i < found.len() {
        for next in found[i].next() {
            if !found.contains(next) && *next != VmState::Unknown {
                found.push(*next);
            }
        }
        i += 1;
    }
    found
}

#[test]
fn every_state_is_reached_and_left() {
    assert_eq!(reachable(VmState::Absent).len(), VmState::ALL.len() - 1);
    for state in VmState::ALL {
        if state != VmState::Unknown {
            assert!(
                reachable(state).contains(&VmState::Absent),
                "{state} never ends"
            );
            assert!(state.next().contains(&VmState::Unknown), "{state}");
            assert!(
                state.requests().contains(&Request::Destroy),
                "{state} cannot be destroyed"
            );
        }
        assert!(
            state == VmState::Unknown || !state.next().contains(&state),
            "{state} follows itself"
        );
    }
}

#[test]
fn a_crash_never_passes_for_a_clean_end_and_deletion_never_starts_a_running_vm() {
    assert!(!VmState::Running.next().contains(&VmState::Deleting));
    assert!(!VmState::Starting.next().contains(&VmState::Deleting));
    assert!(!VmState::Deleting.next().contains(&VmState::Running));
    assert!(!VmState::Absent.next().contains(&VmState::Running));
}

#[test]
fn refusals_list_what_is_possible() {
    VmState::Running.allow(Request::Reboot).unwrap();
    let error = VmState::Running.allow(Request::Start).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot start a VM that is running; possible now: stop, reboot, destroy"
    );
    let error = VmState::Unknown.allow(Request::Destroy).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot destroy a VM that is unknown; possible now: nothing, until the host answers"
    );
}
