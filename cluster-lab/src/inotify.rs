//! inotify(7) instances: all machines of a lab share those of one user, and 128 is what Linux gives.

use netplan::MachineCounts;
use std::{fs, io, path::Path};

const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";

/// What the processes of one machine of each class were seen to hold (1.37): systemd, logind and dbus 4; kubelet 6,
/// containerd and kube-proxy 1 each; API server 6, controller manager 7. A little room is added.
const PER_ETCD: u32 = 4;
const PER_CONTROL_PLANE: u32 = 28;
const PER_WORKER: u32 = 14;

/// How many there are, are in use, and would be needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inotify {
    pub(crate) limit: u32,
    pub(crate) used: u32,
    pub(crate) needed: u32,
}

impl Inotify {
    /// Counts the instances of all processes of this machine.
    ///
    /// # Errors
    ///
    /// `/proc` cannot be read. A process that ends while it is looked at is *not* an error.
    pub(crate) fn count(machines: MachineCounts) -> io::Result<Self> {
        let limit = fs::read_to_string(LIMIT)?
            .trim()
            .parse()
            .map_err(io::Error::other)?;
        let mut used = 0;
        for process in fs::read_dir("/proc")? {
            used += instances_of(&process?.path());
        }
        Ok(Self {
            limit,
            used,
            needed: needed(machines),
        })
    }

    pub(crate) fn is_enough(self) -> bool {
        self.used + self.needed <= self.limit
    }

    /// The command that gives enough, with room for a second lab.
    pub(crate) fn remedy(self) -> String {
        let wanted = (2 * (self.used + self.needed)).max(512);
        format!("sysctl -w fs.inotify.max_user_instances={wanted}")
    }
}

fn needed(machines: MachineCounts) -> u32 {
    u32::from(machines.etcd) * PER_ETCD
        + u32::from(machines.control_planes) * PER_CONTROL_PLANE
        + u32::from(machines.workers) * PER_WORKER
}

fn instances_of(process: &Path) -> u32 {
    let Ok(files) = fs::read_dir(process.join("fd")) else {
        return 0;
    };
    let is_instance = |file: &fs::DirEntry| {
        fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:inotify")
    };
    u32::try_from(files.flatten().filter(is_instance).count()).unwrap_or(u32::MAX)
}
