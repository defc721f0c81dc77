//! Concurrent clients that write and read one register, and what they were told.

use crate::{
    client::{Client, was_refused},
    dice::Dice,
    linear::{Action, Operation},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

/// Between two calls of a client. Enough to see gaps of some ten milliseconds with six clients, and to leave a small
/// machine to the members.
const PACE: Duration = Duration::from_millis(25);

/// Clients that run until they are stopped.
#[derive(Debug)]
pub struct Load {
    started: Instant,
    stop: Arc<AtomicBool>,
    members: Members,
    clients: Vec<JoinHandle<Vec<Operation>>>,
}

/// What the clients were told. Times are nanoseconds since the load began.
#[derive(Debug)]
pub struct History {
    /// All operations, of all clients.
    pub operations: Vec<Operation>,
}

/// The members, which all clients look up anew for each call.
type Members = Arc<RwLock<Vec<Client>>>;

/// Where the values of writes come from: no two are the same.
#[derive(Debug, Clone, Default)]
pub struct Values(Arc<AtomicU64>);

impl Load {
    /// One client for each of `members` that never speaks with another one, and as many that go on to the next
    /// member when one fails. The first ones have the numbers 0, 1 and so on, in the order of `members`.
    #[must_use]
    pub fn start(members: Vec<Client>, values: &Values, dice: &mut Dice) -> Self {
        let started = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let count = members.len();
        let members: Members = Arc::new(RwLock::new(members));
        let mut clients = Vec::new();
        for number in 0..2 * count {
            let one = OneClient {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                at: number % count,
                roams: number >= count,
                members: Arc::clone(&members),
                values: values.clone(),
                dice: Dice::new(dice.below(u64::MAX)),
                started,
                stop: Arc::clone(&stop),
            };
            clients.push(tokio::spawn(one.run()));
        }
        Self {
            started,
            stop,
            members,
            clients,
        }
    }

    /// Has all further calls made by `members`, which are the same ones with other certificates.
    pub fn renew(&self, members: Vec<Client>) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// The time of this moment, as in the history.
    #[must_use]
    pub fn now(&self) -> u64 {
        since(self.started)
    }

    /// Lets each client end its present call, and gives what all were told.
    ///
    /// # Errors
    ///
    /// A client panicked.
    pub async fn stop(self) -> anyhow::Result<History> {
        self.stop.store(true, Ordering::SeqCst);
        let mut operations = Vec::new();
        for client in self.clients {
            operations.extend(client.await?);
        }
        operations.sort_by_key(|operation: &Operation| operation.called);
        Ok(History { operations })
    }
}

struct OneClient {
    number: u32,
    /// The member that it speaks with.
    at: usize,
    /// Whether it goes on to the next one when that fails.
    roams: bool,
    members: Members,
    values: Values,
    dice: Dice,
    started: Instant,
    stop: Arc<AtomicBool>,
}

impl OneClient {
    async fn run(mut self) -> Vec<Operation> {
        let mut told = Vec::new();
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stop.load(Ordering::SeqCst) {
            pace.tick().await;
            told.extend(self.one().await);
        }
        told
    }

    /// One operation; `None` if no member took the connection, so that it cannot have happened.
    async fn one(&mut self) -> Option<Operation> {
        let called = since(self.started);
        let asked = match self.dice.below(2) {
            0 => Action::Write(self.values.0.fetch_add(1, Ordering::SeqCst)),
            _ => Action::Read(None),
        };
        let members = present(&self.members);
        for _ in 0..if self.roams { members.len() } else { 1 } {
            let member = &members[self.at % members.len()];
            let told = match asked {
                Action::Write(value) => member.write(value).await.map(|()| asked),
                Action::Read(_) => member.read().await.map(Action::Read),
            };
            let operation = |action, answered| Operation {
                client: self.number,
                action,
                called,
                answered,
            };
            match told {
                Ok(action) => return Some(operation(action, Some(since(self.started)))),
                Err(error) => {
                    self.at += usize::from(self.roams);
                    if !was_refused(&error) {
                        return Some(operation(asked, None));
                    }
                }
            }
        }
        None
    }
}

fn present(members: &Members) -> Vec<Client> {
    let members = members.read().unwrap_or_else(PoisonError::into_inner);
    members.clone()
}

impl History {
    fn acknowledged(&self) -> impl Iterator<Item = (u64, &Operation)> {
        self.operations
            .iter()
            .filter(|operation| matches!(operation.action, Action::Write(_)))
            .filter_map(|operation| Some((operation.answered?, operation)))
    }

    /// The values of writes that were answered with yes.
    #[must_use]
    pub fn written(&self) -> BTreeSet<u64> {
        self.acknowledged()
            .filter_map(|(_, operation)| match operation.action {
                Action::Write(value) => Some(value),
                Action::Read(_) => None,
            })
            .collect()
    }

    /// How many writes of clients that roam, which are those from number `members` on, were not answered with yes. One
    /// that a member refused to take and another one took is none of them.
    #[must_use]
    pub fn failed_writes(&self, members: usize) -> usize {
        self.operations
            .iter()
            .filter(|operation| usize::try_from(operation.client).is_ok_and(|n| n >= members))
            .filter(|operation| matches!(operation.action, Action::Write(_)))
            .filter(|operation| operation.answered.is_none())
            .count()
    }

    /// The longest time between two writes that were answered one after the other, of those answered between
    /// `from` and `to`; counted from `from` and until `to`.
    #[must_use]
    pub fn longest_gap(&self, from: u64, to: u64) -> Duration {
        let mut times: Vec<u64> = self.acknowledged().map(|(answered, _)| answered).collect();
        times.retain(|time| (from..to).contains(time));
        times.extend([from, to]);
        times.sort_unstable();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        Duration::from_nanos(gaps.max().unwrap_or(0))
    }

    /// The writes that client `number` asked for at `from` or later and had answered before `to`.
    #[must_use]
    pub fn written_by(&self, number: u32, from: u64, to: u64) -> usize {
        self.acknowledged()
            .filter(|(answered, operation)| {
                operation.client == number && operation.called >= from && *answered < to
            })
            .count()
    }
}

fn since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
