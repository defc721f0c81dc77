//! Tests of the crate as its users see it.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, not in what they share"
)]

mod bad;
mod certificates;
mod change;
mod downgrade;
mod forms;
mod golden;
mod history;
mod keeping;
mod lab;
mod model;
mod plan;
mod real;
mod roll;
mod schedule;
mod served;
mod spec;
mod state;
mod tuning;
mod world;
