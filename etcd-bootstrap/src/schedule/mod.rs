//! Snapshots that the members take themselves, by a timer, while nobody looks: `spec` to units, what is there, the steps
//! between.
//!
//! Each member has one timer and one service, and takes from itself; no member depends on another one, and none on the
//! machine that this program runs on. The newest snapshot is `1.db` in [`Schedule::directory`], the oldest one is
//! [`Schedule::keep`]`.db`; the time of a snapshot is that of its file.
//!
//! The service is a list of programs with arguments, no shell. In this order:
//!
//! 1. Where less than twice the size of the store is free, nothing is begun: status 123 of xargs(1).
//! 2. etcdctl asks the member how it is, and streams the store into `new.db.part`, which becomes `new.db` when it is
//!    complete and synced.
//! 3. etcdutl restores it into a directory that is thrown away. That compares the checksum that etcd puts at the end,
//!    which `etcdutl snapshot status` does not, and is the proof that it can be restored.
//! 4. Each snapshot gets the next number, and the new one becomes `1.db`. All are renames within one directory.
//!
//! The first program that fails ends the run, so what is not whole never takes the place of what is. A run that is killed
//! between two renames leaves a number free, and the oldest snapshot goes one run too early.
//!
//! Why numbers that move, and not a timer for each place in a ring: a ring has to be a day or a week long, since a calendar
//! knows nothing else; and a machine that was off for long would make up for every place that was missed at once, with as
//! many copies of one state in the place of those before. Here [`Schedule::keep`] may be any number, and what was missed is
//! made up for by one snapshot. k3s and RKE2 have the same two settings (`--etcd-snapshot-schedule-cron`,
//! `--etcd-snapshot-retention`).
//!
//! A snapshot holds every Secret of a cluster, so directory and files are for root alone. They are on the disk of the
//! member: copies for the loss of all machines are [`crate::snapshot`]'s or [`fetch`]'s, kept elsewhere.

mod apply;
mod fetch;
mod observe;
mod plan;
mod spec;
mod unit;

pub use apply::{SCHEDULE_STEP, ScheduleApplyError, apply};
pub use fetch::{FetchError, fetch};
pub use observe::{Kept, Observed, ScheduleObserveError, Site, observe, observe_member};
pub use plan::{SchedulePlan, ScheduleStep, plan};
pub use spec::{DEFAULT_DIRECTORY, Interval, MAX_KEEP, Schedule, ScheduleError, Times};
pub use unit::{SERVICE_FILE, TIMER_FILE, calendar, files, service_name, timer_name};

pub(crate) use apply::{RemoveError, remove_from};
