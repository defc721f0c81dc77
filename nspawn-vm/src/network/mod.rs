//! The wires of a group: what is wanted, what is there, and the `ip` commands that lead from one to the other.

pub(crate) mod observe;
mod plan;
mod wanted;

pub(crate) use observe::{Seen, observe};
pub(crate) use plan::{Change, changes};
pub(crate) use wanted::{ROUTER, Scope, wanted};
