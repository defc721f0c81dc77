//! Where labs are, and what they share.

use super::{LabLock, StateDir, StateError, lock::CLAIM};
use host_exec::poll::{self, Attempt, Wait, WaitError};
use netplan::LabName;
use nix::fcntl::{Flock, FlockArg};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Choosing takes a few milliseconds; whoever needs longer hangs.
const CHOOSING_LIMIT: Duration = Duration::from_secs(20);

/// Where labs and what they share are kept. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// One directory per lab, below `$XDG_STATE_HOME` unless asked otherwise.
    pub state: PathBuf,
    /// Downloads, builds and images, shared by all labs, below `$XDG_CACHE_HOME`.
    pub cache: PathBuf,
    /// What is gone when the host boots: `/run/lab`.
    pub run: PathBuf,
    /// A directory whose programs go before all others.
    pub bin_dir: Option<PathBuf>,
    /// The directories of `PATH`.
    pub path_dirs: Vec<PathBuf>,
}

impl Places {
    /// What of one lab is gone when the host boots.
    pub(crate) fn run_dir(&self, name: &LabName) -> PathBuf {
        self.run.join(name.as_str())
    }

    /// The sockets of connections to hosts of machines. No lab can have this name.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.run.join(".ssh")
    }

    /// The directory of one lab.
    pub fn lab(&self, name: &LabName) -> StateDir {
        StateDir {
            root: self.state.join(name.as_str()),
        }
    }

    /// Holds the networks of this machine while a new lab chooses its own: two that look at the same time would
    /// choose without knowing of each other. [`StateDir::claim`] has made the directory.
    pub(crate) async fn hold_networks(&self) -> Result<LabLock, StateError> {
        let io = |source| StateError::Io {
            what: "lock",
            path: self.run.clone(),
            source,
        };
        let wait = Wait::new("turn to choose networks", CHOOSING_LIMIT);
        let held = poll::until(&wait, || async {
            let directory = fs::File::open(&self.run)?;
            match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => Ok(Attempt::Ready(LabLock(lock))),
                Err((_, nix::Error::EWOULDBLOCK)) => Ok(Attempt::NotYet(
                    "another `lab up` chooses its own".to_owned(),
                )),
                Err((_, error)) => Err(io::Error::from(error)),
            }
        });
        held.await.map_err(|error| match error {
            WaitError::Failed(error) => io(error),
            late @ WaitError::TimedOut { .. } => io(io::Error::other(late)),
        })
    }

    /// The directories of all labs that this machine knows of: those beside each other, and those of other
    /// directories that have run since it booted.
    pub(crate) fn all_labs(&self) -> BTreeSet<StateDir> {
        let below = |dir: &Path| {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let claims = below(&self.run)
            .into_iter()
            .filter_map(|run| fs::read_to_string(run.join(CLAIM)).ok());
        let elsewhere = claims.map(PathBuf::from);
        let roots = below(&self.state).into_iter().chain(elsewhere);
        roots.map(|root| StateDir { root }).collect()
    }
}
