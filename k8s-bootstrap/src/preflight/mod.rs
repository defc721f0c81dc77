//! What is wrong with hosts and material before anything of ours is on them, as `kubeadm init` looks before it begins.
//!
//! [`facts`] asks a host and changes nothing; [`judge`] is pure; [`look`] does both for many nodes and compares their
//! clocks. A caller goes on when no finding is an [`Severity::Error`].
//!
//! ```
//! use k8s_bootstrap::{ClusterSpec, Hosts, preflight};
//!
//! async fn stands_in_the_way(spec: &ClusterSpec, hosts: &Hosts) -> Result<bool, preflight::LookError> {
//!     let nodes = spec.nodes().map(|(_, node)| node.name.clone()).collect();
//!     let found = preflight::look(spec, hosts, &nodes).await?;
//!     Ok(found.iter().any(|one| one.severity == preflight::Severity::Error))
//! }
//! ```

mod facts;
mod judge;
mod look;
mod material;

pub use facts::{FactsError, HostFacts, Listener, facts};
pub use judge::{judge, judge_clocks};
pub use look::{LookError, look};
pub use material::judge_material;

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may go well.
    Warning,
    /// It cannot go well.
    Error,
}

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// kubeadm's name of the check where it has one, such as `Port-6443` or `Swap`
    /// (cmd/kubeadm/app/preflight/checks.go).
    pub check: String,
    /// The node, or what else it is about.
    pub place: String,
    /// What was seen.
    pub evidence: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let (check, place) = (&self.check, &self.place);
        write!(
            f,
            "{severity} {check} of {place}: {}; {}",
            self.evidence, self.remedy
        )
    }
}
