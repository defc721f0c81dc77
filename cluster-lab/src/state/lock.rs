//! One run at a time, and one directory for each name on this machine.

use super::{StateDir, StateError};
use crate::etcd::SNAPSHOTS;
use nix::fcntl::{Flock, FlockArg};
use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The file in which a directory claims a lab's name on this machine.
pub(super) const CLAIM: &str = "claimed-by";

/// Holds the lab for one run; released when dropped, and by the kernel when the program is killed.
#[derive(Debug)]
pub struct LabLock(
    #[expect(dead_code, reason = "held, not read: dropping it releases the lock")]
    pub(super)  Flock<fs::File>,
);

impl StateDir {
    /// Makes the directory, mode 0700, and takes its lock.
    ///
    /// # Errors
    ///
    /// [`StateError::Locked`] while another run has it; [`StateError::Foreign`] if the directory is somebody
    /// else's; the system refuses.
    pub fn lock(&self) -> Result<LabLock, StateError> {
        let io = |what, path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Io { what, path, source }
        };
        if self.is_foreign() {
            return Err(StateError::Foreign {
                path: self.root.clone(),
            });
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .map_err(io("make", &self.root))?;
        let path = self.root.join("lock");
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("write", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(LabLock(lock)),
            Err((_, nix::Error::EWOULDBLOCK)) => Err(StateError::Locked { path }),
            Err((_, error)) => Err(io("lock", &path)(error.into())),
        }
    }

    /// Claims what is named after the lab on this machine, namespaces and control groups, for this directory: two
    /// directories may hold labs of one name, but only one of them can run.
    ///
    /// # Errors
    ///
    /// [`StateError::Elsewhere`] if it is claimed by another directory that is still there; the system refuses.
    pub fn claim(&self, run_dir: &Path) -> Result<(), StateError> {
        let path = run_dir.join(CLAIM);
        let owner = self.read(&path)?.map(PathBuf::from);
        match owner {
            Some(owner) if owner == self.root => Ok(()),
            Some(owner) if owner.is_dir() => Err(StateError::Elsewhere { path: owner }),
            _ => self.write(&path, self.root.to_string_lossy().as_bytes()),
        }
    }

    /// Whether the directory has contents, and none of them are a lab's. The lock is ours: a run that was killed
    /// right after making it leaves just that. So are snapshots, which outlive their lab.
    fn is_foreign(&self) -> bool {
        let Ok(mut entries) = fs::read_dir(&self.root) else {
            return false;
        };
        let ours = [OsStr::new("lock"), OsStr::new(SNAPSHOTS)];
        let only_ours = entries.all(|entry| entry.is_ok_and(|e| ours.contains(&&*e.file_name())));
        !only_ours && !self.record_path().exists()
    }
}
