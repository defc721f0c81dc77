//! Whose turn it is: two tests at a time, where there is room for the labs of both.

use std::sync::{Condvar, Mutex, PoisonError};

/// How much of this machine the labs of a test take. Most of the time labs wait, so two of them hardly slow each other;
/// what is scarce is inotify(7) instances, of which Linux gives 128 to all programs of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Three members of etcd, a control plane and a worker: 54 instances by the count of `lab`.
    Usual,
    /// One more worker, or two more members: 68 at most.
    Larger,
    /// More than that, or one that nothing may stand beside.
    Whole,
}

impl Room {
    /// Parts of [`ROOM`].
    const fn parts(self) -> u8 {
        match self {
            Self::Usual => 2,
            Self::Larger => 3,
            Self::Whole => ROOM,
        }
    }
}

/// A usual lab beside a larger one: two larger ones are too many.
const ROOM: u8 = 5;

static FREE: Mutex<u8> = Mutex::new(ROOM);
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
