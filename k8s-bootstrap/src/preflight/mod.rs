//! What is wrong with hosts and material before anything of ours is on them, as `kubeadm init` looks before it begins.
//!
//! [`facts`] asks the hosts and changes nothing; [`judge`] is pure. A caller goes on when no finding is an
//! [`Severity::Error`].
//!
//! ```
//! use host_exec::Host;
//! use k8s_bootstrap::{ClusterSpec, preflight};
//!
//! async fn look(spec: &ClusterSpec, hosts: &k8s_bootstrap::Hosts) -> Vec<preflight::Finding> {
//!     let mut found = Vec::new();
//!     for (role, node) in spec.nodes() {
//!         match preflight::facts(spec, role, node, &*hosts[&node.name]).await {
//!             Ok(facts) => found.extend(preflight::judge(spec, role, node, &facts)),
//!             Err(error) => panic!("{error}"),
//!         }
//!     }
//!     found
//! }
//! ```

mod facts;
mod judge;
mod material;

pub use facts::{FactsError, HostFacts, Listener, facts};
pub use judge::{judge, judge_clocks};
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
