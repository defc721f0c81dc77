//! Changes of the membership.

mod model;
mod plan;
mod real;
