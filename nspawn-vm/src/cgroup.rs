//! The two ways in which hosts keep control groups, and with them machines.

use crate::GroupName;
use serde::Serialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How the host keeps control groups: it decides who supervises a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupKind {
    /// Version 1 or hybrid: a small script supervises, in groups that it makes itself.
    CgroupV1,
    /// Version 2 with systemd as process 1: each machine is a transient service of the host's systemd.
    CgroupV2,
}

impl CgroupKind {
    /// The kind of this host, by the files that systemd(1) and cgroups(7) name.
    ///
    /// # Errors
    ///
    /// Version 2 without systemd as process 1: nobody would hand out groups.
    pub fn of_this_host() -> Result<Self, String> {
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let systemd = Path::new("/run/systemd/system").is_dir();
        match (unified, systemd) {
            (false, _) => Ok(Self::CgroupV1),
            (true, true) => Ok(Self::CgroupV2),
            (true, false) => Err(
                "this host has cgroup v2 without systemd as process 1 (a container?); \
                run the lab on the machine itself or in a virtual machine"
                    .into(),
            ),
        }
    }

    /// The word that the supervisor script takes.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::CgroupV1 => "cgroup-v1",
            Self::CgroupV2 => "cgroup-v2",
        }
    }
}

/// The path of a machine's control group below each version 1 hierarchy.
pub(crate) fn path_of(group: &GroupName, machine: &str) -> String {
    format!("{}/{machine}", group.prefix())
}

/// The top control groups of `group` in all hierarchies that have one.
pub(crate) fn tops(group: &GroupName) -> io::Result<Vec<PathBuf>> {
    let mut tops = Vec::new();
    for hierarchy in fs::read_dir("/sys/fs/cgroup")? {
        let top = hierarchy?.path().join(group.prefix());
        if top.is_dir() {
            tops.push(top);
        }
    }
    Ok(tops)
}

/// Removes a tree of control groups from its leaves up; one that is not there is removed already.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
