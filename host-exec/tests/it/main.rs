//! Tests of host-exec against real programs; those that need more than any Unix has are marked `#[ignore]`.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test says what went wrong"
)]

mod conformance;
mod connection;
mod escape;
mod forward;
mod https;
mod local;
mod login;
mod namespace;
mod processes;
mod ssh;
mod sshd;
mod upload;

use std::time::Duration;

/// A limit that is never reached when things work, for everything that could hang.
const LONG: Duration = Duration::from_secs(20);
