//! What is remembered of a rotation beside the word in the store.

use serde::{Deserialize, Serialize};

/// When the machines' pods were told of a new authority: those that started before hold the old one alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationRecord {
    /// What is rotated.
    pub(crate) rotated: String,
    /// The moment, in seconds since 1970 by the clock of the API.
    pub(crate) told: i64,
}
