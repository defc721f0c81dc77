//! One writer of a store at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::disk::{failed, make_directory};
use crate::store::{KEY_MODE, WriteError};

/// The right to write, held until dropped; the system takes it back from a killed process (flock(2)).
#[derive(Debug)]
pub(crate) struct WriteLock(File);

impl WriteLock {
    /// Takes the lock of the store in `root`, and makes the directory if there is none.
    pub(crate) fn take(root: &Path) -> Result<Self, WriteError> {
        make_directory(root)?;
        let path = root.join(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(KEY_MODE)
            .open(&path)
            .map_err(failed("opening", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(WriteError::Locked {
                store: root.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(WriteError::Io {
                step: "locking",
                path,
                source,
            }),
        }
    }
}

impl Drop for WriteLock {
    /// Not by closing the file alone: a child that another thread has just forked has it too, until it executes its
    /// program, and the lock would be held that long.
    fn drop(&mut self) {
        // An error leaves what closing does.
        _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_with_the_same_file_does_not_hold_the_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        let lock = WriteLock::take(dir.path()).expect("nobody has it");
        assert!(matches!(
            WriteLock::take(dir.path()),
            Err(WriteError::Locked { .. })
        ));
        let of_a_child = lock.0.try_clone().expect("a descriptor");
        drop(lock);
        WriteLock::take(dir.path()).expect("it was given back");
        drop(of_a_child);
    }
}
