//! The checker of histories, on known ones and against a search of all orders.

use etcd_faults::linear::{Action, Operation, Verdict, check};
use proptest::prelude::*;

const LIMIT: usize = 1_000_000;

fn write(client: u32, value: u64, called: u64, answered: Option<u64>) -> Operation {
    let action = Action::Write(value);
    Operation {
        client,
        action,
        called,
        answered,
    }
}

fn read(client: u32, value: Option<u64>, called: u64, answered: u64) -> Operation {
    Operation {
        client,
        action: Action::Read(value),
        called,
        answered: Some(answered),
    }
}

fn is_good(history: &[Operation]) -> bool {
    match check(history, LIMIT) {
        Verdict::Linearizable => true,
        Verdict::Violated { stuck_at } => {
            assert!(!stuck_at.is_empty(), "a violation has a place");
            false
        }
        Verdict::Undecided { states } => panic!("given up after {states}"),
    }
}

#[test]
fn good_histories() {
    let cases: [(&str, Vec<Operation>); 6] = [
        ("empty", vec![]),
        ("nothing written", vec![read(0, None, 0, 1)]),
        (
            "one after the other",
            vec![write(0, 1, 0, Some(1)), read(1, Some(1), 2, 3)],
        ),
        (
            "two at once, read either way",
            vec![
                write(0, 1, 0, Some(10)),
                write(1, 2, 0, Some(10)),
                read(2, Some(2), 1, 2),
                read(2, Some(1), 3, 4),
            ],
        ),
        (
            "a write without an answer that happens late",
            vec![
                write(0, 1, 0, None),
                write(1, 2, 5, Some(6)),
                read(1, Some(2), 7, 8),
                read(1, Some(1), 20, 21),
            ],
        ),
        (
            "a write without an answer that never happens",
            vec![write(0, 1, 0, None), read(1, None, 5, 6)],
        ),
    ];
    for (name, history) in cases {
        assert!(is_good(&history), "{name}");
    }
}

#[test]
fn bad_histories() {
    let cases: [(&str, Vec<Operation>); 5] = [
        (
            "a lost write",
            vec![write(0, 1, 0, Some(1)), read(1, None, 2, 3)],
        ),
        (
            "a stale read",
            vec![
                write(0, 1, 0, Some(1)),
                write(0, 2, 2, Some(3)),
                read(1, Some(1), 4, 5),
            ],
        ),
        ("a value from nowhere", vec![read(0, Some(7), 0, 1)]),
        (
            "read, then gone again",
            vec![
                write(0, 1, 0, None),
                read(1, Some(1), 5, 6),
                read(1, None, 7, 8),
            ],
        ),
        (
            "two readers that disagree on the order",
            vec![
                write(0, 1, 0, Some(10)),
                write(1, 2, 0, Some(10)),
                read(2, Some(1), 11, 12),
                read(3, Some(2), 13, 14),
            ],
        ),
    ];
    for (name, history) in cases {
        assert!(!is_good(&history), "{name}");
    }
}

#[test]
fn a_search_that_grows_too_far_is_given_up_and_says_so() {
    let many = (0..20).map(|n| write(n, u64::from(n), 0, Some(100)));
    let history: Vec<_> = many.chain([read(99, None, 200, 201)]).collect();
    assert!(matches!(
        check(&history, 100),
        Verdict::Undecided { states: 101.. }
    ));
}

/// Whether any order of any part of what has no answer explains `history`.
fn any_order(history: &[Operation]) -> bool {
    fn go(left: &[Operation], holds: Option<u64>) -> bool {
        if left.iter().all(|operation| operation.answered.is_none()) {
            return true;
        }
        let first_answer = left.iter().filter_map(|o| o.answered).min();
        (0..left.len()).any(|n| {
            let next = left[n];
            let allowed = first_answer.is_none_or(|answer| next.called <= answer);
            let after = match next.action {
                Action::Write(value) => Some(value),
                // A read without an answer can have said anything.
                Action::Read(value) if next.answered.is_none() || value == holds => holds,
                Action::Read(_) => return false,
            };
            let mut rest = left.to_vec();
            rest.remove(n);
            allowed && go(&rest, after)
        })
    }
    go(history, None)
}

fn histories() -> impl Strategy<Value = Vec<Operation>> {
    let one = (0..4_u64, 0..12_u64, 0..6_u64, any::<bool>(), 0..5_u32);
    proptest::collection::vec(one, 0..7).prop_map(|parts| {
        let make = |(n, (value, called, takes, is_write, luck)): (usize, _)| {
            let value: u64 = value;
            let action = match (is_write, value) {
                // Values differ, as the checker asks for; reads name one of the first writes or nothing.
                (true, _) => Action::Write(n as u64),
                (false, 3) => Action::Read(None),
                (false, value) => Action::Read(Some(value)),
            };
            let answered = (luck > 0).then_some(called + takes);
            Operation {
                client: 0,
                action,
                called,
                answered,
            }
        };
        parts.into_iter().enumerate().map(make).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_checker_agrees_with_a_search_of_all_orders(history in histories()) {
        prop_assert_eq!(is_good(&history), any_order(&history), "{:?}", history);
    }
}
