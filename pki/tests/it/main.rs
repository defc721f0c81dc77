//! Tests of the public interface. Those that need other programs say so and are run by
//! `cargo test -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod authorities;
mod bad;
mod client;
mod ensure;
mod etcd;
mod foreign;
mod fuzz;
mod fuzzed;
mod issue;
mod kill;
mod kubeadm;
mod lint;
mod matrix;
mod names;
mod outputs;
mod pkcs12;
mod policy;
mod real;
mod revocation;
mod roles;
mod rotation;
mod secrets;
mod store;
mod support;
