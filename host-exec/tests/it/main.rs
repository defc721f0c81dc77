//! Tests of host-exec against real programs; those that need more than any Unix has are marked `#[ignore]`.

mod conformance;
mod escape;
mod https;
mod local;
mod namespace;
mod sshd;

mod ssh;

use std::time::Duration;

/// A limit that is never reached when things work, for everything that could hang.
const LONG: Duration = Duration::from_secs(20);
