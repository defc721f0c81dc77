//! Where the host keeps what its programs know.

use std::path::{Path, PathBuf};

/// The directory, as the host's own mount namespace has it.
pub(crate) const HERE: &str = "/var/db/freebsd-host";

/// What lies between two calls of programs: files below one directory, each owned by one program.
#[derive(Debug, Clone)]
pub(crate) struct World {
    root: PathBuf,
}

impl World {
    /// The world of the host that this process runs on.
    pub(crate) fn here() -> Self {
        Self { root: HERE.into() }
    }

    /// The world of a host that is seen from outside, whose root directory this is.
    pub(crate) fn of(root: &Path) -> Self {
        let below = HERE.trim_start_matches('/');
        Self {
            root: root.join(below),
        }
    }

    /// The file or directory of this name in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A program of the machine, for use behind the stand-ins: on the host itself no such program is found. By its
    /// name alone where there is no host around this process.
    pub(crate) fn machine_program(&self, name: &str) -> PathBuf {
        let places = ["usr/bin", "usr/sbin"].into_iter();
        let mut paths = places.map(|place| self.root.join(place).join(name));
        paths
            .find(|path| path.exists())
            .unwrap_or_else(|| name.into())
    }
}
