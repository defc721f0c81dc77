//! What a lab's etcd has beyond its members.

use super::SpecError;
use etcd_bootstrap::schedule::{Interval, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// The word for no snapshots.
const NEVER: &str = "never";
/// As many as k3s keeps.
const KEEP: u8 = 5;

/// What etcd has beyond its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EtcdSpec {
    /// Snapshots that each member takes of itself.
    pub snapshots: SnapshotsSpec,
}

/// Snapshots that each member takes of itself by a timer, and keeps on its disk. None unless one of `every` and `at` says
/// when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotsSpec {
    /// How often, or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// At these hours of the day (UTC) instead, 0 to 23.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<u8>,
    /// How many each member keeps.
    pub keep: u8,
}

impl Default for SnapshotsSpec {
    fn default() -> Self {
        Self {
            every: None,
            at: Vec::new(),
            keep: KEEP,
        }
    }
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Every {
    /// Not at all.
    Never,
    /// Again and again.
    Interval(Interval),
}

impl TryFrom<String> for Every {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == NEVER {
            return Ok(Self::Never);
        }
        let interval = text.parse::<Interval>().map(Self::Interval);
        interval.map_err(|error| format!("{error}; or {NEVER:?}"))
    }
}

impl From<Every> for String {
    fn from(every: Every) -> Self {
        match every {
            Every::Never => NEVER.to_owned(),
            Every::Interval(interval) => interval.to_string(),
        }
    }
}

impl SnapshotsSpec {
    /// The same as etcd-bootstrap wants it told; `None` for no snapshots.
    ///
    /// # Errors
    ///
    /// Both ways to say when, an hour that is none, or a number to keep that is out of its range.
    pub(crate) fn schedule(&self) -> Result<Option<Schedule>, SpecError> {
        let Self { every, at, keep } = self;
        let refused = |why: ScheduleError| SpecError::Snapshots {
            why: why.to_string(),
        };
        let schedule = match every {
            Some(every) if !at.is_empty() => {
                let every = String::from(*every);
                return Err(SpecError::Snapshots {
                    why: format!("every {every:?} and at {at:?} are both given; leave one out"),
                });
            }
            Some(Every::Never) => return Ok(None),
            Some(Every::Interval(interval)) => Schedule::every(*interval, *keep),
            // What is not used yet is checked all the same.
            None if at.is_empty() => {
                let checked = Schedule::every(Interval::TWELVE_HOURS, *keep);
                return checked.map(|_| None).map_err(refused);
            }
            None => Schedule::at_hours(at, *keep),
        };
        schedule.map(Some).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use crate::LabSpec;

    fn said(text: &str) -> String {
        let spec = LabSpec::from_toml(&format!("[etcd]\nsnapshots = {{ {text} }}\n"));
        match spec.and_then(|spec| spec.check().map(|()| spec.etcd.snapshots.schedule())) {
            Ok(schedule) => schedule
                .unwrap()
                .map_or("off".to_owned(), |s| s.to_string()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn snapshots_are_taken_where_it_is_said_when() {
        let kept_in = "kept in /var/lib/etcd-snapshots";
        assert_eq!(said("keep = 5"), "off");
        assert_eq!(said("every = '12h'"), format!("every 12h, 5 {kept_in}"));
        assert_eq!(
            said("every = '6h', keep = 8"),
            format!("every 6h, 8 {kept_in}")
        );
        assert_eq!(
            said("at = [14, 2], keep = 1"),
            format!("at 02, 14 o'clock UTC, 1 {kept_in}")
        );
        assert_eq!(said("every = 'never'"), "off");
    }

    #[test]
    fn what_cannot_be_names_field_value_and_remedy() {
        for (text, expected) in [
            ("every = '7h'", "line 2, column"),
            ("every = '7h'", "every \"7h\": must be 5m, 6m"),
            (
                "every = 'daily'",
                "24h, so that it fits a day; or \"never\"",
            ),
            ("keep = 0", "etcd.snapshots: keep 0: must be 1 to 99"),
            ("keep = 300", "line 2, column"),
            (
                "at = [24]",
                "etcd.snapshots: at [24]: must be one or more hours from 0 to 23",
            ),
            (
                "every = '6h', at = [3]",
                "etcd.snapshots: every \"6h\" and at [3] are both given; leave one out",
            ),
            ("often = true", "unknown field `often`"),
        ] {
            let said = said(text);
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
