//! Tests of bhyve-vm: pure, no FreeBSD needed.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test says what went wrong"
)]

mod bad;
mod console;
mod corpora;
mod doctor;
mod exit;
mod golden;
mod image;
mod image_programs;
mod observe;
mod properties;
mod refusals;
mod seed;
mod seed_programs;
mod state;

use bhyve_vm::VmSpec;

/// The specification in `tests/data/NAME.toml`.
fn spec(text: &str) -> VmSpec {
    toml::from_str(text).unwrap()
}

/// One with a seed, two disks and two network cards.
fn etcd_0() -> VmSpec {
    spec(include_str!("../data/etcd-0.toml"))
}
