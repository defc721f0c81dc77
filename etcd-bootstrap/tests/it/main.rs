//! Tests of the crate as its users see it.

mod golden;
mod model;
mod plan;
mod real;
mod spec;
mod world;
