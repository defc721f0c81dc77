//! The processes of a group, found by their control groups.

use crate::{GroupName, machine};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A process of a machine, or its supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// It is number 1 in a pid namespace directly below ours: the leader of the machine.
    pub(crate) leader: bool,
    /// It is a `systemd-nspawn`.
    pub(crate) nspawn: bool,
}

/// The processes of `group`, by machine, as `/proc` shows them at this moment.
///
/// A process that ends while we look is simply not there.
pub(crate) fn of_group(
    group: &GroupName,
    proc: &Path,
) -> std::io::Result<BTreeMap<String, Vec<Process>>> {
    let mut machines: BTreeMap<String, Vec<Process>> = BTreeMap::new();
    for entry in fs::read_dir(proc)? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let read = |file| fs::read(entry.path().join(file)).unwrap_or_default();
        let text = |file| String::from_utf8_lossy(&read(file)).into_owned();
        let joined = machine_of(group, &text("cgroup"));
        let Some(machine) = joined.or_else(|| being_started(group, &read("cmdline"))) else {
            continue;
        };
        let status = text("status");
        // A zombie holds nothing and cannot be killed; whoever started it has to wait for it.
        if status.lines().any(|line| line.starts_with("State:\tZ")) {
            continue;
        }
        let nspawn = status.lines().any(|line| line == "Name:\tsystemd-nspawn");
        machines.entry(machine).or_default().push(Process {
            pid,
            leader: is_leader(&status),
            nspawn,
        });
    }
    Ok(machines)
}

/// The machine whose control group `/proc/PID/cgroup` names, in any hierarchy: `lab.GROUP/MACHINE/...` where we
/// made the groups, `lab.GROUP.slice/lab.GROUP.MACHINE.service/...` where the host's systemd did.
fn machine_of(group: &GroupName, cgroups: &str) -> Option<String> {
    let (ours, our_slice) = (group.prefix(), machine::slice(group));
    for line in cgroups.lines() {
        let mut parts = line
            .splitn(3, ':')
            .nth(2)?
            .split('/')
            .skip_while(|part| *part != ours && *part != our_slice);
        let Some(slice) = parts.next() else { continue };
        let Some(below) = parts.next() else { continue };
        if !slice.ends_with(".slice") {
            return Some(below.to_owned());
        }
        let service = below
            .strip_prefix(&format!("{ours}."))
            .and_then(|rest| rest.strip_suffix(".service"));
        if let Some(machine) = service {
            return Some(machine.to_owned());
        }
    }
    None
}

/// The machine that a supervisor is about to start, before it has joined the machine's control group: its
/// command line (proc(5): words with a NUL behind each) has the script, and the group's path as one word.
fn being_started(group: &GroupName, cmdline: &[u8]) -> Option<String> {
    let mut words = cmdline
        .split(|byte| *byte == 0)
        .filter_map(|word| std::str::from_utf8(word).ok());
    words.find(|word| word.ends_with("/supervisor.sh"))?;
    let ours = format!("{}/", group.prefix());
    words
        .find_map(|word| word.strip_prefix(&ours))
        .map(str::to_owned)
}

/// Reads `NSpid:` of `/proc/PID/status`: the numbers of a process, from our namespace inwards.
fn is_leader(status: &str) -> bool {
    let Some(numbers) = status.lines().find_map(|line| line.strip_prefix("NSpid:")) else {
        return false;
    };
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    matches!(numbers[..], [_, "1"])
}

/// Where the kernel shows processes.
pub(crate) fn proc_dir() -> PathBuf {
    PathBuf::from("/proc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_control_group() {
        let lab: GroupName = "x".parse().unwrap();
        let v1 = "9:name=systemd:/lab.x/m0/payload/init.scope\n8:pids:/lab.x/m0/init.scope\n0::/\n";
        let v2 = "0::/lab.x.slice/lab.x.m0.service/payload/init.scope\n";
        assert_eq!(machine_of(&lab, v1).as_deref(), Some("m0"));
        assert_eq!(machine_of(&lab, v2).as_deref(), Some("m0"));
        let dashed: GroupName = "my-lab".parse().unwrap();
        let v2 = "0::/lab.my_lab.slice/lab.my-lab.m0.service/payload\n";
        assert_eq!(machine_of(&dashed, v2).as_deref(), Some("m0"));
        for other in [
            "0::/lab.xy/m0\n",
            "0::/user.slice/a.scope\n",
            "0::/lab.x.slice\n",
            "",
            "0::/\n",
        ] {
            assert_eq!(machine_of(&lab, other), None, "{other:?}");
        }
    }

    #[test]
    fn a_supervisor_is_known_before_it_has_joined() {
        let lab: GroupName = "x".parse().unwrap();
        let line = |group: &str| {
            let words = [
                "setsid",
                "--fork",
                "/bin/sh",
                "/s/x/supervisor.sh",
                "cgroup-v1",
                "/s/x",
                "/r/x",
                group,
            ];
            words.join("\0").into_bytes()
        };
        assert_eq!(
            being_started(&lab, &line("lab.x/m0")).as_deref(),
            Some("m0")
        );
        assert_eq!(being_started(&lab, &line("lab.xy/m0")), None);
        assert_eq!(being_started(&lab, b"vi\0lab.x/m0\0"), None);
        assert_eq!(being_started(&lab, b""), None);
    }

    #[test]
    fn only_process_1_of_the_machine_itself_is_its_leader() {
        assert!(is_leader("Name:\tsystemd\nNSpid:\t31008\t1\n"));
        assert!(!is_leader("Name:\tpause\nNSpid:\t31990\t211\t1\n"));
        assert!(!is_leader("Name:\tsystemd-nspawn\nNSpid:\t31000\n"));
    }
}
