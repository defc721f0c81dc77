//! The checker on histories whose verdict is known, and the rows of the fault table on real processes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy allows the first in test functions, not in what they share; seeds and figures are shown"
)]

mod cleanup;
mod linear;
mod load;
mod rows;
