//! What has to be so before anything is touched.

use crate::{HostError, Lab, LabSpec, inotify::Inotify};
use artifacts::packages::{self, Missing, Requirement};
use host_exec::FileError;
use nix::{
    sys::{
        statfs::{OVERLAYFS_SUPER_MAGIC, statfs},
        statvfs::statvfs,
    },
    unistd::Uid,
};
use std::path::{Path, PathBuf};

/// What a lab takes on disk while it is being made: container roots, journals and etcd's preallocated logs.
/// Measured for the reference lab with some room: 0.6 GiB.
const STATE_BYTES: u64 = 1 << 30;

/// This machine lacks something. Nothing was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// Not the superuser.
    #[error("namespaces, mounts and networks need root; run it as root, for example with sudo")]
    NotRoot,
    /// Not Linux.
    #[error(
        "machines made of namespaces need Linux, and this is {0}; run the lab on a Linux machine"
    )]
    NotLinux(&'static str),
    /// The client of SSH.
    #[error(
        "this machine lacks {program}, with which the FreeBSD host and its guests are reached; \
        install the client of OpenSSH, on Debian and Ubuntu with: apt-get install -y openssh-client"
    )]
    NoSsh {
        /// The program.
        program: &'static str,
    },
    /// The FreeBSD host cannot be meant.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Programs of the distribution.
    #[error("this machine lacks {}; install with: {}", list(.0, |m| &m.what), list(.0, |m| &m.command))]
    Missing(Vec<Missing>),
    /// The machine's files could not be looked at.
    #[error("cannot look for the programs that a lab needs")]
    Look(#[from] FileError),
    /// The file system.
    #[error(
        "{} is on an overlay file system, which cannot carry machines; choose a --state-dir on a disk (ext4, xfs, btrfs)",
        .path.display()
    )]
    OnOverlay {
        /// The directory.
        path: PathBuf,
    },
    /// What the processes of a user may watch files with.
    #[error("{used} of {limit} inotify instances are in use and this lab takes {needed}; {remedy}")]
    Inotify {
        /// How many a user may have.
        limit: u32,
        /// How many are in use.
        used: u32,
        /// How many the lab takes.
        needed: u32,
        /// The command that mends it.
        remedy: String,
    },
    /// The disk.
    #[error(
        "{} has {} MiB free and a lab needs {} MiB; free some space or choose another --state-dir",
        .path.display(), .free_bytes >> 20, .needed_bytes >> 20
    )]
    DiskFull {
        /// The directory.
        path: PathBuf,
        /// What is free for root.
        free_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
    },
}

fn list<'m>(missing: &'m [Missing], part: impl Fn(&'m Missing) -> &'m String) -> String {
    let mut parts: Vec<&str> = missing.iter().map(|m| part(m).as_str()).collect();
    parts.dedup();
    parts.join(", ")
}

/// What a lab needs from the distribution.
pub(crate) fn requirements(spec: &LabSpec) -> Vec<Requirement> {
    let mut all = packages::REQUIREMENTS.to_vec();
    if spec.machines.control_planes > 1 {
        all.extend(packages::BALANCED);
    }
    all
}

/// Checks this machine.
///
/// # Errors
///
/// The first thing that a lab cannot do without.
pub(crate) async fn check(lab: &Lab) -> Result<(), PreflightError> {
    if let Some(bhyve) = &lab.spec.bhyve {
        lab.freebsd_host(bhyve)?;
        return check_client(lab);
    }
    if std::env::consts::OS != "linux" {
        return Err(PreflightError::NotLinux(std::env::consts::OS));
    }
    if !Uid::effective().is_root() {
        return Err(PreflightError::NotRoot);
    }
    let mut missing = packages::missing(lab.here(), &requirements(&lab.spec)).await?;
    missing.retain(|m| !m.optional);
    if !missing.is_empty() {
        return Err(PreflightError::Missing(missing));
    }
    if let Some(path) = overlay_of(&lab.places.state) {
        return Err(PreflightError::OnOverlay { path });
    }
    // A lab that exists has its space already.
    if !lab.state().kubeconfig().exists() {
        check_disk(&lab.places.state)?;
    }
    // Machines that were begun by an `up` that did not end may run, and what they hold would be counted twice.
    if !lab.state().root().join("machines").exists() {
        check_inotify(lab)?;
    }
    Ok(())
}

/// What VMs on another host need here.
pub(crate) fn check_client(lab: &Lab) -> Result<(), PreflightError> {
    let is_there = |program: &&str| {
        let mut dirs = lab.places.path_dirs.iter();
        dirs.any(|dir| dir.join(program).is_file())
    };
    match ["ssh", "ssh-keygen"]
        .into_iter()
        .find(|program| !is_there(program))
    {
        Some(program) => Err(PreflightError::NoSsh { program }),
        None => Ok(()),
    }
}

/// The nearest existing directory above a state directory, if it is on an overlay.
pub(crate) fn overlay_of(state: &Path) -> Option<PathBuf> {
    let existing = state.ancestors().find(|dir| dir.is_dir())?;
    let system = statfs(existing).ok()?;
    (system.filesystem_type() == OVERLAYFS_SUPER_MAGIC).then(|| existing.to_owned())
}

fn check_inotify(lab: &Lab) -> Result<(), PreflightError> {
    // Where they cannot be counted, the lab will tell.
    let Ok(found) = Inotify::count(lab.spec.machines) else {
        return Ok(());
    };
    if found.is_enough() {
        return Ok(());
    }
    let Inotify {
        limit,
        used,
        needed,
    } = found;
    Err(PreflightError::Inotify {
        limit,
        used,
        needed,
        remedy: found.remedy(),
    })
}

fn check_disk(path: &Path) -> Result<(), PreflightError> {
    let Some(existing) = path.ancestors().find(|dir| dir.is_dir()) else {
        return Ok(());
    };
    // A file system that does not say how full it is will say so when it is.
    let Ok(system) = statvfs(existing) else {
        return Ok(());
    };
    let free_bytes = system
        .blocks_available()
        .saturating_mul(system.fragment_size());
    if free_bytes < STATE_BYTES {
        let path = existing.to_owned();
        return Err(PreflightError::DiskFull {
            path,
            free_bytes,
            needed_bytes: STATE_BYTES,
        });
    }
    Ok(())
}
