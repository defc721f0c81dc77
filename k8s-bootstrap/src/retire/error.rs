//! Why a node could not be taken out of its cluster.

use super::{Blocker, PodName};
use crate::{ApiError, ObserveError, UnknownHost};
use host_exec::{HostName, RunError};
use std::{fmt::Write as _, time::Duration};

/// A node was not drained, given back or removed. What was done stays; the same call again goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetireError {
    /// No such node in the spec.
    #[error("node {0} is not in the spec; `kubectl get nodes` lists the nodes there are")]
    UnknownNode(HostName),
    /// The API does not know it.
    #[error("there is no Node {0} in the API; it has not joined, or has been removed already")]
    NoNode(HostName),
    /// No API server answers.
    #[error("no API server is ready to drain node {node} with: {last}; start one first")]
    NoApi {
        /// The node.
        node: HostName,
        /// What each said.
        last: String,
    },
    /// Pods that must not be evicted without consent. Nothing was touched.
    #[error("node {node} is not drained, since pods there would be lost:{}", list(.blockers))]
    Blocked {
        /// The node.
        node: HostName,
        /// Each pod, with the reason and the consent that it takes.
        blockers: Vec<(PodName, Blocker)>,
    },
    /// Pods are still there.
    #[error(
        "node {node} still has pods after {:.0} s: {last}; it stays cordoned; give them more time, or relax the \
         PodDisruptionBudget that is named",
        .after.as_secs_f64()
    )]
    TimedOut {
        /// The node.
        node: HostName,
        /// The limit.
        after: Duration,
        /// Each pod that is left, and why.
        last: String,
    },
    /// The API refuses a request for good.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The caller gave no such host.
    #[error(transparent)]
    UnknownHost(#[from] UnknownHost),
    /// systemd of the node.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The cluster could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

fn list(blockers: &[(PodName, Blocker)]) -> String {
    let mut text = String::new();
    for (pod, blocker) in blockers {
        write!(text, "\n  {pod} {blocker}").expect("writing into a String succeeds");
    }
    text
}
