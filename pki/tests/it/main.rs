//! Tests of the public interface. Those that need other programs say so and are run by
//! `cargo test -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod client;
mod ensure;
mod issue;
mod kill;
mod names;
mod outputs;
mod real;
mod roles;
mod rotation;
mod support;
