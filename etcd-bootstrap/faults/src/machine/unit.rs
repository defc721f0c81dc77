//! The part of systemd.service(5) that the units under test use.

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
        let values = |key: &'static str| {
            text.lines()
                .filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let last = |key| values(key).next_back();
        let command = last("ExecStart").ok_or("no ExecStart=")?;
        let restart = match last("Restart").unwrap_or("no") {
            "no" => Restart::Never,
            "on-failure" => Restart::OnFailure,
            "always" => Restart::Always,
            other => return Err(format!("Restart={other} is not played here")),
        };
        let seconds = last("RestartSec").unwrap_or("0.1");
        let seconds = seconds.trim_end_matches('s').parse::<f64>();
        Ok(Self {
            notify: last("Type") == Some("notify"),
            environment_files: values("EnvironmentFile")
                .map(|path| PathBuf::from(path.trim_start_matches('-')))
                .collect(),
            command: command.split_whitespace().map(str::to_owned).collect(),
            restart,
            restart_after: Duration::from_secs_f64(seconds.map_err(|e| e.to_string())?),
            state_directory: last("StateDirectory").map(str::to_owned),
        })
    }
}

/// The lines of an environment file, see `EnvironmentFile=` in systemd.exec(5). Ours has no quotes.
pub(super) fn environment(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
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
