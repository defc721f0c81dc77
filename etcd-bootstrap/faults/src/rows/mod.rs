//! The rows of the fault table, each a scenario whose choices follow from a seed.

mod disk;
mod forming;
mod leader;
mod members;
mod network;
mod proof;
mod restore;
mod rolling;
mod space;
mod trouble;
mod trust;
mod upgrade;

use crate::rig::Rig;
use futures::future::{BoxFuture, FutureExt as _};

/// A row.
pub struct Row {
    /// Its name, as in the table of figures.
    pub name: &'static str,
    /// Whether its seeds may run side by side: it mostly waits, or measures nothing that others bend.
    pub waits: bool,
    /// Its scenario.
    pub run: for<'r> fn(&'r mut Rig) -> BoxFuture<'r, anyhow::Result<()>>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! row {
    ($name:literal, $waits:literal, $run:path) => {
        Row {
            name: $name,
            waits: $waits,
            run: |rig| $run(rig).boxed(),
        }
    };
}

/// All rows.
pub const ROWS: &[Row] = &[
    row!("stale-reads-are-found", true, proof::stale_reads_are_found),
    row!("kill-tool", true, forming::kill_tool),
    row!("kill-member-while-forming", false, forming::kill_member),
    row!("kill-leader", false, leader::kill),
    row!("stop-leader", false, leader::stop),
    row!("rolling-restart", false, rolling::restart),
    row!("pause", true, leader::pause),
    row!("partition", true, network::partition),
    row!("latency-and-loss", true, network::latency_and_loss),
    row!("two-late", true, forming::two_late),
    row!("disk-full", true, disk::disk_full),
    row!("lost-data", true, trouble::lost_data),
    row!("grow-and-shrink", true, members::grow_and_shrink),
    row!("foreign-member", true, trust::foreign),
    row!("clock-skew", true, trust::clock_skew),
    row!("bad-peer-certificate", true, trust::bad_peer_certificate),
    row!("ca-rotation", false, trust::ca_rotation),
    row!("no-space", true, space::no_space),
    row!("snapshot", true, restore::snapshot),
    row!("restore", true, restore::restore),
    row!("two-of-three-lost", true, restore::two_of_three_lost),
    row!("upgrade", true, upgrade::three_minors),
    row!("downgrade", true, upgrade::downgrade),
    row!("upgrade-with-a-bad-binary", true, upgrade::bad_binary),
];

/// The row of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}
