//! What is to be done about space, and in which order. Pure.

use crate::{Alarm, AlarmKind, ClientAnswer, ClusterSpec, MemberName, Status};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// Less than this free is not worth the time in which a member serves nobody: the rule of etcd's mixin and of the
/// defragmentation controllers in use.
const WORTH_BYTES: u64 = 100_000_000;
/// etcd's default for `--quota-backend-bytes`, which a member before 3.6 does not tell.
const DEFAULT_QUOTA_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Of a quota this many percent have to be free before its alarm is taken back: else the next writes raise it again.
const MARGIN_PERCENT: u64 = 10;

/// What the members say, from which a plan is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// What each member says to its clients.
    pub members: BTreeMap<MemberName, ClientAnswer>,
    /// The alarms of the cluster.
    pub alarms: Vec<Alarm>,
}

/// How a sweep is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DefragOptions {
    /// Also members with little to win.
    pub force: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum MaintenanceStep {
    /// Forget what keys were before this revision.
    Compact {
        /// The member that is asked; it is done on all.
        member: MemberName,
        /// The revision.
        revision: u64,
    },
    /// Give free pages back to the disk. All other members are ready before, and this one is ready again after it.
    Defragment {
        /// The member.
        member: MemberName,
        /// Whether it leads, so that an election may follow.
        leads: bool,
        /// The size of its store in bytes.
        db_bytes: u64,
        /// How much of that is in use.
        in_use_bytes: u64,
    },
    /// Go on only if the store is small enough now.
    CheckSize {
        /// The member.
        member: MemberName,
        /// The most, in bytes.
        at_most_bytes: u64,
    },
    /// Take an alarm back.
    Disarm {
        /// The member that is asked.
        member: MemberName,
        /// The alarm.
        alarm: Alarm,
    },
}

/// A member that is left alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The member.
    pub member: MemberName,
    /// Why.
    pub why: String,
}

/// What is to be done, in this order. Empty when nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MaintenancePlan {
    /// The steps.
    pub steps: Vec<MaintenanceStep>,
    /// Who is left alone.
    pub skipped: Vec<Skipped>,
}

/// A cluster that must not be worked on now. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceRefused {
    /// A member is not well, and one more out of service could be one too many.
    #[error("etcd member {member} is not ready ({seen}); mend it first")]
    NotReady {
        /// The member.
        member: MemberName,
        /// What it says.
        seen: String,
    },
    /// The members have no leader, or not the same one.
    #[error("the members of etcd follow no common leader; wait for the election, then try again")]
    NoLeader,
    /// The store of a member differs from the others.
    #[error(
        "etcd member {member} has raised CORRUPT: its store differs from the others; replace that member first, \
         the alarm is not taken back here"
    )]
    Corrupt {
        /// The member, by name or by ID.
        member: String,
    },
}

/// Plans a sweep over the stores of `spec`: followers in their order, the leader last; learners, which cannot be
/// defragmented (etcd#21740), and members with little to win are skipped. `NOSPACE` is no obstacle.
///
/// # Errors
///
/// A member is not ready, or there is no common leader, or `CORRUPT` is raised.
pub fn plan_defrag(
    spec: &ClusterSpec,
    seen: &Seen,
    options: DefragOptions,
) -> Result<MaintenancePlan, MaintenanceRefused> {
    let mut plan = MaintenancePlan::default();
    for (member, status) in in_order(spec, seen)? {
        let skipped = if status.is_learner {
            Some("a learner cannot be defragmented".to_owned())
        } else if options.force || is_worth_it(status) {
            None
        } else {
            Some(little_to_win(status))
        };
        match skipped {
            Some(why) => plan.skipped.push(Skipped { member, why }),
            None => plan.steps.push(defragment(member, status)),
        }
    }
    Ok(plan)
}

/// Plans the way out of `NOSPACE`: compact to the present revision, defragment every member (leader last), see that each
/// store has room again, then take the alarms back. Empty without such an alarm.
///
/// The quota is that of the specification; where that has none, what members from 3.6 on tell themselves.
///
/// # Errors
///
/// As [`plan_defrag`].
pub fn plan_space(spec: &ClusterSpec, seen: &Seen) -> Result<MaintenancePlan, MaintenanceRefused> {
    let order = in_order(spec, seen)?;
    let alarms = seen.alarms.iter().filter(|a| a.kind == AlarmKind::NoSpace);
    let alarms: Vec<&Alarm> = alarms.collect();
    // Compaction and alarms are asked of the leader, which answers for all.
    let Some((leader, newest)) = order.last().filter(|_| !alarms.is_empty()) else {
        return Ok(MaintenancePlan::default());
    };
    let mut plan = MaintenancePlan::default();
    plan.steps.push(MaintenanceStep::Compact {
        member: leader.clone(),
        revision: newest.revision,
    });
    let voters = || order.iter().filter(|(_, status)| !status.is_learner);
    let defragment = voters().map(|(member, status)| defragment(member.clone(), status));
    plan.steps.extend(defragment);
    for (member, status) in voters() {
        let told = Some(status.quota_bytes).filter(|quota| *quota > 0);
        let set = spec.tuning().quota_backend_bytes.filter(|quota| *quota > 0);
        let quota = set.or(told).unwrap_or(DEFAULT_QUOTA_BYTES);
        plan.steps.push(MaintenanceStep::CheckSize {
            member: member.clone(),
            at_most_bytes: quota - quota / 100 * MARGIN_PERCENT,
        });
    }
    plan.steps
        .extend(alarms.into_iter().map(|alarm| MaintenanceStep::Disarm {
            member: leader.clone(),
            alarm: *alarm,
        }));
    Ok(plan)
}

fn defragment(member: MemberName, status: &Status) -> MaintenanceStep {
    MaintenanceStep::Defragment {
        member,
        leads: status.leads(),
        db_bytes: status.db_size_bytes,
        in_use_bytes: status.db_in_use_bytes,
    }
}

fn is_worth_it(status: &Status) -> bool {
    let free = status.db_size_bytes.saturating_sub(status.db_in_use_bytes);
    free > WORTH_BYTES && status.db_in_use_bytes < status.db_size_bytes / 2
}

fn little_to_win(status: &Status) -> String {
    let free = status.db_size_bytes.saturating_sub(status.db_in_use_bytes);
    format!("only {free} of {} bytes are free", status.db_size_bytes)
}

/// The members that can be worked on, the leader last.
fn in_order<'s>(
    spec: &ClusterSpec,
    seen: &'s Seen,
) -> Result<Vec<(MemberName, &'s Status)>, MaintenanceRefused> {
    refuse_corrupt(spec, seen)?;
    let mut order = Vec::new();
    for member in spec.members() {
        let name = &member.name;
        let not_ready = || MaintenanceRefused::NotReady {
            member: name.clone(),
            seen: seen
                .members
                .get(name)
                .map_or("not asked".into(), ToString::to_string),
        };
        let status = seen.status(name).ok_or_else(not_ready)?;
        let answer = seen.members.get(name);
        // A learner never says that it is ready.
        if !(status.is_learner || answer.is_some_and(ClientAnswer::is_ready)) {
            return Err(not_ready());
        }
        order.push((name.clone(), status));
    }
    let leader = order.iter().find(|(_, status)| status.leads());
    let leader = leader.map(|(_, status)| status.member_id);
    if leader.is_none() || order.iter().any(|(_, status)| status.leader != leader) {
        return Err(MaintenanceRefused::NoLeader);
    }
    order.sort_by_key(|(_, status)| status.leads());
    Ok(order)
}

fn refuse_corrupt(spec: &ClusterSpec, seen: &Seen) -> Result<(), MaintenanceRefused> {
    let Some(alarm) = seen.alarms.iter().find(|a| a.kind == AlarmKind::Corrupt) else {
        return Ok(());
    };
    let mut names = spec.members().iter().map(|member| &member.name);
    let named = names.find(|name| {
        seen.status(name)
            .is_some_and(|s| s.member_id == alarm.member)
    });
    Err(MaintenanceRefused::Corrupt {
        member: named.map_or(alarm.member.to_string(), ToString::to_string),
    })
}

impl MaintenancePlan {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl MaintenanceStep {
    /// The member concerned, or asked.
    #[must_use]
    pub fn member(&self) -> &MemberName {
        match self {
            Self::Compact { member, .. }
            | Self::Defragment { member, .. }
            | Self::CheckSize { member, .. }
            | Self::Disarm { member, .. } => member,
        }
    }
}

impl fmt::Display for MaintenancePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps
            .iter()
            .try_for_each(|step| writeln!(f, "{step}"))?;
        let mut skipped = self.skipped.iter();
        skipped.try_for_each(|Skipped { member, why }| writeln!(f, "{member}: skipped, {why}"))
    }
}

impl fmt::Display for MaintenanceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compact { member, revision } => {
                write!(
                    f,
                    "{member}: compact the keys of all members to revision {revision}"
                )
            }
            Self::Defragment {
                member,
                leads,
                db_bytes,
                in_use_bytes,
            } => {
                let last = if *leads { ", the leader" } else { "" };
                write!(
                    f,
                    "{member}: defragment ({in_use_bytes} of {db_bytes} bytes in use{last})"
                )
            }
            Self::CheckSize {
                member,
                at_most_bytes,
            } => {
                write!(
                    f,
                    "{member}: go on if its store has at most {at_most_bytes} bytes"
                )
            }
            Self::Disarm { member, alarm } => {
                write!(
                    f,
                    "{member}: disarm {} of member {}",
                    alarm.kind, alarm.member
                )
            }
        }
    }
}
