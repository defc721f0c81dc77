//! What the benches share: how long they measure, and the reference lab as their input.
//!
//! ```
//! let lab = benches::reference_lab();
//! assert_eq!(lab.network.machines.len(), 5);
//! assert_eq!(lab.pki.etcd_members.len(), 3);
//! ```
//!
//! Run them with `cargo bench -p benches`; the figures and what they are compared with are in the
//! README of this package.
//!
//! # What this package does not do
//! It decides nothing: no test fails because a machine is slow. Times of a whole lab come from
//! `lab up --timings`, not from here.
//!
//! # Invariants
//! - Inputs are the same in each run: no clock, and random numbers only where keys are drawn.
//! - A bench uses public API only, so it measures what a caller gets.

use std::time::Duration;

use cluster_lab::{Blueprint, Facts, GuestFacts, LabSpec, Places};
use criterion::Criterion;
use netplan::HostFacts;

/// Settings for all benches: two and a half seconds each, so that a whole run stays below 90 s.
#[must_use]
pub fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_millis(1_500))
        .configure_from_args()
}

/// What [`reference_lab`] is made from: three etcd members, a control plane, a worker, on a
/// machine whose facts are written down here instead of observed.
#[must_use]
pub fn reference_inputs() -> (LabSpec, Facts, Places) {
    let facts = Facts {
        network: HostFacts::default(),
        machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
        ipv6: true,
        guests: GuestFacts::debian_12(),
        freebsd: None,
    };
    let places = Places {
        state: "/nonexistent/state".into(),
        cache: "/nonexistent/cache".into(),
        run: "/nonexistent/run".into(),
        bin_dir: None,
        path_dirs: Vec::new(),
    };
    (LabSpec::default(), facts, places)
}

/// The reference lab as data; nothing of it exists.
#[must_use]
pub fn reference_lab() -> Blueprint {
    let (spec, facts, places) = reference_inputs();
    Blueprint::new(&spec, &facts, &places, None, None)
        .expect("the reference lab fits an empty machine")
}
