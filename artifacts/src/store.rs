//! Files of the cache: written beside their place and renamed, under one lock, with progress while it takes long.

use crate::{Sha256, download, lock};
use host_exec::{
    EventSink,
    poll::{self, Attempt, Wait},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, Permissions, TryLockError},
    future::Future,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often a long step says that it still goes on.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Another lab may be in the middle of a cold build on a slow machine.
const LONGEST_WAIT_FOR_OTHERS: Duration = Duration::from_secs(2 * 3600);

/// A file of the cache that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system is full.
    #[error("no space left for {}: free some, or use another cache directory; the next run goes on from here", .path.display())]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot write {}", .path.display())]
    Io {
        /// What could not be written.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock of the cache, and does not come to an end.
    #[error("the cache is in use by another process: {0}")]
    Busy(String),
}

impl StoreError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }
}

/// Attaches a path to an I/O error, for `map_err`.
pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    move |source| StoreError::new(path, source)
}

/// Makes a directory of the cache and returns it.
pub(crate) fn directory(path: PathBuf) -> Result<PathBuf, StoreError> {
    fs::create_dir_all(&path).map_err(writing(&path))?;
    Ok(path)
}

/// Writes a small file in one piece: temporary name, `fsync`, `rename`.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let part = download::part_of(path);
    let write = || {
        let mut file = File::create(&part)?;
        io::Write::write_all(&mut file, contents)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(writing(path))
}

/// Writes what is known of a file of the cache, beside it.
pub(crate) fn write_json(path: &Path, record: &impl Serialize) -> Result<(), StoreError> {
    let text = serde_json::to_vec_pretty(record);
    let mut text = text.map_err(|e| StoreError::new(path, io::Error::other(e)))?;
    text.push(b'\n');
    write_atomically(path, &text)
}

/// Reads what [`write_json`] wrote; `None` if there is nothing, or nothing that this version writes: it is made anew.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(e) if lock::absent(&e) => Ok(None),
        Err(e) => Err(StoreError::new(path, e)),
    }
}

/// Makes `part` executable for everybody and gives it its final name.
pub(crate) fn publish_program(part: &Path, target: &Path) -> Result<(), StoreError> {
    let publish = || {
        fs::set_permissions(part, Permissions::from_mode(0o755))?;
        // Data before name: after a power cut a program is there as a whole or not at all.
        File::open(part)?.sync_all()?;
        fs::rename(part, target)
    };
    publish().map_err(writing(target))
}

/// Copies a file and returns the checksum of its contents.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Sha256, StoreError> {
    let copy = || {
        let (mut source, mut target) = (File::open(from)?, File::create(to)?);
        download::copy_and_hash(&mut source, &mut target)
    };
    copy().map_err(writing(to))
}

/// Removes a file or a directory with all it holds. What is not there is *not* an error.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::new(path, e)),
        _ => Ok(()),
    }
}

/// Takes the lock of a directory of the cache, and waits for another process that has it. Released when dropped,
/// also when this process is killed (flock(2)).
pub(crate) async fn exclusive(
    dir: &Path,
    step: &str,
    events: &dyn EventSink,
) -> Result<File, StoreError> {
    let path = directory(dir.to_owned())?.join(".lock");
    let file = File::create(&path).map_err(writing(&path))?;
    let mut told = false;
    let wait = Wait::new("end of the other process", LONGEST_WAIT_FOR_OTHERS);
    let locked = poll::until(&wait, || {
        let attempt = match file.try_lock() {
            Ok(()) => Ok(Attempt::Ready(())),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    told = true;
                    events.running(
                        "",
                        step,
                        "waiting for another lab that fills the same cache",
                    );
                }
                Ok(Attempt::NotYet(format!("{} is locked", path.display())))
            }
            Err(TryLockError::Error(e)) => Err(StoreError::new(&path, e)),
        };
        std::future::ready(attempt)
    });
    match locked.await {
        Ok(()) => Ok(file),
        Err(poll::WaitError::Failed(e)) => Err(e),
        Err(timed_out) => Err(StoreError::Busy(timed_out.to_string())),
    }
}

/// Awaits `work`, and says every two seconds what is going on and for how long.
pub(crate) async fn with_heartbeat<T>(
    events: &dyn EventSink,
    step: &str,
    mut what: impl FnMut() -> String,
    work: impl Future<Output = T>,
) -> T {
    let started = Instant::now();
    events.running("", step, &what());
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = beat.tick() => {
                let text = format!("{}, {} s", what(), started.elapsed().as_secs());
                events.running("", step, &text);
            }
        }
    }
}
