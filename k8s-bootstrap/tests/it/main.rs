//! Tests of `k8s-bootstrap`: golden files, properties of the plan, bad input, and a real API server.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod ahead;
mod bad;
mod cis;
mod cluster;
mod difference;
mod drained;
mod golden;
mod hardened;
mod kubeadm;
mod matrix;
mod plan;
mod readers;
mod real;
mod retire;
mod skew;
mod spec;
mod table;
mod tree;
