//! The control groups of a host, one within it for each VM's guest: by them all its processes are found.
//!
//! Of version 1, also beside version 2 (hybrid), a group is one directory in each hierarchy, and processes may be in
//! any. Of version 2 it is one directory, and who hands controllers down has no processes of its own (cgroups(7), "no
//! internal processes"): the host's are in a leaf beside its guests.

use anyhow::{Context, Result, bail};
use nix::{sys::signal, unistd::Pid};
use nspawn_vm::CgroupKind;
use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

const ROOT: &str = "/sys/fs/cgroup";

/// The leaf with the host's own processes, of version 2.
const LEAF: &str = "host";

/// How this machine keeps control groups, for whoever starts a guest.
pub(crate) fn kind() -> CgroupKind {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        CgroupKind::CgroupV2
    } else {
        CgroupKind::CgroupV1
    }
}

/// The directories that are the group of this name.
fn places(group: &str) -> Result<Vec<PathBuf>> {
    if kind() == CgroupKind::CgroupV2 {
        return Ok(vec![Path::new(ROOT).join(group)]);
    }
    let mut places = Vec::new();
    for entry in fs::read_dir(ROOT)? {
        let hierarchy = entry?.path();
        if hierarchy.join("cgroup.procs").exists() {
            places.push(hierarchy.join(group));
        }
    }
    Ok(places)
}

/// Makes the group, where it is missing, with what the one above it has to give.
pub(crate) fn make(group: &str) -> Result<()> {
    for place in places(group)? {
        make_one(&place).with_context(|| format!("{}", place.display()))?;
    }
    Ok(())
}

fn make_one(place: &Path) -> Result<()> {
    fs::create_dir_all(place)?;
    match kind() {
        CgroupKind::CgroupV1 => give_processors(place),
        CgroupKind::CgroupV2 => hand_down(place),
    }
}

/// A new cpuset group of version 1 takes no process before it has processors and memory nodes.
fn give_processors(place: &Path) -> Result<()> {
    let above = place.parent().unwrap_or(place);
    let Ok(cpus) = fs::read_to_string(above.join("cpuset.cpus")) else {
        return Ok(());
    };
    fs::write(place.join("cpuset.cpus"), cpus)?;
    let nodes = fs::read_to_string(above.join("cpuset.mems"))?;
    fs::write(place.join("cpuset.mems"), nodes)?;
    Ok(fs::write(place.join("cgroup.clone_children"), "1")?)
}

/// A group of version 2 has those controllers that the one above hands down.
fn hand_down(place: &Path) -> Result<()> {
    let above = place.parent().unwrap_or(place);
    let controllers = fs::read_to_string(above.join("cgroup.controllers"))?;
    let all: Vec<String> = controllers
        .split_whitespace()
        .map(|controller| format!("+{controller}"))
        .collect();
    fs::write(above.join("cgroup.subtree_control"), all.join(" ")).with_context(|| {
        format!(
            "{} hands no controllers down; move its own processes into a group below it",
            above.display()
        )
    })
}

/// Puts this process, and so its children, into the group of a host.
pub(crate) fn join(group: &str) -> Result<()> {
    for mut place in places(group)? {
        if kind() == CgroupKind::CgroupV2 {
            place.push(LEAF);
            match fs::create_dir(&place) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("{}", place.display()));
                }
                _ => {}
            }
        }
        fs::write(place.join("cgroup.procs"), "0")
            .with_context(|| format!("{}", place.display()))?;
    }
    Ok(())
}

/// The processes in the group and in all groups below it.
pub(crate) fn processes(group: &str) -> Result<Vec<i32>> {
    let mut all = Vec::new();
    for place in places(group)? {
        collect(&place, &mut all);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// A group that goes while we look has no processes.
fn collect(place: &Path, all: &mut Vec<i32>) {
    let Ok(text) = fs::read_to_string(place.join("cgroup.procs")) else {
        return;
    };
    // One of an outer pid namespace has the number 0 here, which kill(2) takes for the caller's own group.
    let numbers = text.lines().filter_map(|line| line.parse::<i32>().ok());
    all.extend(numbers.filter(|number| *number > 0));
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), all);
        }
    }
}

/// Ends all processes of the group, and removes it.
pub(crate) fn end(group: &str) -> Result<()> {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let alive = processes(group)?;
        for pid in &alive {
            // It may have ended since we looked; the next look tells.
            let _ = signal::kill(Pid::from_raw(*pid), signal::Signal::SIGKILL);
        }
        // A group whose last process has just gone is busy for a moment.
        if alive.is_empty() && remove(group).is_ok() {
            return Ok(());
        }
        if Instant::now() > limit {
            bail!("processes of {group} that do not end: {alive:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Removes the group everywhere, from its leaves up.
fn remove(group: &str) -> io::Result<()> {
    for place in places(group).map_err(io::Error::other)? {
        nspawn_vm::parts::remove_cgroups(&place)?;
    }
    Ok(())
}

/// Makes a group for the guest of a VM, below the one of the host that this process is on, without what the last boot
/// has left: its processes, if it is still on its way down, and groups of pods, of which each would cost a kubelet
/// seconds. The answer is its directories; whoever is to be in it goes in by itself.
pub(crate) fn make_for_guest(vm: &str) -> Result<Vec<PathBuf>> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let group = format!("{}/vm.{vm}", host_of(&own)?);
    end(&group)?;
    make(&group)?;
    places(&group)
}

/// The group of the host that a process is on, by its /proc/PID/cgroup (cgroups(7)).
fn host_of(own: &str) -> Result<&str> {
    let path = |marker: &str| own.lines().find_map(|line| line.split_once(marker));
    let named = path(":name=systemd:/").map(|(_, host)| host);
    let unified = || path("0::/")?.1.strip_suffix(LEAF)?.strip_suffix('/');
    named
        .or_else(unified)
        .context("this process is in no control group of a host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_host_is_told_by_each_kind() {
        for (own, host) in [
            (
                "4:memory:/freebsd-host.1\n1:name=systemd:/freebsd-host.1\n0::/freebsd-host.1\n",
                Some("freebsd-host.1"),
            ),
            (
                "0::/system.slice/freebsd-host.1.service/host\n",
                Some("system.slice/freebsd-host.1.service"),
            ),
            ("0::/freebsd-host.1/host\n", Some("freebsd-host.1")),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            ("", None),
        ] {
            assert_eq!(host_of(own).ok(), host, "{own:?}");
        }
    }
}
