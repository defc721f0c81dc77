//! Whose turn it is: as many tests at a time as this machine has room for the labs of.

use std::{
    fs,
    sync::{Condvar, LazyLock, Mutex, PoisonError},
    thread,
};

/// How much of this machine the labs of a test take, by the inotify(7) instances that `lab` counts for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Three members of etcd, a control plane and a worker: 54 instances.
    Usual,
    /// One more worker, or two more members: 68 at most.
    Larger,
    /// Three control planes, or two labs: 122 at most.
    Largest,
    /// One that nothing may stand beside.
    Whole,
}

/// What a machine has that has the 128 instances which Linux gives to all programs of a user.
const LEAST: u32 = 5;
/// Instances of one part.
const INSTANCES: u32 = 25;
/// Parts that a processor bears: some of the time labs wait. With four, two processors were idle for 3 % of
/// the time.
const PER_PROCESSOR: u32 = 3;

impl Room {
    /// Parts of [`ROOM`].
    fn parts(self) -> u32 {
        match self {
            Self::Usual => 2,
            Self::Larger => 3,
            Self::Largest => LEAST,
            Self::Whole => *ROOM,
        }
    }
}

/// What is scarce is inotify(7) instances, unless `./lab test` has asked for more, and then processors.
static ROOM: LazyLock<u32> = LazyLock::new(|| {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").ok();
    let instances = limit.and_then(|limit| limit.trim().parse::<u32>().ok());
    let processors = thread::available_parallelism().map_or(1, |count| count.get().min(16));
    let bears = u32::try_from(processors).unwrap_or(1) * PER_PROCESSOR;
    bears.min(instances.unwrap_or(0) / INSTANCES).max(LEAST)
});

static FREE: LazyLock<Mutex<u32>> = LazyLock::new(|| Mutex::new(*ROOM));
static RETURNED: Condvar = Condvar::new();

/// The room that a test has until this is dropped.
pub(crate) struct Turn(Room);

impl Turn {
    /// Waits until there is so much room.
    pub(crate) fn take(room: Room) -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = RETURNED.wait_while(free, |free| *free < room.parts());
        *waited.unwrap_or_else(PoisonError::into_inner) -= room.parts();
        Self(room)
    }

    /// Whether no other test runs meanwhile.
    pub(crate) fn is_alone(&self) -> bool {
        self.0 == Room::Whole
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0.parts();
        RETURNED.notify_all();
    }
}
