//! ps(1), pgrep(1) and pkill(1).

mod pgrep;
mod ps;
mod table;

pub(super) use pgrep::{pgrep, pkill};
pub(super) use ps::ps;
