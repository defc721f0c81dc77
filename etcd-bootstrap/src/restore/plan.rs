//! From how far a restore has come to what is left of it. Pure.

use super::{Found, Observed, Stage};
use crate::{ClusterSpec, ClusterToken, MemberName};
use serde::Serialize;
use std::fmt;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum RestoreStep {
    /// Stop its service, and keep it from being started at boot.
    Stop {
        /// The member.
        member: MemberName,
    },
    /// Bring the snapshot there, and make its new data from it, beside the old.
    Stage {
        /// The member.
        member: MemberName,
    },
    /// Write its settings with the new token, move its data aside if it has any, and put the new data in its place. Only
    /// when the new data of all members is made.
    Swap {
        /// The member.
        member: MemberName,
        /// Whether there is data to be moved aside.
        keeps_old: bool,
    },
    /// Start all members, gated, and wait until they take reads and writes.
    Start {
        /// The members.
        members: Vec<MemberName>,
    },
}

/// What is left to do, in this order. Empty when every member runs on the restored data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RestorePlan {
    /// The steps.
    pub steps: Vec<RestoreStep>,
    /// What has to be known before they are done.
    pub warnings: Vec<String>,
}

/// A restore that must not be begun. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreRefused {
    /// The observation lacks a member of the specification.
    #[error("etcd member {member} was not observed; observe the same cluster that is restored")]
    NotObserved {
        /// The member.
        member: MemberName,
    },
    /// The token was in use before.
    #[error(
        "etcd member {member} has used the token {token} already: members of the old cluster could get into the new \
         one; restore with a token that this machine never had"
    )]
    TokenReuse {
        /// The member.
        member: MemberName,
        /// The token.
        token: ClusterToken,
    },
    /// Some members are swapped and others have nothing staged: two different snapshots would meet.
    #[error(
        "etcd member {member} has nothing of this restore, although {other} has its new data in place; the data \
         directory of {member} was replaced meanwhile: restore again, with another token"
    )]
    Torn {
        /// The member that lacks its part.
        member: MemberName,
        /// A member that has it.
        other: MemberName,
    },
}

/// Plans the rest of a restore into `spec`, which has the token of the new cluster. `without_checksum` is for a copy of a
/// member's store, as in [`RestoreOptions`](super::RestoreOptions).
///
/// # Errors
///
/// The token is not new, or the members are in a state that no run of a restore leaves behind. Members that lost their
/// data are *not* an error: that is what a restore is for.
pub fn plan(
    spec: &ClusterSpec,
    observed: &Observed,
    without_checksum: bool,
) -> Result<RestorePlan, RestoreRefused> {
    let mut members: Vec<(&MemberName, &Found)> = Vec::new();
    for member in spec.members() {
        let name = &member.name;
        let found = observed.members.get(name);
        let found = found.ok_or_else(|| RestoreRefused::NotObserved {
            member: name.clone(),
        })?;
        members.push((name, found));
    }
    refuse_reuse(spec, &members)?;
    refuse_torn(&members)?;
    let mut plan = RestorePlan::default();
    let all_swapped = members
        .iter()
        .all(|(_, found)| found.stage == Stage::Swapped);
    let at = |stage: fn(Stage) -> bool| {
        let members = members.iter().filter(move |(_, found)| stage(found.stage));
        members.map(|(name, found)| ((*name).clone(), *found))
    };
    if !all_swapped {
        // All, whatever systemd says of them: one that a killed run was stopping may still be at it, and one that was
        // swapped may have been started by a reboot, alone and without a majority.
        let names = members.iter().map(|(name, _)| (*name).clone());
        plan.steps
            .extend(names.map(|member| RestoreStep::Stop { member }));
    }
    let untouched = at(|stage| stage == Stage::Untouched);
    plan.steps
        .extend(untouched.map(|(member, _)| RestoreStep::Stage { member }));
    let swaps = at(|stage| stage != Stage::Swapped);
    plan.steps
        .extend(swaps.map(|(member, found)| RestoreStep::Swap {
            member,
            keeps_old: found.has_data && !found.moved_aside,
        }));
    if !(all_swapped
        && members
            .iter()
            .all(|(_, found)| found.is_up && found.is_enabled))
    {
        let members = members.iter().map(|(name, _)| (*name).clone());
        plan.steps.push(RestoreStep::Start {
            members: members.collect(),
        });
    }
    if without_checksum && !plan.is_empty() {
        plan.warnings.push(WITHOUT_CHECKSUM.to_owned());
    }
    Ok(plan)
}

const WITHOUT_CHECKSUM: &str = "WARNING: this is a copy of a member's store and no snapshot: nothing proves that it is \
    whole, and the last writes, which are in the write-ahead log alone, are lost";

fn refuse_reuse(
    spec: &ClusterSpec,
    members: &[(&MemberName, &Found)],
) -> Result<(), RestoreRefused> {
    // A run of this restore writes the settings of a member when all are staged.
    let begun = members
        .iter()
        .any(|(_, found)| found.stage != Stage::Untouched);
    for (name, found) in members {
        let used = found.token.as_ref() == Some(spec.token()) || found.moved_aside;
        if used && !begun {
            return Err(RestoreRefused::TokenReuse {
                member: (*name).clone(),
                token: spec.token().clone(),
            });
        }
    }
    Ok(())
}

fn refuse_torn(members: &[(&MemberName, &Found)]) -> Result<(), RestoreRefused> {
    let at = |stage| members.iter().find(move |(_, found)| found.stage == stage);
    match (at(Stage::Untouched), at(Stage::Swapped)) {
        (Some((member, _)), Some((other, _))) => Err(RestoreRefused::Torn {
            member: (*member).clone(),
            other: (*other).clone(),
        }),
        _ => Ok(()),
    }
}

impl RestorePlan {
    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.warnings
            .iter()
            .try_for_each(|warning| writeln!(f, "{warning}"))?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for RestoreStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop { member } => write!(f, "{member}: stop etcd, at boot too"),
            Self::Stage { member } => write!(
                f,
                "{member}: make new data from the snapshot, beside the old"
            ),
            Self::Swap {
                member,
                keeps_old: true,
            } => {
                write!(
                    f,
                    "{member}: move the old data aside, put the new in its place, with a new token"
                )
            }
            Self::Swap {
                member,
                keeps_old: false,
            } => {
                write!(
                    f,
                    "{member}: put the new data in its place, with a new token"
                )
            }
            Self::Start { members } => {
                let names: Vec<&str> = members.iter().map(MemberName::as_str).collect();
                write!(f, "start, and wait until ready: {}", names.join(" "))
            }
        }
    }
}
