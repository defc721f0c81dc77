//! What has to be so, and what says whether it is.

use serde::Serialize;

/// Something that has to be so of what runs on hosts, whether it is, and what was seen.
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
