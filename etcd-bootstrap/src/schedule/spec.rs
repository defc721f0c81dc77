//! When snapshots are taken, how many are kept, and where.

use crate::{ClusterSpec, spec::is_plain};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// The most that are kept. Each takes as much room as the store.
pub const MAX_KEEP: u8 = 99;
/// Where they are, unless said otherwise. Not below the data of etcd, which a restore renames.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/etcd-snapshots";

const MINUTES_OF_HOUR: u16 = 60;
const MINUTES_OF_DAY: u16 = 24 * MINUTES_OF_HOUR;
/// Snapshots that follow each other faster would be in each other's way on a slow disk.
const LEAST_MINUTES: u16 = 5;

/// The time between two snapshots of a member: 5, 6, 10, 12, 15, 20 or 30 minutes, or 1, 2, 3, 4, 6, 8, 12 or 24 hours.
/// Others would not fit a day, and the last one of a day would be closer to the first of the next.
///
/// ```
/// use etcd_bootstrap::schedule::Interval;
///
/// let interval: Interval = "6h".parse()?;
/// assert_eq!(interval.minutes(), 360);
/// assert_eq!(interval.to_string(), "6h");
/// assert!("7h".parse::<Interval>().is_err());
/// # Ok::<(), etcd_bootstrap::schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval {
    minutes: u16,
}

impl Interval {
    /// Twelve hours, as k3s has it.
    pub const TWELVE_HOURS: Self = Self { minutes: 720 };

    /// How many minutes it has.
    #[must_use]
    pub fn minutes(self) -> u16 {
        self.minutes
    }
}

impl FromStr for Interval {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |unit, minutes: u16| {
            let number: u16 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(minutes)
        };
        let fits = |minutes: &u16| match *minutes {
            LEAST_MINUTES..MINUTES_OF_HOUR => MINUTES_OF_HOUR.is_multiple_of(*minutes),
            MINUTES_OF_HOUR..=MINUTES_OF_DAY => {
                minutes.is_multiple_of(MINUTES_OF_HOUR) && MINUTES_OF_DAY.is_multiple_of(*minutes)
            }
            _ => false,
        };
        let minutes = parse('h', MINUTES_OF_HOUR).or_else(|| parse('m', 1));
        let minutes = minutes.filter(fits);
        minutes
            .map(|minutes| Self { minutes })
            .ok_or_else(|| ScheduleError::Interval(text.to_owned()))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minutes.is_multiple_of(MINUTES_OF_HOUR) {
            true => write!(f, "{}h", self.minutes / MINUTES_OF_HOUR),
            false => write!(f, "{}m", self.minutes),
        }
    }
}

impl TryFrom<String> for Interval {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> Self {
        interval.to_string()
    }
}

/// When a snapshot is taken, in UTC: days of 23 or 25 hours are no concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Times {
    /// Again and again, from midnight on.
    Every(Interval),
    /// At these hours, 0 to 23, in ascending order.
    At(Vec<u8>),
}

/// Snapshots by a timer. Only legal ones can be made; see [`ClusterSpec::with_schedule`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedule {
    times: Times,
    keep: u8,
    directory: PathBuf,
}

/// A schedule that cannot be, with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// No time between two snapshots.
    #[error(
        "every {0:?}: must be 5m, 6m, 10m, 12m, 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h, so that it fits a day"
    )]
    Interval(String),
    /// No hour, or one twice.
    #[error("at {0:?}: must be one or more hours from 0 to 23, each once")]
    Hours(Vec<u8>),
    /// Too many, or none.
    #[error("keep {0}: must be 1 to {MAX_KEEP}; each takes as much room as the store")]
    Keep(u8),
    /// A path that would need quotes in a unit.
    #[error(
        "snapshot directory {}: must be an absolute path of letters, digits and any of '/-_.+'", .0.display()
    )]
    Directory(PathBuf),
    /// A place that is moved aside with the data, or holds it.
    #[error(
        "snapshot directory {} and the data of etcd member {member} in {} are one in the other; a restore moves the data: \
         give the snapshots a place of their own", .directory.display(), .data_dir.display()
    )]
    InData {
        /// The member.
        member: crate::MemberName,
        /// Its data.
        data_dir: PathBuf,
        /// Where snapshots were to be.
        directory: PathBuf,
    },
}

impl Schedule {
    /// A snapshot every `interval`, of which `keep` are kept, in [`DEFAULT_DIRECTORY`].
    ///
    /// # Errors
    ///
    /// `keep` is 0, or more than [`MAX_KEEP`].
    pub fn every(interval: Interval, keep: u8) -> Result<Self, ScheduleError> {
        Self::new(Times::Every(interval), keep)
    }

    /// A snapshot at each of these hours of the day, in UTC, of which `keep` are kept, in [`DEFAULT_DIRECTORY`].
    ///
    /// # Errors
    ///
    /// No hour, one after 23, one twice; `keep` as for [`Schedule::every`].
    pub fn at_hours(hours: &[u8], keep: u8) -> Result<Self, ScheduleError> {
        let mut sorted = hours.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let legal = sorted.len() == hours.len() && sorted.last().is_some_and(|hour| *hour < 24);
        if !legal {
            return Err(ScheduleError::Hours(hours.to_vec()));
        }
        Self::new(Times::At(sorted), keep)
    }

    fn new(times: Times, keep: u8) -> Result<Self, ScheduleError> {
        if !(1..=MAX_KEEP).contains(&keep) {
            return Err(ScheduleError::Keep(keep));
        }
        Ok(Self {
            times,
            keep,
            directory: DEFAULT_DIRECTORY.into(),
        })
    }

    /// The same with the snapshots at another place of the members. It is made when it is needed.
    ///
    /// # Errors
    ///
    /// A path that is not absolute, or that would need quotes in a unit.
    pub fn below(mut self, directory: &Path) -> Result<Self, ScheduleError> {
        if !is_plain(directory) {
            return Err(ScheduleError::Directory(directory.to_owned()));
        }
        directory.clone_into(&mut self.directory);
        Ok(self)
    }

    /// When.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// How many are kept.
    #[must_use]
    pub fn keep(&self) -> u8 {
        self.keep
    }

    /// Where they are, on each member.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the snapshot with this number is. 1 is the newest.
    #[must_use]
    pub fn path(&self, number: u8) -> PathBuf {
        self.directory.join(format!("{number}.db"))
    }

    /// The longest time between two snapshots of a member.
    #[must_use]
    pub fn longest_gap(&self) -> Duration {
        let hours = match &self.times {
            Times::Every(interval) => {
                return Duration::from_secs(u64::from(interval.minutes()) * 60);
            }
            Times::At(hours) => hours,
        };
        // From the last one to the first of the next day.
        let over_night = hours.first().zip(hours.last());
        let over_night = over_night.map_or(24, |(first, last)| 24 - last + first);
        let by_day = hours.windows(2).map(|pair| pair[1] - pair[0]).max();
        let longest = by_day.map_or(over_night, |by_day| by_day.max(over_night));
        Duration::from_secs(u64::from(longest) * 3600)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.times {
            Times::Every(interval) => write!(f, "every {interval}")?,
            Times::At(hours) => {
                let hours: Vec<_> = hours.iter().map(|hour| format!("{hour:02}")).collect();
                write!(f, "at {} o'clock UTC", hours.join(", "))?;
            }
        }
        write!(f, ", {} kept in {}", self.keep, self.directory.display())
    }
}

impl ClusterSpec {
    /// The same cluster, whose members take snapshots of themselves. Without this they take none.
    ///
    /// # Errors
    ///
    /// The snapshots would lie in the data of a member, or its data among them.
    pub fn with_schedule(mut self, schedule: Schedule) -> Result<Self, ScheduleError> {
        let directory = schedule.directory();
        let nested = |data: &Path| data.starts_with(directory) || directory.starts_with(data);
        if let Some(member) = self.members().iter().find(|m| nested(&m.data_dir)) {
            return Err(ScheduleError::InData {
                member: member.name.clone(),
                data_dir: member.data_dir.clone(),
                directory: directory.to_owned(),
            });
        }
        self.schedule = Some(schedule);
        Ok(self)
    }
}
