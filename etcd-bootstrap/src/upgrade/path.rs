//! Which version may follow which. Pure.

use crate::EtcdVersion;

/// What a step from one minor to the next needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathRule {
    /// The minor before.
    pub from_minor: u16,
    /// The least patch that a member of it must have.
    pub least_patch: u16,
    /// What goes wrong with an older one.
    pub why: &'static str,
}

/// The steps that are known.
pub const PATHS: [PathRule; 2] = [
    PathRule {
        from_minor: 5,
        least_patch: 32,
        why: "before 3.5.26 members that were removed come back in 3.6 (etcd#20967), and before 3.5.20 voters turn into \
              learners (etcd#19557); etcd's documentation asks for 3.5.32",
    },
    PathRule {
        from_minor: 6,
        least_patch: 11,
        why: "etcd's documentation asks for 3.6.11 before 3.7",
    },
];

/// A step that etcd does not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Minors cannot be skipped.
    #[error("etcd {from} cannot become {to} at once: go one minor at a time, first to the newest 3.{}", .from.minor + 1)]
    Skips {
        /// The version before.
        from: EtcdVersion,
        /// The version that is asked for.
        to: EtcdVersion,
    },
    /// An older version cannot open what a newer one has written.
    #[error(
        "etcd {from} cannot become {to} by its program alone: that is a downgrade, before which etcd has to rewrite its \
         store; ask for a downgrade, which has that done first, from 3.6 on"
    )]
    Older {
        /// The version before.
        from: EtcdVersion,
        /// The version that is asked for.
        to: EtcdVersion,
    },
    /// etcd has no way back.
    #[error("etcd {from} cannot be downgraded to {to}: etcd can from 3.6 on, by one minor")]
    NoDowngrade {
        /// The version before.
        from: EtcdVersion,
        /// The version that is asked for.
        to: EtcdVersion,
    },
    /// The patch is too old.
    #[error("etcd {from} must be 3.{}.{} or later before it becomes {to}: {}", .from.minor, .rule.least_patch, .rule.why)]
    Patch {
        /// The version before.
        from: EtcdVersion,
        /// The version that is asked for.
        to: EtcdVersion,
        /// The rule that is broken.
        rule: PathRule,
    },
}

/// Whether a member of `from` may be started as `to` on the same data.
///
/// # Errors
///
/// More than one minor apart, an older minor, or a patch that is known to do harm. An older patch of the same minor is
/// *not* an error: the format of the store is the same.
pub fn check_path(from: EtcdVersion, to: EtcdVersion) -> Result<(), PathError> {
    if (from.major, from.minor) == (to.major, to.minor) {
        return Ok(());
    }
    if (from.major, from.minor) > (to.major, to.minor) {
        return Err(PathError::Older { from, to });
    }
    if from.major != to.major || from.minor + 1 != to.minor {
        return Err(PathError::Skips { from, to });
    }
    let rule = PATHS.into_iter().find(|rule| rule.from_minor == from.minor);
    match rule.filter(|rule| from.patch < rule.least_patch) {
        Some(rule) => Err(PathError::Patch { from, to, rule }),
        None => Ok(()),
    }
}

/// Whether a member of `from` may be started as `to` once etcd has rewritten its store. The same minor is as for
/// [`check_path`].
///
/// # Errors
///
/// A later minor, more than one minor back, or back from 3.5.
pub fn check_downgrade_path(from: EtcdVersion, to: EtcdVersion) -> Result<(), PathError> {
    let same = (from.major, from.minor) == (to.major, to.minor);
    let back = from.major == to.major && from.minor >= 6 && to.minor + 1 == from.minor;
    match same || back {
        true => Ok(()),
        false => Err(PathError::NoDowngrade { from, to }),
    }
}
