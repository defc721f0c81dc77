//! The service of the machine's systemd that carries a host, where control groups are of version 2: there systemd
//! shares them with nobody but services that ask for it (systemd.resource-control(5), `Delegate=`).

use super::{Place, up};
use crate::cgroup;
use anyhow::{Context, Result, ensure};
use nspawn_vm::CgroupKind;
use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Where systemd keeps services that want nothing else.
const SLICE: &str = "system.slice";

/// Its end is a cut of the host's power, and the end of a process in it the business of the host alone.
const PROPERTIES: [&str; 6] = [
    "Type=exec",
    "Delegate=yes",
    "KillSignal=SIGKILL",
    "TasksMax=infinity",
    "LimitNOFILE=1048576",
    "OOMPolicy=continue",
];

/// Whether hosts are services here: systemd is process 1 (sd_booted(3)), and control groups are of version 2.
pub(super) fn is_used() -> bool {
    cgroup::kind() == CgroupKind::CgroupV2 && Path::new("/run/systemd/system").is_dir()
}

fn unit(place: &Place) -> String {
    format!("{}.service", place.name())
}

/// The control group that systemd makes for the service.
pub(super) fn group(place: &Place) -> String {
    format!("{SLICE}/{}", unit(place))
}

/// The command that makes this one the service, and returns once it runs.
pub(super) fn that_is(place: &Place, main: &Command) -> Command {
    let log = place.dir.join(up::LOG);
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--collect"]);
    command.arg(format!("--unit={}", unit(place)));
    command.arg(format!("--slice={SLICE}"));
    for property in PROPERTIES {
        command.arg(format!("--property={property}"));
    }
    for output in ["StandardOutput", "StandardError"] {
        command.arg(format!("--property={output}=append:{}", log.display()));
    }
    command.arg("--");
    // systemd puts variables into the words of a service, and takes `$$` for a dollar (systemd.service(5)).
    let words = std::iter::once(main.get_program()).chain(main.get_args());
    command.args(words.map(|word| word.to_string_lossy().replace('$', "$$")));
    command
}

/// Ends the service, where there is one, and waits until systemd has forgotten it: before, it takes no other of the
/// name. Its control groups are left to systemd, which waits for the end of processes in vain once they are gone.
pub(super) fn end(place: &Place) -> Result<()> {
    if !is_used() {
        return Ok(());
    }
    let (unit, limit) = (unit(place), Instant::now() + Duration::from_secs(60));
    // It fails where there is no such service; whether there is one is looked at below.
    systemctl(&["stop", "--no-block", &unit])?;
    while !is_forgotten(&unit)? {
        ensure!(Instant::now() < limit, "systemd does not end {unit}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn is_forgotten(unit: &str) -> Result<bool> {
    let state = systemctl(&["show", "--property=LoadState", "--value", unit])?;
    Ok(state == b"not-found\n")
}

/// What it prints.
fn systemctl(words: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("systemctl").args(words).output();
    Ok(output.context("systemctl(1)")?.stdout)
}
