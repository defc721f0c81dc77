//! The table of states.

use bhyve_vm::{Request, StateEvent, VmState};

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

/// Every state with every event and request, as a table for people.
#[test]
fn table() {
    let mut table = String::from("# state, event -> state; all others cannot happen\n");
    for state in VmState::ALL {
        for event in StateEvent::ALL {
            match state.after(event) {
                Ok(to) => {
                    assert!(state.next().contains(&to), "{state} {event}");
                    table += &format!("{:<12} {:<15} {to}\n", state.to_string(), event.to_string());
                }
                Err(error) => assert_eq!((error.state, error.event), (state, event)),
            }
        }
    }
    table += "# state, request; all others are refused\n";
    for state in VmState::ALL {
        for request in state.requests() {
            table += &format!("{:<12} {request}\n", state.to_string());
        }
    }
    assert_eq!(table, include_str!("../data/states.table"), "{table}");
}

/// What [`VmState::next`] lists is what events lead to, and nothing else.
#[test]
fn events_and_next_are_one_table() {
    for state in VmState::ALL {
        let mut reached: Vec<VmState> = StateEvent::ALL
            .iter()
            .filter_map(|event| state.after(*event).ok())
            .collect();
        let mut listed = state.next().to_vec();
        reached.sort();
        reached.dedup();
        listed.sort();
        if state != VmState::Unknown {
            assert_eq!(reached, listed, "{state}");
        }
    }
    let error = VmState::Absent.after(StateEvent::Ended).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ended cannot happen to a VM that is absent; ask the host again"
    );
}
