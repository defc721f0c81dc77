//! Directories of rows, on disk, that none outlives.

use nix::fcntl::{Flock, FlockArg};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const PREFIX: &str = "etcd-faults-";
/// Who makes directories or sweeps holds this, so that none is swept before its owner has locked it.
const MAKING: &str = ".etcd-faults.lock";

/// A directory that is removed when this is dropped, or by the next run if that never happens.
#[derive(Debug)]
pub struct Work {
    path: PathBuf,
    _lock: Flock<fs::File>,
}

impl Work {
    /// A new one below `parent`.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn new(parent: &Path) -> io::Result<Self> {
        let _making = making(parent)?;
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = lock(made.path())?;
        Ok(Self {
            path: made.keep(),
            _lock: lock,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the directories below `parent` whose owners are gone.
///
/// # Errors
///
/// `parent` cannot be read.
pub fn sweep(parent: &Path) -> io::Result<()> {
    let _making = making(parent)?;
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PREFIX) && lock(&path).is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

fn making(parent: &Path) -> io::Result<Flock<fs::File>> {
    let file = fs::File::create(parent.join(MAKING))?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

fn lock(dir: &Path) -> io::Result<Flock<fs::File>> {
    let file = fs::File::create(dir.join("lock"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error.into())
}
