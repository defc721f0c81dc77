//! Services of a host, kept by systemd.
//!
//! Thin and exact: each function is one call of `systemctl(1)` or `journalctl(1)`. Nothing here waits for a
//! service to become ready; that is a condition of the caller, see [`poll`](crate::poll).

use crate::{Command, Host, Output, RunError};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The name of a unit with its suffix, such as `etcd.service`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(String);

/// Why a text is not a [`UnitName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unit name {0:?} must be letters, digits and any of ':-_.@', ending in a unit type such as '.service'"
)]
pub struct InvalidUnitName(String);

impl UnitName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UnitName {
    type Err = InvalidUnitName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const TYPES: [&str; 6] = ["service", "socket", "target", "timer", "mount", "slice"];
        let legal = |b: u8| b.is_ascii_alphanumeric() || b":-_.@".contains(&b);
        let typed = text
            .rsplit_once('.')
            .is_some_and(|(name, kind)| !name.is_empty() && TYPES.contains(&kind));
        // The length limit is systemd.unit(5)'s. A leading '-' would be an option.
        let good = typed && text.len() <= 255 && !text.starts_with('-') && text.bytes().all(legal);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidUnitName(text.to_owned()))
        }
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What systemd says about a unit, in its own words (`systemctl show`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`, ...
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed`, ...
    pub active: String,
    /// `running`, `start`, `dead`, `auto-restart`, ...
    pub sub: String,
    /// `enabled`, `disabled`, `static`, ... or empty.
    pub file: String,
    /// `success`, `exit-code`, `signal`, ...: how it last ended.
    pub result: String,
    /// The unit file changed since systemd read it.
    pub needs_reload: bool,
}

impl UnitState {
    /// Whether the service runs or is on its way: started, or starting and not yet ready.
    pub fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading")
            && self.sub != "auto-restart"
    }

    /// Whether it is started at boot.
    pub fn is_enabled(&self) -> bool {
        self.file.starts_with("enabled") || self.file == "static"
    }

    /// Whether it neither runs nor will at the next boot: there is nothing to stop and nothing to disable. One that
    /// systemd does not know is at rest.
    pub fn is_at_rest(&self) -> bool {
        let runs = !matches!(self.active.as_str(), "inactive" | "failed" | "");
        !runs && !self.is_enabled()
    }
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, last result {})",
            self.active, self.sub, self.result
        )
    }
}

/// The state of each of `units`; one that systemd does not know has `load` = `not-found`.
///
/// # Errors
///
/// systemd does not answer, or the host is unreachable.
pub async fn states(
    host: &dyn Host,
    units: &[UnitName],
) -> Result<BTreeMap<UnitName, UnitState>, RunError> {
    if units.is_empty() {
        return Ok(BTreeMap::new());
    }
    let show = Command::new("systemctl")
        .args([
            "show",
            "--property=LoadState,ActiveState,SubState,UnitFileState,Result,NeedDaemonReload",
        ])
        .arg("--")
        .args(units.iter().map(UnitName::as_str));
    let output = host.run(&show).await?;
    Ok(units
        .iter()
        .cloned()
        .zip(parse_states(&output.stdout_text()))
        .collect())
}

/// Reads the answer of `systemctl show`: one block of `Key=value` lines per unit, in the order asked,
/// blank lines between.
///
/// ```text
/// Result=success
/// LoadState=loaded
/// ActiveState=active
/// SubState=running
/// UnitFileState=enabled
/// NeedDaemonReload=no
/// ```
fn parse_states(text: &str) -> Vec<UnitState> {
    text.split("\n\n")
        .map(|block| {
            let mut state = UnitState::default();
            for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
                match key {
                    "LoadState" => value.clone_into(&mut state.load),
                    "ActiveState" => value.clone_into(&mut state.active),
                    "SubState" => value.clone_into(&mut state.sub),
                    "UnitFileState" => value.clone_into(&mut state.file),
                    "Result" => value.clone_into(&mut state.result),
                    "NeedDaemonReload" => state.needs_reload = value == "yes",
                    _ => {}
                }
            }
            state
        })
        .collect()
}

/// Makes systemd read all unit files again.
///
/// # Errors
///
/// systemd does not answer, or the host is unreachable.
pub async fn daemon_reload(host: &dyn Host) -> Result<Output, RunError> {
    host.run(&Command::new("systemctl").arg("daemon-reload"))
        .await
}

/// Has `units` started at every boot from now on. Starts nothing, and makes systemd read all unit files again, as
/// plain `systemctl enable` does, only where it would not see it otherwise: what it links takes effect at the next boot.
///
/// # Errors
///
/// A unit is unknown or has no `[Install]` section; the host is unreachable.
pub async fn enable(host: &dyn Host, units: &[UnitName]) -> Result<Output, RunError> {
    let output = unit_command(host, &["enable", "--quiet", "--no-reload"], units).await?;
    // Of a unit that runs systemd remembers what it once said about it, until it reads all files again: somebody
    // who looked before, and was killed, would see it disabled for ever.
    let seen = states(host, units).await?;
    if !seen.values().all(UnitState::is_enabled) {
        daemon_reload(host).await?;
    }
    Ok(output)
}

/// Has `units` started at no boot any more. What runs is left alone.
///
/// # Errors
///
/// The host is unreachable. A unit that is not enabled is *not* an error.
pub async fn disable(host: &dyn Host, units: &[UnitName]) -> Result<Output, RunError> {
    unit_command(host, &["disable", "--quiet"], units).await
}

/// Asks for `units` to be started and does not wait for it. One that runs is left alone.
///
/// # Errors
///
/// A unit is unknown; the host is unreachable. A service that fails later is *not* an error here.
pub async fn start(host: &dyn Host, units: &[UnitName]) -> Result<Output, RunError> {
    unit_command(host, &["start", "--no-block"], units).await
}

/// Asks for `units` to be stopped and started again, or started, and does not wait for it.
///
/// # Errors
///
/// As [`start`].
pub async fn restart(host: &dyn Host, units: &[UnitName]) -> Result<Output, RunError> {
    unit_command(host, &["restart", "--no-block"], units).await
}

/// Has `units`, which run, take in changed files by what their `ExecReload` says, and waits for that command.
///
/// # Errors
///
/// A unit does not run, or has no `ExecReload`; the host is unreachable.
pub async fn reload(host: &dyn Host, units: &[UnitName]) -> Result<Output, RunError> {
    unit_command(host, &["reload"], units).await
}

/// Stops `units` and waits until they are.
///
/// # Errors
///
/// A unit is unknown; it does not stop in time; the host is unreachable.
pub async fn stop(host: &dyn Host, units: &[UnitName]) -> Result<Output, RunError> {
    unit_command(host, &["stop"], units).await
}

/// The last `lines` lines of a unit's log, oldest first, without timestamps.
///
/// # Errors
///
/// The journal cannot be read; the host is unreachable. An empty log is *not* an error.
pub async fn journal(host: &dyn Host, unit: &UnitName, lines: u32) -> Result<String, RunError> {
    let command = Command::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=cat", "--unit"])
        .arg(unit.as_str())
        .arg(format!("--lines={lines}"));
    Ok(host.run(&command).await?.stdout_text().into_owned())
}

async fn unit_command(
    host: &dyn Host,
    verb: &[&str],
    units: &[UnitName],
) -> Result<Output, RunError> {
    let command = Command::new("systemctl")
        .args(verb.iter().copied())
        .arg("--")
        .args(units.iter().map(UnitName::as_str));
    host.run(&command).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_cannot_be_options_or_paths() {
        for good in ["etcd.service", "kube-proxy.service", "a@b.timer"] {
            assert_eq!(good.parse::<UnitName>().unwrap().as_str(), good);
        }
        for bad in [
            "etcd",
            ".service",
            "-x.service",
            "a/b.service",
            "a b.service",
            "a.txt",
            "",
        ] {
            assert!(bad.parse::<UnitName>().is_err(), "{bad:?}");
        }
    }

    /// systemd 252, Debian 12: `systemctl show --property=... -- etcd.service nothing.service`.
    #[test]
    fn states_are_read_block_by_block() {
        let text = "Result=success\nLoadState=loaded\nActiveState=activating\nSubState=start\n\
            UnitFileState=enabled\nNeedDaemonReload=no\n\nResult=success\nLoadState=not-found\n\
            ActiveState=inactive\nSubState=dead\nUnitFileState=\nNeedDaemonReload=no\n";
        let states = parse_states(text);
        assert_eq!(states.len(), 2);
        assert!(states[0].is_up() && states[0].is_enabled());
        assert!(!states[1].is_up() && !states[1].is_enabled());
        assert_eq!(states[1].load, "not-found");
        assert!(!states[0].is_at_rest() && states[1].is_at_rest());
    }

    #[test]
    fn what_runs_or_will_is_not_at_rest() {
        let at_rest = |active: &str, file: &str| {
            let (active, file) = (active.to_owned(), file.to_owned());
            let state = UnitState {
                active,
                file,
                ..UnitState::default()
            };
            state.is_at_rest()
        };
        assert!(at_rest("inactive", "disabled") && at_rest("failed", "") && at_rest("", ""));
        // Between two starts, on its way to an end, or off until the next boot.
        assert!(!at_rest("activating", "disabled") && !at_rest("deactivating", "disabled"));
        assert!(!at_rest("inactive", "enabled"));
    }
}
