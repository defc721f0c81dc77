//! Whether the history of one register could be that of a register that does one thing at a time.
//!
//! The search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the memory of Lowe
//! ("Testing for Linearizability", 2017), which is also what porcupine does: take as next any operation
//! that was called before the first unused answer, go back where the register disagrees, and never visit the same
//! pair of "what is done" and "what the register holds" twice.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What a client asked of the register, and what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// It was told to hold this.
    Write(u64),
    /// It said that it holds this; `None` before the first write.
    Read(Option<u64>),
}

/// One operation of one client. Times are of one clock, in any unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who asked.
    pub client: u32,
    /// What.
    pub action: Action,
    /// When it was asked.
    pub called: u64,
    /// When the answer was there. `None`: there was none, so it may have happened at any time since, or never.
    pub answered: Option<u64>,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains all answers.
    Linearizable,
    /// There is none.
    Violated {
        /// The answers that no order explains, after the longest order that explains all before them.
        stuck_at: Vec<Operation>,
    },
    /// The search was given up.
    Undecided {
        /// How many states were visited.
        states: usize,
    },
}

/// Searches an order of `history`, visiting at most `limit` states. The register holds nothing at first.
///
/// The writes of a history have to differ in their values.
#[must_use]
pub fn check(history: &[Operation], limit: usize) -> Verdict {
    let operations = relevant(history);
    let mut search = Search::new(&operations);
    search.run(limit)
}

/// What can matter: a read without an answer says nothing, and a write without one that nobody ever read can
/// be left out of any order that has it.
fn relevant(history: &[Operation]) -> Vec<Operation> {
    let seen: HashSet<u64> = history
        .iter()
        .filter(|operation| operation.answered.is_some())
        .filter_map(|operation| match operation.action {
            Action::Read(value) => value,
            Action::Write(_) => None,
        })
        .collect();
    let matters = |operation: &&Operation| match (operation.answered, operation.action) {
        (Some(_), _) => true,
        (None, Action::Read(_)) => false,
        (None, Action::Write(value)) => seen.contains(&value),
    };
    let mut operations: Vec<_> = history.iter().filter(matters).copied().collect();
    operations.sort_by_key(|operation| operation.called);
    operations
}

/// The end of the list.
const END: usize = usize::MAX;

/// Calls and answers in the order of time, as a list out of which what is done can be lifted and put back.
struct Search<'h> {
    operations: &'h [Operation],
    /// Entry `2 * n + 1` is the call of operation `n`, entry `2 * n + 2` its answer, entry 0 the head.
    next: Vec<usize>,
    before: Vec<usize>,
    done: Vec<u64>,
    holds: Option<u64>,
    /// The calls taken, each with what the register held before.
    taken: Vec<(usize, Option<u64>)>,
    visited: HashSet<(Vec<u64>, Option<u64>)>,
    furthest: usize,
    stuck_at: Vec<Operation>,
}

impl<'h> Search<'h> {
    fn new(operations: &'h [Operation]) -> Self {
        let mut entries: Vec<(u64, bool, usize)> = Vec::new();
        for (n, operation) in operations.iter().enumerate() {
            // At the same instant the call comes first: then the two overlap, which forbids nothing.
            entries.push((operation.called, false, 2 * n + 1));
            let answered = operation.answered.unwrap_or(u64::MAX);
            entries.push((answered, true, 2 * n + 2));
        }
        entries.sort_unstable();
        let mut next = vec![END; 2 * operations.len() + 1];
        let mut before = vec![0; 2 * operations.len() + 1];
        let mut last = 0;
        for (_, _, entry) in entries {
            next[last] = entry;
            before[entry] = last;
            last = entry;
        }
        Self {
            operations,
            next,
            before,
            done: vec![0; operations.len().div_ceil(64)],
            holds: None,
            taken: Vec::new(),
            visited: HashSet::new(),
            furthest: 0,
            stuck_at: Vec::new(),
        }
    }

    fn run(&mut self, limit: usize) -> Verdict {
        let mut entry = self.next[0];
        while self.next[0] != END {
            let is_call = entry != END && entry % 2 == 1;
            if is_call {
                if self.take((entry - 1) / 2) {
                    entry = self.next[0];
                } else {
                    entry = self.next[entry];
                }
                if self.visited.len() > limit {
                    let states = self.visited.len();
                    return Verdict::Undecided { states };
                }
                continue;
            }
            // Nothing called before this answer can be next; or only what was never answered is left.
            if entry == END || self.operations[(entry - 2) / 2].answered.is_none() {
                return Verdict::Linearizable;
            }
            self.note_stuck((entry - 2) / 2);
            match self.give_back() {
                Some(call) => entry = self.next[call],
                None => {
                    return Verdict::Violated {
                        stuck_at: self.stuck_at.clone(),
                    };
                }
            }
        }
        Verdict::Linearizable
    }

    /// Takes operation `n` as the next one, if the register agrees and it leads to a state not visited yet.
    fn take(&mut self, n: usize) -> bool {
        let after = match self.operations[n].action {
            Action::Write(value) => Some(value),
            Action::Read(value) if value == self.holds => self.holds,
            Action::Read(_) => return false,
        };
        self.done[n / 64] |= 1 << (n % 64);
        if !self.visited.insert((self.done.clone(), after)) {
            self.done[n / 64] &= !(1 << (n % 64));
            return false;
        }
        self.taken.push((n, self.holds));
        self.holds = after;
        self.lift(2 * n + 1);
        self.lift(2 * n + 2);
        true
    }

    /// Undoes the last operation taken; says where its call is.
    fn give_back(&mut self) -> Option<usize> {
        let (n, held) = self.taken.pop()?;
        self.holds = held;
        self.done[n / 64] &= !(1 << (n % 64));
        // In the reverse order of their lifting, so that each finds its neighbours where it left them.
        self.put_back(2 * n + 2);
        self.put_back(2 * n + 1);
        Some(2 * n + 1)
    }

    fn lift(&mut self, entry: usize) {
        let (before, next) = (self.before[entry], self.next[entry]);
        self.next[before] = next;
        if next != END {
            self.before[next] = before;
        }
    }

    fn put_back(&mut self, entry: usize) {
        let (before, next) = (self.before[entry], self.next[entry]);
        self.next[before] = entry;
        if next != END {
            self.before[next] = entry;
        }
    }

    fn note_stuck(&mut self, n: usize) {
        if self.taken.len() > self.furthest || self.stuck_at.is_empty() {
            self.furthest = self.taken.len();
            self.stuck_at.clear();
        }
        let operation = self.operations[n];
        if self.taken.len() == self.furthest && !self.stuck_at.contains(&operation) {
            self.stuck_at.push(operation);
        }
    }
}
