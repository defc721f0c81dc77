//! What is there of the schedule on each member. Changes nothing.

use super::{
    Schedule,
    unit::{files, service_name, timer_name},
};
use crate::{ClusterSpec, Hosts, MemberName, MemberSpec, Unreachable, probe::host_of};
use futures::future::try_join_all;
use host_exec::{
    Command, FileError, Host, RunError,
    files::{self as on_host, Drift},
    systemd::{self, UnitState},
};
use serde::{Serialize, Serializer, ser::Error};
use std::{collections::BTreeMap, path::Path, path::PathBuf};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A member that could not be looked at. One without timer or snapshots is *not* an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleObserveError {
    /// The caller gave no host for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A unit file could not be examined.
    #[error("cannot observe the units for snapshots of etcd member {member}")]
    Files {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// systemd or find(1) failed.
    #[error("cannot observe the {what} of etcd member {member}")]
    Run {
        /// The member.
        member: MemberName,
        /// `timer` or `snapshots`.
        what: &'static str,
        /// The cause.
        #[source]
        source: RunError,
    },
}

/// What is there of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Each member that was looked at.
    pub members: BTreeMap<MemberName, Site>,
}

/// What is there of it on one member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// The files that differ from what they have to be, in the order in which they are written.
    pub drifted: Vec<(PathBuf, Drift)>,
    /// The timer.
    pub timer: UnitState,
    /// The service, which runs for as long as a snapshot is taken.
    pub service: UnitState,
    /// The snapshots, the newest first.
    pub kept: Vec<Kept>,
}

/// A snapshot on a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its number; 1 is the newest.
    pub number: u8,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was taken, to the second and by the clock of the member.
    #[serde(serialize_with = "rfc_3339")]
    pub taken: OffsetDateTime,
}

impl Observed {
    /// The members of `spec` on machines that do not exist yet: for a plan on paper.
    #[must_use]
    pub fn nothing(spec: &ClusterSpec) -> Self {
        let absent = |member: &MemberSpec| {
            let missing = |file: host_exec::File| (file.path, Drift::Missing);
            let drifted = files(spec, member).into_iter().map(missing).collect();
            let unit = UnitState {
                load: "not-found".into(),
                ..UnitState::default()
            };
            let site = Site {
                drifted,
                timer: unit.clone(),
                service: unit,
                kept: Vec::new(),
            };
            (member.name.clone(), site)
        };
        Self {
            members: spec.members().iter().map(absent).collect(),
        }
    }
}

fn rfc_3339<S: Serializer>(moment: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
    moment
        .format(&Rfc3339)
        .map_err(Error::custom)?
        .serialize(to)
}

/// Looks at all members at once: one call of systemctl, one of find(1), and two files of each.
///
/// # Errors
///
/// A member has no host, or its host does not answer.
pub async fn observe(spec: &ClusterSpec, hosts: &Hosts) -> Result<Observed, ScheduleObserveError> {
    let looks = spec.members().iter().map(|member| async {
        let host = host_of(hosts, &member.name)?.as_ref();
        let site = observe_member(spec, member, host).await?;
        Ok::<_, ScheduleObserveError>((member.name.clone(), site))
    });
    Ok(Observed {
        members: try_join_all(looks).await?.into_iter().collect(),
    })
}

/// Looks at one member.
///
/// # Errors
///
/// Its host does not answer.
pub async fn observe_member(
    spec: &ClusterSpec,
    member: &MemberSpec,
    host: &dyn Host,
) -> Result<Site, ScheduleObserveError> {
    let wanted = files(spec, member);
    let run = |what| {
        let member = member.name.clone();
        move |source| ScheduleObserveError::Run {
            member,
            what,
            source,
        }
    };
    let drifted = async {
        let drifted = on_host::observe(host, &wanted).await;
        drifted.map_err(|source| ScheduleObserveError::Files {
            member: member.name.clone(),
            source,
        })
    };
    let units = [timer_name(), service_name()];
    let states = async {
        let states = systemd::states(host, &units).await;
        states.map_err(run("timer"))
    };
    let kept = async {
        match spec.schedule() {
            Some(schedule) => kept(schedule, host).await.map_err(run("snapshots")),
            None => Ok(Vec::new()),
        }
    };
    let (drifted, mut states, kept) = futures::try_join!(drifted, states, kept)?;
    let drifted = drifted
        .into_iter()
        .map(|(file, drift)| (file.path.clone(), drift))
        .collect();
    Ok(Site {
        drifted,
        timer: states.remove(&units[0]).unwrap_or_default(),
        service: states.remove(&units[1]).unwrap_or_default(),
        kept,
    })
}

/// The snapshots on a host, the newest first; none where there is no directory.
pub(super) async fn kept(schedule: &Schedule, host: &dyn Host) -> Result<Vec<Kept>, RunError> {
    let find = find(schedule.directory());
    let output = host.output(&find).await?;
    if output.status.success() {
        return Ok(parse(&output.stdout_text()));
    }
    if output.stderr_text().contains("No such file or directory") {
        return Ok(Vec::new());
    }
    // Once more, for an error that carries status and message; it may also have healed meanwhile.
    Ok(parse(&host.run(&find).await?.stdout_text()))
}

fn find(directory: &Path) -> Command {
    Command::new("find")
        .arg(directory.to_string_lossy().into_owned())
        .args(["-mindepth", "1", "-maxdepth", "1", "-type", "f"])
        .args(["-name", "*.db", "-printf", "%f %s %T@\n"])
        .env("LC_ALL", "C")
}

/// Reads the answer of find(1); names that are no numbers are somebody else's, or a snapshot that is not whole yet.
///
/// ```text
/// 1.db 20512 1795765623.5312640480
/// new.db 20512 1795765629.0000000000
/// ```
fn parse(text: &str) -> Vec<Kept> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (name, bytes, taken) = (words.next()?, words.next()?, words.next()?);
        let number = name.strip_suffix(".db")?.parse().ok()?;
        // `01.db` is none of ours.
        if number == 0 || name != format!("{number}.db") {
            return None;
        }
        let seconds = taken.split('.').next()?.parse().ok()?;
        Some(Kept {
            number,
            bytes: bytes.parse().ok()?,
            taken: OffsetDateTime::from_unix_timestamp(seconds).ok()?,
        })
    };
    let mut kept: Vec<Kept> = text.lines().filter_map(line).collect();
    kept.sort_by_key(|kept| kept.number);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// findutils 4.9.0, Debian 12.
    #[test]
    fn the_newest_comes_first_and_what_is_not_whole_is_none() {
        let text = "10.db 20512 1795700000.5312640480\nnew.db 20512 1795765629.0000000000\n\
            2.db 20512 1795765000.0000000000\n01.db 1 1795765000.0\n0.db 1 1795765000.0\n";
        let kept = parse(text);
        let numbers: Vec<_> = kept.iter().map(|kept| kept.number).collect();
        assert_eq!(numbers, [2, 10]);
        assert_eq!(kept[0].bytes, 20512);
        assert_eq!(kept[0].taken.unix_timestamp(), 1_795_765_000);
    }
}
