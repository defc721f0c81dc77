//! Plans of groups, and one real group of two machines.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod alone;
mod plan;
