//! The whole stand-in host: made, entered by a real sshd, with guests that boot, and removed.

#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "it starts the program that is tested, and waits for what that does"
)]

mod alone;
mod guests;
mod life;
mod stand_in;
mod transcripts;
