//! Where the files of a group are kept.

use crate::DataDir;
use host_exec::HostName;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The two directories of a group: one that survives a reboot of the host, one that must not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Places {
    state: PathBuf,
    run: PathBuf,
}

impl Places {
    /// Machines are kept below `state` (on a real file system, not an overlay), process numbers below `run`
    /// (emptied when the host boots). Both belong to this group alone.
    pub fn new(state: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self {
            state: state.into(),
            run: run.into(),
        }
    }

    /// The directory that survives.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The directory that does not.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The read-only lowest layer of all machines of the group.
    pub(crate) fn skeleton(&self) -> PathBuf {
        self.state.join("skeleton")
    }

    /// Everything of one machine.
    pub fn machine(&self, name: &HostName) -> PathBuf {
        self.state.join("machines").join(name.as_str())
    }

    /// What systemd-nspawn and process 1 said, over all boots.
    pub fn console_log(&self, name: &HostName) -> PathBuf {
        self.machine(name).join("console.log")
    }

    /// Where this host keeps a data directory of a machine. It may be filled before the machine first starts.
    pub fn data(&self, name: &HostName, dir: &DataDir) -> PathBuf {
        self.machine(name).join("data").join(dir.slug())
    }

    /// The process number of systemd-nspawn, while it runs without a systemd of the host.
    pub(crate) fn pid_file(&self, name: &HostName) -> PathBuf {
        self.run.join(format!("{name}.pid"))
    }
}
