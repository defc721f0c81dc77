//! Snapshots that the members of a lab's etcd take of themselves.

use super::RunningEtcd;
use crate::{Lab, LabPlanError, StateError, state::make_dir};
use etcd_bootstrap::{
    ClusterSpec, Hosts, MemberName, StoredSnapshot,
    schedule::{
        self, FetchError, Kept, Schedule, ScheduleApplyError, ScheduleObserveError, SchedulePlan,
        Site,
    },
};
use host_exec::{Condition, EventSink, Host};
use serde::Serialize;
use std::{fmt, path::Path, str::FromStr};
use time::OffsetDateTime;

/// After so many times the longest time between two snapshots the newest one is too old: one was missed.
const GAPS: u32 = 2;

/// A snapshot that a member has taken by its timer, as `etcd-1:2`: 1 is the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptName {
    /// The member.
    pub member: MemberName,
    /// Its number.
    pub number: u8,
}

/// A text that names no such snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no MEMBER:NUMBER, such as etcd-1:2; `lab etcd snapshots` lists them")]
pub struct InvalidKeptName(String);

impl FromStr for KeptName {
    type Err = InvalidKeptName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (member, number) = text.split_once(':')?;
            Some(Self {
                member: member.parse().ok()?,
                number: number.parse().ok()?,
            })
        };
        parse().ok_or_else(|| InvalidKeptName(text.to_owned()))
    }
}

impl fmt::Display for KeptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.member, self.number)
    }
}

/// What a member has of the snapshots that it takes by its timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduledSnapshots {
    /// Whether its timer runs.
    pub timer_runs: bool,
    /// Whether the last run failed since the machine has booted.
    pub last_failed: bool,
    /// Those it has, the newest first.
    pub kept: Vec<Kept>,
}

/// The timers could not be brought to what they have to be. etcd goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdScheduleError {
    /// A machine could not be looked at.
    #[error(transparent)]
    Observe(#[from] ScheduleObserveError),
    /// A step failed.
    #[error(transparent)]
    Apply(#[from] ScheduleApplyError),
}

/// A snapshot that a member has could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdKeptError {
    /// The lab could not be looked at.
    #[error(transparent)]
    Lab(#[from] LabPlanError),
    /// Nobody of this name is there to be asked.
    #[error("{0} is no member of etcd that runs; `lab etcd status` names them")]
    NoMember(MemberName),
    /// It is not there, or not whole.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is no place for it.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What is to be done with the timers.
pub(crate) async fn look_at_schedule(
    spec: &ClusterSpec,
    members: &Hosts,
) -> Result<SchedulePlan, ScheduleObserveError> {
    Ok(schedule::plan(
        spec,
        &schedule::observe(spec, members).await?,
    ))
}

/// Brings the timers to what they have to be. True if there was anything to do.
pub(crate) async fn settle_schedule(
    spec: &ClusterSpec,
    members: &Hosts,
    events: &dyn EventSink,
) -> Result<bool, EtcdScheduleError> {
    let plan = look_at_schedule(spec, members).await?;
    schedule::apply(spec, &plan, members, events).await?;
    Ok(!plan.is_empty())
}

/// One that a member has, checked and kept at `to`.
pub(super) async fn kept(
    etcd: &RunningEtcd,
    name: &KeptName,
    to: &Path,
) -> Result<StoredSnapshot, EtcdKeptError> {
    let KeptName { member, number } = name;
    let host = etcd.hosts.get(member);
    let host = host.ok_or_else(|| EtcdKeptError::NoMember(member.clone()))?;
    Ok(schedule::fetch(&etcd.spec, member, *number, host.as_ref(), to).await?)
}

/// What a member has, and whether that is as it has to be; nothing in a lab without a schedule.
pub(super) async fn examine(
    spec: &ClusterSpec,
    member: &MemberName,
    host: &dyn Host,
    now: OffsetDateTime,
) -> Option<(Option<ScheduledSnapshots>, Condition)> {
    let (wanted, own) = (spec.schedule()?, spec.member(member)?);
    let name = format!("{member} takes snapshots of itself");
    Some(match schedule::observe_member(spec, own, host).await {
        Ok(site) => {
            let (ok, evidence) = judge(wanted, member, &site, now);
            let seen = ScheduledSnapshots {
                timer_runs: site.timer.is_up(),
                last_failed: site.service.active == "failed",
                kept: site.kept,
            };
            (Some(seen), Condition::new(name, ok, evidence))
        }
        Err(error) => (None, Condition::new(name, false, error.to_string())),
    })
}

fn judge(
    wanted: &Schedule,
    member: &MemberName,
    site: &Site,
    now: OffsetDateTime,
) -> (bool, String) {
    let newest = site.kept.first().map(|kept| now - kept.taken);
    let too_old = wanted.longest_gap() * GAPS;
    if !site.timer.is_up() {
        return (false, "its timer does not run; `lab up` starts it".into());
    }
    if site.service.active == "failed" {
        let log = format!("`lab logs {member} etcd-snapshot` says why (status 123: no room)");
        return (false, format!("the last one failed; {log}"));
    }
    match newest {
        None => (true, "none yet".into()),
        Some(age) if age > too_old => (false, format!("the newest is {} old", words(age))),
        Some(age) => (
            true,
            format!("{} kept, the newest is {} old", site.kept.len(), words(age)),
        ),
    }
}

fn words(age: time::Duration) -> String {
    match (age.whole_days(), age.whole_hours(), age.whole_minutes()) {
        (days @ 3.., ..) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (.., minutes) => format!("{} minutes", minutes.max(0)),
    }
}

impl Lab {
    /// Fetches a snapshot that a member has taken by its timer, checks it to the last bit, and keeps it at `to` with mode
    /// 0600. Returns how many bytes it has.
    ///
    /// # Errors
    ///
    /// The lab cannot be looked at, there is no such member or snapshot, it is not whole, or it cannot be kept.
    pub async fn etcd_kept(&self, name: &KeptName, to: &Path) -> Result<u64, EtcdKeptError> {
        let etcd = self.running_etcd().await?;
        let own = self.state().snapshots();
        if to.parent() == Some(&own) {
            make_dir(&own)?;
        }
        Ok(kept(&etcd, name, to).await?.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_exec::systemd::UnitState;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn site(hours: &[i64], timer: &str, service: &str) -> Site {
        let unit = |active: &str| UnitState {
            active: active.into(),
            ..UnitState::default()
        };
        let kept = hours.iter().zip(1..).map(|(hours, number)| Kept {
            number,
            bytes: 20512,
            taken: NOW - time::Duration::hours(*hours),
        });
        Site {
            drifted: Vec::new(),
            timer: unit(timer),
            service: unit(service),
            kept: kept.collect(),
        }
    }

    #[test]
    fn what_is_too_old_failed_or_at_rest_is_said() {
        let wanted = Schedule::every("12h".parse().unwrap(), 5).unwrap();
        for (site, ok, evidence) in [
            (site(&[], "active", "inactive"), true, "none yet"),
            (
                site(&[1, 13], "active", "activating"),
                true,
                "2 kept, the newest is 60 minutes old",
            ),
            (
                site(&[25], "active", "inactive"),
                false,
                "the newest is 25 hours old",
            ),
            (
                site(&[1], "inactive", "inactive"),
                false,
                "`lab up` starts it",
            ),
            (site(&[1], "active", "failed"), false, "the last one failed"),
        ] {
            let said = judge(&wanted, &"etcd-1".parse().unwrap(), &site, NOW);
            assert!(said.0 == ok && said.1.contains(evidence), "{said:?}");
        }
    }

    #[test]
    fn a_kept_snapshot_has_a_member_and_a_number() {
        let name: KeptName = "etcd-1:2".parse().unwrap();
        assert_eq!(name.to_string(), "etcd-1:2");
        for bad in ["etcd-1", "etcd-1:", ":2", "etcd-1:x", "etcd-1:300", "a b:1"] {
            assert!(bad.parse::<KeptName>().is_err(), "{bad}");
        }
    }
}
