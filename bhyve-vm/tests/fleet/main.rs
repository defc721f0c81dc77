//! The driver of a host, against a FreeBSD host in memory that refuses what the real one refuses.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test says what went wrong"
)]

mod bad;
mod fixture;
mod host;
mod journey;
mod life;
mod resume;
mod scripts;
