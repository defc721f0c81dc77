//! What is waited for, told once as long as it stays the same.

use super::MEMBERS_STEP;
use crate::MemberName;
use host_exec::EventSink;
use std::sync::{Mutex, PoisonError};

pub(super) struct Told<'a> {
    events: &'a dyn EventSink,
    member: &'a MemberName,
    last: Mutex<String>,
}

impl<'a> Told<'a> {
    pub(super) fn new(events: &'a dyn EventSink, member: &'a MemberName) -> Self {
        Self {
            events,
            member,
            last: Mutex::default(),
        }
    }

    pub(super) fn tell(&self, seen: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != seen {
            self.events
                .running(self.member.as_str(), MEMBERS_STEP, seen);
            seen.clone_into(&mut last);
        }
    }
}
