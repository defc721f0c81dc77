//! What can be done to the membership, as data and in print.

use super::Quorum;
use crate::{History, MemberId, MemberName};
use serde::Serialize;
use std::{collections::BTreeSet, fmt, path::PathBuf};

/// What is wanted beside that every member of the specification is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Members that go. They may be in the specification, so that their machines are cleaned, or not.
    pub remove: BTreeSet<MemberName>,
    /// Members whose data is lost or not to be trusted: removed, and added again with nothing. One that takes reads
    /// and writes is left alone.
    pub replace: BTreeSet<MemberName>,
}

impl Wish {
    /// The same, and this member goes.
    #[must_use]
    pub fn remove(mut self, member: MemberName) -> Self {
        self.remove.insert(member);
        self
    }

    /// The same, and this member is replaced.
    #[must_use]
    pub fn replace(mut self, member: MemberName) -> Self {
        self.replace.insert(member);
        self
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum ChangeStep {
    /// Have the leader hand over.
    MoveLeader {
        /// The leader.
        from: MemberName,
        /// A healthy voter.
        to: MemberName,
    },
    /// Take a member out of the cluster.
    Remove {
        /// The member.
        member: MemberName,
        /// Its ID.
        id: MemberId,
    },
    /// Stop and disable the service of one that is no member, and rename its data.
    TakeOut {
        /// The former member.
        member: MemberName,
        /// Where its data is.
        data_dir: PathBuf,
    },
    /// Take in a member without a vote.
    AddLearner {
        /// The member.
        member: MemberName,
        /// Where the others will reach it.
        peer_url: String,
    },
    /// Write its files, start it, and wait until it has joined; if it never does, remove it again.
    Start {
        /// The learner.
        member: MemberName,
    },
    /// Give it a vote when it has caught up, and wait until it takes reads and writes.
    Promote {
        /// The learner.
        member: MemberName,
    },
}

/// A step with the votes before and after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// What is done.
    pub step: ChangeStep,
    /// Before it.
    pub before: Quorum,
    /// After it.
    pub after: Quorum,
}

/// What has to be done, in this order. Empty when nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangePlan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// What the past of the cluster is by what was found: what is recorded, and what a killed run did not record.
    pub history: History,
    /// Those that go.
    pub remove: BTreeSet<MemberName>,
}

impl ChangePlan {
    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl ChangeStep {
    /// The member concerned.
    #[must_use]
    pub fn member(&self) -> &MemberName {
        match self {
            Self::MoveLeader { from: member, .. }
            | Self::Remove { member, .. }
            | Self::TakeOut { member, .. }
            | Self::AddLearner { member, .. }
            | Self::Start { member }
            | Self::Promote { member } => member,
        }
    }
}

impl fmt::Display for ChangePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl PlannedStep {
    /// What is done, with the votes before and after it, without the member's name.
    #[must_use]
    pub fn action(&self) -> String {
        let Self {
            step,
            before,
            after,
        } = self;
        let action = step.action();
        match before == after {
            true => format!("{action} ({after})"),
            false => format!("{action} ({before}; then {after})"),
        }
    }
}

impl ChangeStep {
    /// What is done, without the member's name.
    #[must_use]
    pub fn action(&self) -> String {
        match self {
            Self::MoveLeader { to, .. } => format!("hand over the lead to {to}"),
            Self::Remove { id, .. } => format!("remove member {id}"),
            Self::TakeOut { data_dir, .. } => {
                format!("stop etcd, and rename its data in {}", data_dir.display())
            }
            Self::AddLearner { peer_url, .. } => format!("add {peer_url} as a learner"),
            Self::Start { .. } => "start etcd, and remove it again if it never joins".into(),
            Self::Promote { .. } => "promote when in sync, and wait until ready".into(),
        }
    }
}

impl fmt::Display for PlannedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step.member(), self.action())
    }
}

impl fmt::Display for ChangeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.member(), self.action())
    }
}
