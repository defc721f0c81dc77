//! What has to be so, and what says whether it is.

use serde::Serialize;
use std::fmt;

/// Something that has to be so of what runs on hosts, whether it is, and what was seen. As a text it is name and evidence.
///
/// ```
/// let condition = host_exec::Condition::new("etcd-0 is ready", false, "no answer within 1.5 s");
/// assert_eq!(condition.to_string(), "etcd-0 is ready: no answer within 1.5 s");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What, as a statement, such as `etcd-0 is ready`.
    pub name: String,
    /// Whether it is so. What could not be looked into is not.
    pub ok: bool,
    /// What was seen.
    pub evidence: String,
}

impl Condition {
    /// A condition with its evidence.
    pub fn new(name: impl Into<String>, ok: bool, evidence: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok,
            evidence: evidence.into(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.evidence)
    }
}
