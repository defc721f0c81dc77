//! The wall clock of a host, by which what runs there judges certificates.

use crate::{Command, Host, HostName, RunError};
use time::OffsetDateTime;

/// How much of an answer that is no time an error shows.
const SHOWN_CHARS: usize = 80;

/// The time of a host is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// `date(1)` did not run, or failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `date(1)` printed something else.
    #[error(
        "`date -u +%s` on {host} printed {printed:?}, not the seconds since 1970; look at its `date`"
    )]
    NoTime {
        /// The host.
        host: HostName,
        /// The beginning of what it printed.
        printed: String,
    },
}

/// What the clock of `host` says now, to the second: `date -u +%s`, which GNU, BusyBox and FreeBSD have.
///
/// # Errors
///
/// `date(1)` fails or prints no time that there is; the host is unreachable. A clock that is wrong is *not* an error.
pub async fn clock(host: &dyn Host) -> Result<OffsetDateTime, ClockError> {
    let output = host.run(&Command::new("date").args(["-u", "+%s"])).await?;
    let printed = output.stdout_text();
    parse(&printed).ok_or_else(|| ClockError::NoTime {
        host: host.name().clone(),
        printed: printed.trim().chars().take(SHOWN_CHARS).collect(),
    })
}

/// Such as `1795793117`, and a line's end.
fn parse(printed: &str) -> Option<OffsetDateTime> {
    let seconds = printed.trim().parse().ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_seconds_are_a_time() {
        let seconds = |printed: &str| parse(printed).map(OffsetDateTime::unix_timestamp);
        assert_eq!(seconds("1795793117\n"), Some(1_795_793_117));
        assert_eq!(seconds("-1\n"), Some(-1));
        // date(1) of a system without %s prints it as it is; a year has four digits at most.
        for bad in [
            "%s\n",
            "",
            "Fri Nov 27 15:25:17 UTC 2026\n",
            "9999999999999\n",
        ] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }
}
