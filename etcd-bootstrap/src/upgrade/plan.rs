//! Which member gets the new version when. Pure.

use super::{Facts, preflight};
use crate::{
    ClientAnswer, ClusterSpec, EtcdVersion, MemberName, MemberProgram, MemberSpec, Status,
    maintenance::Seen,
};
use host_exec::Condition;
use serde::Serialize;
use std::fmt;

/// `--snapshot-count` of every member for which it is not set.
const SNAPSHOT_COUNT: u64 = 10_000;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum UpgradeStep {
    /// Take a snapshot, to go back to whatever happens.
    Snapshot {
        /// The member that makes it: the leader, which has everything.
        member: MemberName,
    },
    /// Have every member write a snapshot of its raft log, by filling the log with entries that change nothing.
    ///
    /// A member reads its log from its last snapshot on, and 3.7 ends at entries of the v2 API, with which 3.5 told its
    /// members' addresses and the version of the cluster (etcd 3.7.3: "unmarshal should never fail", seen with a cluster
    /// that went from 3.5.35 to 3.6.16 to 3.7.3 within 10000 entries). Nothing tells whether such entries are left.
    RaftSnapshot {
        /// The member that is asked.
        member: MemberName,
        /// How many entries.
        entries: u64,
    },
    /// Have the leader hand over, so that its restart costs no election.
    MoveLeader {
        /// The leader.
        from: MemberName,
        /// Who takes over, already with the new version.
        to: MemberName,
    },
    /// Stop the member, give it the settings of the version, start it, and see that all are well for a while.
    Replace {
        /// The member.
        member: MemberName,
        /// What it runs.
        from: EtcdVersion,
        /// What it is to run.
        to: EtcdVersion,
        /// How many members go on serving meanwhile.
        serving: usize,
        /// How many it takes.
        quorum: usize,
    },
}

/// What is to be done, in this order. Empty when every member runs the version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UpgradePlan {
    /// The steps.
    pub steps: Vec<UpgradeStep>,
}

/// An upgrade that must not be begun. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeRefused {
    /// The table has a line that is not so.
    #[error("etcd is not upgraded: {}", lines(.bad))]
    Preflight {
        /// The lines that are not so.
        bad: Vec<Condition>,
    },
    /// The members have no leader.
    #[error("the members of etcd follow no leader; wait for the election, then try again")]
    NoLeader,
    /// More members are out of service than a run of an upgrade leaves behind.
    #[error("etcd members {} are not ready, and only one may be; mend the others first", names(.members))]
    Several {
        /// The members.
        members: Vec<MemberName>,
    },
}

fn lines(conditions: &[Condition]) -> String {
    let lines = conditions
        .iter()
        .map(|bad| format!("not so: {} ({})", bad.name, bad.evidence));
    lines.collect::<Vec<_>>().join("; ")
}

fn names(members: &[MemberName]) -> String {
    let names: Vec<&str> = members.iter().map(MemberName::as_str).collect();
    names.join(", ")
}

/// The version of a member: by its own word, else what it was started with.
pub(super) fn runs(spec: &ClusterSpec, seen: &Seen, member: &MemberSpec) -> EtcdVersion {
    let said = seen
        .status(&member.name)
        .and_then(|status| status.version.parse().ok());
    said.unwrap_or_else(|| spec.version_of(member))
}

/// Plans the steps to `to`, from whatever an earlier run has left. In `spec`, members that were begun have the program
/// they were begun with ([`MemberSpec::with_program`]).
///
/// # Errors
///
/// A line of [`preflight`] is not so, the members have no leader, or more than one is out of service.
pub fn plan(
    spec: &ClusterSpec,
    to: &MemberProgram,
    facts: &Facts,
) -> Result<UpgradePlan, UpgradeRefused> {
    let bad: Vec<Condition> = preflight(spec, to, facts)
        .into_iter()
        .filter(|line| !line.ok)
        .collect();
    if !bad.is_empty() {
        return Err(UpgradeRefused::Preflight { bad });
    }
    let seen = &facts.seen;
    let is_ready = |member: &MemberSpec| {
        let answer = seen.members.get(&member.name);
        answer.is_some_and(ClientAnswer::is_ready)
    };
    let out: Vec<&MemberSpec> = spec
        .members()
        .iter()
        .filter(|member| !is_ready(member))
        .collect();
    if out.len() > 1 {
        let members = out.iter().map(|member| member.name.clone()).collect();
        return Err(UpgradeRefused::Several { members });
    }
    let leads = |member: &MemberSpec| {
        let status = seen.status(&member.name);
        status.is_some_and(Status::leads)
    };
    let leader = spec
        .members()
        .iter()
        .find(|member| is_ready(member) && leads(member));
    let leader = leader.ok_or(UpgradeRefused::NoLeader)?;
    // What is recorded counts too: a member that was begun and still runs the old one has files to be written.
    let is_there = |member: &&MemberSpec| {
        is_ready(member)
            && runs(spec, seen, member) == to.version
            && spec.version_of(member) == to.version
            && spec.program_of(member) == to.path
    };
    let mut order: Vec<&MemberSpec> = spec.members().iter().filter(|m| !is_there(m)).collect();
    order.sort_by_key(|member| (is_ready(member), leads(member)));
    let mut steps = Vec::new();
    let untouched = spec
        .members()
        .iter()
        .all(|m| spec.version_of(m) == spec.version());
    if untouched && !order.is_empty() {
        steps.push(UpgradeStep::Snapshot {
            member: leader.name.clone(),
        });
        if spec.version().minor == 6 && to.version.minor == 7 {
            let count = spec.tuning().snapshot_count;
            steps.push(UpgradeStep::RaftSnapshot {
                member: leader.name.clone(),
                entries: count.unwrap_or(SNAPSHOT_COUNT) + 1,
            });
        }
    }
    for member in order {
        let successor = spec
            .members()
            .iter()
            .find(|other| other.name != leader.name);
        if let Some(successor) = successor.filter(|_| member.name == leader.name) {
            steps.push(UpgradeStep::MoveLeader {
                from: leader.name.clone(),
                to: successor.name.clone(),
            });
        }
        let others_out = out.iter().filter(|other| other.name != member.name).count();
        steps.push(UpgradeStep::Replace {
            member: member.name.clone(),
            from: runs(spec, seen, member),
            to: to.version,
            // Whoever is out of service comes first, so that later steps find it serving.
            serving: spec.members().len() - 1 - if steps.is_empty() { others_out } else { 0 },
            quorum: spec.quorum(),
        });
    }
    Ok(UpgradePlan { steps })
}

impl UpgradePlan {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl UpgradeStep {
    /// The member concerned.
    #[must_use]
    pub fn member(&self) -> &MemberName {
        match self {
            Self::Snapshot { member }
            | Self::RaftSnapshot { member, .. }
            | Self::MoveLeader { from: member, .. }
            | Self::Replace { member, .. } => member,
        }
    }
}

impl fmt::Display for UpgradePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for UpgradeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot { member } => write!(f, "{member}: take a snapshot"),
            Self::RaftSnapshot { member, entries } => write!(
                f,
                "{member}: have all members write a raft snapshot, since 3.7 cannot read entries of 3.5 ({entries} \
                 entries that change nothing)"
            ),
            Self::MoveLeader { from, to } => write!(f, "{from}: hand the lead over to {to}"),
            Self::Replace {
                member,
                from,
                to,
                serving,
                quorum,
            } => write!(
                f,
                "{member}: etcd {from} becomes {to} ({serving} go on serving, {quorum} are needed)"
            ),
        }
    }
}
