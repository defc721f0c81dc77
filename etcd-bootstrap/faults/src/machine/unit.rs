//! The part of systemd.service(5) that the units under test use.

use host_exec::unit_file::values;
use std::{path::PathBuf, time::Duration};

/// A service as its unit file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) notify: bool,
    pub(super) environment_files: Vec<PathBuf>,
    pub(super) command: Vec<String>,
    pub(super) restart: Restart,
    pub(super) restart_after: Duration,
    pub(super) state_directory: Option<String>,
}

/// When a service that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Never,
    OnFailure,
    Always,
}

impl Unit {
    /// Reads a unit file; keys that matter to nobody here are passed over.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let last = |key| values(text, key).pop();
        let command = last("ExecStart").ok_or("no ExecStart=")?;
        let restart = match last("Restart").as_deref().unwrap_or("no") {
            "no" => Restart::Never,
            "on-failure" => Restart::OnFailure,
            "always" => Restart::Always,
            other => return Err(format!("Restart={other} is not played here")),
        };
        let seconds = last("RestartSec").unwrap_or_else(|| "0.1".into());
        let seconds = seconds.trim_end_matches('s').parse::<f64>();
        Ok(Self {
            notify: last("Type").as_deref() == Some("notify"),
            environment_files: values(text, "EnvironmentFile")
                .iter()
                .map(|path| PathBuf::from(path.trim_start_matches('-')))
                .collect(),
            command: command.split_whitespace().map(str::to_owned).collect(),
            restart,
            restart_after: Duration::from_secs_f64(seconds.map_err(|e| e.to_string())?),
            state_directory: last("StateDirectory"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_of_etcd_is_read() {
        let text = include_str!("../../../tests/data/etcd.service");
        let unit = Unit::parse(text).unwrap();
        assert!(unit.notify && unit.restart == Restart::OnFailure);
        assert_eq!(unit.restart_after, Duration::from_secs(1));
        assert_eq!(unit.state_directory.as_deref(), Some("etcd"));
        assert_eq!(
            unit.environment_files,
            [PathBuf::from("/etc/etcd/etcd.env")]
        );
        assert!(unit.command[0].ends_with("/etcd"));
    }
}
