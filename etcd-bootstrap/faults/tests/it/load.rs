//! What is counted in a history.

use etcd_faults::{
    linear::{Action, Operation},
    load::History,
};
use std::time::Duration;

fn write(client: u32, value: u64, called: u64, answered: Option<u64>) -> Operation {
    let action = Action::Write(value);
    Operation {
        client,
        action,
        called,
        answered,
    }
}

fn history() -> History {
    let read = Operation {
        action: Action::Read(None),
        ..write(0, 0, 40, Some(45))
    };
    History {
        operations: vec![
            write(0, 1, 0, Some(10)),
            write(3, 2, 15, None),
            write(1, 3, 20, Some(30)),
            read,
            write(0, 4, 80, Some(90)),
        ],
    }
}

#[test]
fn the_longest_gap_counts_acknowledged_writes_and_both_ends() {
    let gap = |from, to| history().longest_gap(from, to);
    assert_eq!(
        gap(0, 100),
        Duration::from_nanos(60),
        "30 to 90, whatever was read"
    );
    assert_eq!(gap(0, 40), Duration::from_nanos(20), "10 to 30");
    assert_eq!(gap(91, 191), Duration::from_nanos(100), "nothing at all");
}

#[test]
fn writes_are_told_by_client_and_answer() {
    let history = history();
    assert_eq!(history.written(), [1, 3, 4].into());
    assert_eq!(history.failed_writes(3), 1, "client 3 roams among three");
    assert_eq!(history.failed_writes(4), 0);
    assert_eq!(history.written_by(0, 0, 100), 2);
    assert_eq!(history.written_by(0, 1, 100), 1, "called before");
    assert_eq!(history.written_by(0, 0, 90), 1, "answered after");
}
