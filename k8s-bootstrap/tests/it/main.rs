//! Tests of `k8s-bootstrap`: golden files, properties of the plan, bad input, and a real API server.

mod cluster;
mod golden;
mod plan;
mod real;
mod spec;
