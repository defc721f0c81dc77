//! Snapshots by a timer on the members.

mod plan;
mod real;
mod units;
