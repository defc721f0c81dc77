//! [`diff`](fn@diff): what changes between two locks, and what follows from each change.

mod compare;
mod effect;
mod effects;
mod item;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

pub use compare::diff;
pub use effect::{CertificateOf, Effect, Membership};
pub use item::{Item, Value};

use crate::columns::columns;
use crate::lock::Lock;
use crate::plan::Plan;

/// What changes between two locks, in the order of [`Item`].
///
/// As a text it has one line for each change, in aligned columns: what happens, to what, from
/// which value to which, and the effects. It ends with a newline, and is empty where nothing
/// changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diff {
    /// The changes.
    pub changes: Vec<Change>,
}

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it happens to, under its new name.
    pub item: Item,
    /// What happens.
    #[serde(flatten)]
    pub kind: ChangeKind,
    /// What follows from it, worst first.
    pub effects: Vec<Effect>,
}

/// What happens to an item. A family that comes or goes is a change of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It was not there.
    Added {
        /// What it is.
        to: Value,
    },
    /// It is not there any more.
    Removed {
        /// What it was.
        from: Value,
    },
    /// It has another value, which neither contains the old one nor lies in it.
    Moved {
        /// What it was.
        from: Value,
        /// What it is.
        to: Value,
    },
    /// Its value contains the old one.
    Grown {
        /// What it was.
        from: Value,
        /// What it is.
        to: Value,
    },
    /// Its value is a part of the old one.
    Shrunk {
        /// What it was.
        from: Value,
        /// What it is.
        to: Value,
    },
    /// It has another name, and the value that nothing but the old name had.
    Renamed {
        /// The old name.
        old: Item,
        /// What it was, and is.
        value: Value,
    },
}

impl ChangeKind {
    const fn word(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Removed { .. } => "removed",
            Self::Moved { .. } => "moved",
            Self::Grown { .. } => "grown",
            Self::Shrunk { .. } => "shrunk",
            Self::Renamed { .. } => "renamed",
        }
    }

    fn values(&self) -> String {
        match self {
            Self::Added { to } => to.to_string(),
            Self::Removed { from } => from.to_string(),
            Self::Moved { from, to } | Self::Grown { from, to } | Self::Shrunk { from, to } => {
                format!("{from} -> {to}")
            }
            Self::Renamed { old, value } => format!("{value}, was {old}"),
        }
    }
}

impl Diff {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What follows from all changes together, each once, worst first.
    #[must_use]
    pub fn effects(&self) -> BTreeSet<&Effect> {
        let changes = self.changes.iter();
        changes.flat_map(|change| &change.effects).collect()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.changes.iter().map(|change| {
            let effects: Vec<String> = change.effects.iter().map(Effect::to_string).collect();
            let (word, item) = (change.kind.word().to_owned(), change.item.to_string());
            vec![word, item, change.kind.values(), effects.join("; ")]
        });
        f.write_str(&columns(&rows.collect::<Vec<_>>()))
    }
}

impl Plan {
    /// What this plan changes, beside the one that the lock is of.
    ///
    /// ```
    /// use netplan::diff::Effect;
    /// use netplan::{
    ///     HostFacts, KubernetesVersion, LabName, MachineCounts, Requirement, plan,
    /// };
    ///
    /// let (lab, version) = (LabName::new("demo")?, KubernetesVersion::new(37));
    /// let mut requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
    /// let facts = HostFacts::default();
    /// let lock = plan(&requirement, &facts, None)?.lock();
    /// *requirement.count_mut("worker").expect("a class") = 2;
    /// let diff = plan(&requirement, &facts, Some(&lock))?.changes_since(&lock);
    /// assert_eq!(diff.changes.len(), 4); // Address and pods of worker-1, in two families.
    /// assert!(!diff.effects().iter().any(|effect| matches!(effect, Effect::Reboot { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn changes_since(&self, old: &Lock) -> Diff {
        diff(old, &self.lock())
    }
}
