//! The anchor of a lab, and what the host's own pf.conf needs for it.

use thiserror::Error;

use super::Ruleset;
use crate::names::{InterfaceName, LabName, NameError};

/// What /etc/pf.conf of the host needs, once for all labs, and in this order among its own
/// lines: options, then translation, then filtering.
///
/// Without them the rules of an anchor load without an error and never apply:
/// `pfctl -s nat` and `pfctl -s rules` show whether they are there. The file stays the host's:
/// nothing of this crate writes it.
#[must_use]
pub const fn main_conf_lines() -> [&'static str; 5] {
    [
        "set skip on lo0",
        "nat-anchor \"labcluster/*\"",
        "binat-anchor \"labcluster/*\"",
        "rdr-anchor \"labcluster/*\"",
        "anchor \"labcluster/*\"",
    ]
}

/// The rules of one lab in an anchor of their own, `labcluster/LAB`. Nothing outside of the
/// anchor is touched; the host's pf.conf needs [`main_conf_lines`] once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PfAnchor {
    /// Its name.
    pub anchor: String,
    /// The rules, for the standard input of `pfctl` with [`PfAnchor::load_arguments`].
    pub load: String,
}

impl PfAnchor {
    pub(super) fn new(lab: &LabName, rules: &Ruleset) -> Self {
        Self {
            anchor: format!("labcluster/{lab}"),
            load: rules.to_string(),
        }
    }

    /// Arguments of `pfctl` that read the rules from the standard input and change nothing.
    #[must_use]
    pub fn check_arguments(&self) -> [&str; 5] {
        ["-n", "-a", &self.anchor, "-f", "-"]
    }

    /// Arguments of `pfctl` that load the rules from the standard input, in place of earlier
    /// ones, all at once.
    #[must_use]
    pub fn load_arguments(&self) -> [&str; 4] {
        ["-a", &self.anchor, "-f", "-"]
    }

    /// Arguments of `pfctl` that remove rules, translations and tables of this anchor only.
    /// States stay: connections that there are go on until they end or expire.
    #[must_use]
    pub fn undo_arguments(&self) -> [&str; 4] {
        ["-a", &self.anchor, "-F", "all"]
    }

    /// The command that removes the anchor, for a person to read and to run.
    #[must_use]
    pub fn undo(&self) -> String {
        // Names of labs are made of a-z, 0-9 and '-': nothing to quote.
        format!("pfctl {}\n", self.undo_arguments().join(" "))
    }
}

/// Why a policy has no pf anchor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PfError {
    /// The router is no FreeBSD host.
    #[error(
        "the router of lab {lab} is a network namespace, and pf is for a host that is the router \
         itself: set router to the host with its uplink"
    )]
    Namespace {
        /// The lab.
        lab: LabName,
    },
    /// A rule that is not of the standard policy.
    #[error(
        "rule {rule:?} at the router has no counterpart in the pf anchor: only rules of the \
         standard policy have one"
    )]
    Rule {
        /// The name of the rule.
        rule: String,
    },
    /// A way to the API that pf cannot make.
    #[error("the API cannot be exposed to {zone} by pf: only to the uplink")]
    Exposure {
        /// Where connections were to come from.
        zone: String,
    },
    /// A network that the plan does not have.
    #[error(
        "the policy needs {name}, which the plan of lab {lab} does not have: make it from this plan"
    )]
    Plan {
        /// The network.
        name: String,
        /// The lab of the plan.
        lab: LabName,
    },
    /// An interface with the name of a group.
    #[error(
        "pf takes {interface} for the group of interfaces of that name, not for one interface: \
         rename the network or the lab"
    )]
    Group {
        /// The interface.
        interface: InterfaceName,
    },
    /// A name that pf does not take.
    #[error(transparent)]
    Name(#[from] NameError),
}
