//! Which member gets the new version when. Pure.

use super::{
    Facts,
    downgrade::{is_of_minor, is_prepared, runs_minor},
    preflight, preflight_downgrade,
};
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
    /// Take back a downgrade that has begun.
    CancelDowngrade {
        /// The member that is asked.
        member: MemberName,
    },
    /// Have etcd write the stores of all members in the format of the minor before, which that can open.
    Downgrade {
        /// The member that is asked.
        member: MemberName,
        /// To the minor of this.
        to: EtcdVersion,
    },
    /// See that etcd has ended the downgrade, which it does when all members run the minor before. Until then it does
    /// not let the cluster go on to a later one.
    EndDowngrade {
        /// The member that is asked.
        member: MemberName,
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
/// they were begun with ([`MemberSpec::with_program`]). A downgrade that has begun is taken back first.
///
/// # Errors
///
/// A line of [`preflight`] is not so, the members have no leader, or more than one is out of service.
pub fn plan(
    spec: &ClusterSpec,
    to: &MemberProgram,
    facts: &Facts,
) -> Result<UpgradePlan, UpgradeRefused> {
    let way = Way::of(spec, to, &facts.seen, preflight(spec, to, facts))?;
    let mut steps = Vec::new();
    if downgrades(&facts.seen).next().is_some() {
        steps.push(UpgradeStep::CancelDowngrade {
            member: way.leader.clone(),
        });
    }
    way.first_of_all(&mut steps);
    if way.is_new() && spec.version().minor == 6 && to.version.minor == 7 {
        let count = spec.tuning().snapshot_count;
        steps.push(UpgradeStep::RaftSnapshot {
            member: way.leader.clone(),
            entries: count.unwrap_or(SNAPSHOT_COUNT) + 1,
        });
    }
    way.replace(&mut steps);
    Ok(UpgradePlan { steps })
}

/// Plans the steps back to the minor before, from whatever an earlier run has left: a snapshot, the stores rewritten, and
/// then members one at a time. In `spec` members are as for [`plan`], which is the way back up.
///
/// # Errors
///
/// A line of [`preflight_downgrade`] is not so, the members have no leader, or more than one is out of service.
pub fn plan_downgrade(
    spec: &ClusterSpec,
    to: &MemberProgram,
    facts: &Facts,
) -> Result<UpgradePlan, UpgradeRefused> {
    let seen = &facts.seen;
    let way = Way::of(spec, to, seen, preflight_downgrade(spec, to, facts))?;
    let mut steps = Vec::new();
    way.first_of_all(&mut steps);
    let member = way.leader.clone();
    let beside_older = statuses(seen).any(|status| runs_minor(status, to.version));
    let unprepared = way.order.iter().any(|member| {
        let status = seen.status(&member.name);
        status.is_some_and(|status| !is_prepared(status, to.version, beside_older))
    });
    if unprepared {
        steps.push(UpgradeStep::Downgrade {
            member: member.clone(),
            to: to.version,
        });
    }
    way.replace(&mut steps);
    let under_way = downgrades(seen).any(|target| is_of_minor(target, to.version));
    if under_way || !steps.is_empty() {
        steps.push(UpgradeStep::EndDowngrade { member });
    }
    Ok(UpgradePlan { steps })
}

/// The minors to which members say that a downgrade is under way.
fn downgrades(seen: &Seen) -> impl Iterator<Item = &str> {
    statuses(seen).filter_map(|status| status.downgrade.as_deref())
}

fn statuses(seen: &Seen) -> impl Iterator<Item = &Status> {
    seen.members.values().filter_map(ClientAnswer::status)
}

/// A leader, the members whose turn it is, and the rest of what both ways have in common.
struct Way<'a> {
    spec: &'a ClusterSpec,
    to: EtcdVersion,
    seen: &'a Seen,
    leader: MemberName,
    /// Who is out of service comes first, the leader last.
    order: Vec<&'a MemberSpec>,
}

impl<'a> Way<'a> {
    fn of(
        spec: &'a ClusterSpec,
        to: &MemberProgram,
        seen: &'a Seen,
        table: Vec<Condition>,
    ) -> Result<Self, UpgradeRefused> {
        let bad: Vec<Condition> = table.into_iter().filter(|line| !line.ok).collect();
        if !bad.is_empty() {
            return Err(UpgradeRefused::Preflight { bad });
        }
        let is_ready = |member: &MemberSpec| {
            let answer = seen.members.get(&member.name);
            answer.is_some_and(ClientAnswer::is_ready)
        };
        let out = spec.members().iter().filter(|member| !is_ready(member));
        let out: Vec<MemberName> = out.map(|member| member.name.clone()).collect();
        if out.len() > 1 {
            return Err(UpgradeRefused::Several { members: out });
        }
        let leads = |member: &MemberSpec| {
            let status = seen.status(&member.name);
            status.is_some_and(Status::leads)
        };
        let mut members = spec.members().iter();
        let leader = members.find(|member| is_ready(member) && leads(member));
        let leader = leader.ok_or(UpgradeRefused::NoLeader)?.name.clone();
        // What is recorded counts too: a member that was begun and still runs the old one has files to be written.
        let is_there = |member: &&MemberSpec| {
            is_ready(member)
                && runs(spec, seen, member) == to.version
                && spec.version_of(member) == to.version
                && spec.program_of(member) == to.path
        };
        let mut order: Vec<_> = spec.members().iter().filter(|m| !is_there(m)).collect();
        order.sort_by_key(|member| (is_ready(member), leads(member)));
        Ok(Self {
            spec,
            to: to.version,
            seen,
            leader,
            order,
        })
    }

    /// Whether there is something to do, and no run before has begun with it.
    fn is_new(&self) -> bool {
        let spec = self.spec;
        let mut members = spec.members().iter();
        !self.order.is_empty() && members.all(|m| spec.version_of(m) == spec.version())
    }

    fn first_of_all(&self, steps: &mut Vec<UpgradeStep>) {
        if self.is_new() {
            steps.push(UpgradeStep::Snapshot {
                member: self.leader.clone(),
            });
        }
    }

    /// The members in their order, and the leader after it has handed over.
    fn replace(&self, steps: &mut Vec<UpgradeStep>) {
        for member in &self.order {
            let mut members = self.spec.members().iter();
            let successor = members.find(|other| other.name != self.leader);
            if let Some(successor) = successor.filter(|_| member.name == self.leader) {
                steps.push(UpgradeStep::MoveLeader {
                    from: self.leader.clone(),
                    to: successor.name.clone(),
                });
            }
            steps.push(UpgradeStep::Replace {
                member: member.name.clone(),
                from: runs(self.spec, self.seen, member),
                to: self.to,
                // The one that may be out of service comes first, so that later steps find it serving.
                serving: self.spec.members().len() - 1,
                quorum: self.spec.quorum(),
            });
        }
    }
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
            | Self::CancelDowngrade { member }
            | Self::Downgrade { member, .. }
            | Self::EndDowngrade { member }
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
            Self::CancelDowngrade { member } => {
                write!(f, "{member}: cancel the downgrade that has begun")
            }
            Self::Downgrade { member, to } => write!(
                f,
                "{member}: have all members write their stores in the format of 3.{}",
                to.minor
            ),
            Self::EndDowngrade { member } => {
                write!(f, "{member}: see that etcd has ended the downgrade")
            }
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
