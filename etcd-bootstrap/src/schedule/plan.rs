//! From the schedule that is wanted and what is there to what has to be done. Pure.

use super::{Observed, Schedule, Site};
use crate::{ClusterSpec, MemberName};
use host_exec::systemd::UnitState;
use serde::Serialize;
use std::{fmt, path::PathBuf};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum ScheduleStep {
    /// Write these units.
    WriteFiles {
        /// The member.
        member: MemberName,
        /// The files, in this order.
        paths: Vec<PathBuf>,
    },
    /// Have systemd read its units again.
    ReloadUnits {
        /// The member.
        member: MemberName,
    },
    /// Have the timer started at boot.
    Enable {
        /// The member.
        member: MemberName,
    },
    /// Start the timer, or start it again with other times. Takes no snapshot.
    StartTimer {
        /// The member.
        member: MemberName,
    },
    /// Delete snapshots that are more than are to be kept.
    Delete {
        /// The member.
        member: MemberName,
        /// Their files, the oldest last.
        paths: Vec<PathBuf>,
    },
    /// Stop and disable the timer, and delete its units. The snapshots stay.
    Remove {
        /// The member.
        member: MemberName,
    },
}

/// What has to be done, member by member. Empty when nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SchedulePlan {
    /// The steps. Those of one member are done in their order, those of several at the same time.
    pub steps: Vec<ScheduleStep>,
}

/// Plans from what is there to the schedule of `spec`, on each member that was looked at; without one, to no timer.
///
/// Nobody's etcd is touched, and no plan is refused: a member that is down has its timer too, and takes no snapshot until
/// it is up.
#[must_use]
pub fn plan(spec: &ClusterSpec, observed: &Observed) -> SchedulePlan {
    let members = spec.members().iter();
    let sites = members.filter_map(|m| Some((&m.name, observed.members.get(&m.name)?)));
    let steps = sites.flat_map(|(member, site)| match spec.schedule() {
        Some(schedule) => install(schedule, member, site),
        None => remove(member, site),
    });
    SchedulePlan {
        steps: steps.collect(),
    }
}

fn install(schedule: &Schedule, member: &MemberName, site: &Site) -> Vec<ScheduleStep> {
    let member = || member.clone();
    let paths: Vec<PathBuf> = site.drifted.iter().map(|(path, _)| path.clone()).collect();
    let is_known = |unit: &UnitState| unit.load != "not-found";
    let units = [&site.timer, &site.service];
    // What systemd has not read yet it reads when it is asked for.
    let reload = units.iter().any(|unit| unit.needs_reload)
        || (!paths.is_empty() && units.into_iter().any(is_known));
    let surplus = site.kept.iter().map(|kept| kept.number);
    let surplus: Vec<_> = surplus
        .filter(|number| *number > schedule.keep())
        .map(|number| schedule.path(number))
        .collect();
    let mut steps = Vec::new();
    if !paths.is_empty() {
        steps.push(ScheduleStep::WriteFiles {
            member: member(),
            paths,
        });
    }
    if reload {
        steps.push(ScheduleStep::ReloadUnits { member: member() });
    }
    if !site.timer.is_enabled() {
        steps.push(ScheduleStep::Enable { member: member() });
    }
    // One that runs with an older file goes by that file's times.
    if reload || !site.timer.is_up() {
        steps.push(ScheduleStep::StartTimer { member: member() });
    }
    if !surplus.is_empty() {
        steps.push(ScheduleStep::Delete {
            member: member(),
            paths: surplus,
        });
    }
    steps
}

fn remove(member: &MemberName, site: &Site) -> Vec<ScheduleStep> {
    let gone = |unit: &UnitState| unit.load == "not-found" && !unit.is_up();
    match gone(&site.timer) && gone(&site.service) {
        true => Vec::new(),
        false => vec![ScheduleStep::Remove {
            member: member.clone(),
        }],
    }
}

impl SchedulePlan {
    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl ScheduleStep {
    /// The member concerned.
    #[must_use]
    pub fn member(&self) -> &MemberName {
        match self {
            Self::WriteFiles { member, .. }
            | Self::ReloadUnits { member }
            | Self::Enable { member }
            | Self::StartTimer { member }
            | Self::Delete { member, .. }
            | Self::Remove { member } => member,
        }
    }
}

impl fmt::Display for SchedulePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for ScheduleStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |paths: &[PathBuf]| {
            let paths = paths.iter().map(|path| path.display().to_string());
            paths.collect::<Vec<_>>().join(" ")
        };
        write!(f, "{}: ", self.member())?;
        match self {
            Self::WriteFiles { paths, .. } => write!(f, "write {}", list(paths)),
            Self::ReloadUnits { .. } => f.write_str("reload systemd"),
            Self::Enable { .. } => f.write_str("start the timer of snapshots at boot"),
            Self::StartTimer { .. } => f.write_str("start the timer of snapshots"),
            Self::Delete { paths, .. } => {
                write!(f, "delete {}, more than are to be kept", list(paths))
            }
            Self::Remove { .. } => f.write_str("remove the timer of snapshots; the snapshots stay"),
        }
    }
}
