//! Running a command in a host.

use super::Place;
use crate::cgroup;
use anyhow::{Context, Result, bail};
use std::{fs, os::unix::process::CommandExt, path::Path, process::Command};

/// One connection on standard input and output, as inetd(8) gives it.
pub(super) const SSHD: [&str; 5] = [
    "/usr/sbin/sshd",
    "-i",
    "-f",
    "/etc/ssh/sshd_config",
    "-E/var/log/sshd.log",
];

/// Becomes a command in the host.
pub(super) fn enter(dir: &Path, command: &[&str]) -> Result<()> {
    let place = Place::existing(dir)?;
    let init = init(&place)?;
    cgroup::join(&place.group())?;
    let target = init.to_string();
    let error = Command::new("nsenter")
        .args(["--target", &target])
        .args([
            "--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd",
        ])
        .arg("--")
        .args(command)
        .env_clear()
        .envs(super::up::ENVIRONMENT)
        .exec();
    Err(error).context("nsenter(1) of util-linux")
}

/// The host's process 1, by our number of it.
pub(super) fn init(place: &Place) -> Result<i32> {
    for pid in cgroup::processes(&place.group())? {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let mut numbers = numbers.unwrap_or_default().split_whitespace().rev();
        // Guests' own processes number 1 are one namespace further in.
        let (inner, ours) = (numbers.next(), numbers.next());
        if inner == Some("1") && ours == Some(pid.to_string().as_str()) {
            return Ok(pid);
        }
    }
    bail!("{} is down", place.dir.display());
}
