//! The directory of a lab: what must be remembered from run to run.

use crate::{LabSpec, Upgrades, bhyve::StockRecord, certs::RotationRecord, etcd::SNAPSHOTS};
use artifacts::Version;
use host_exec::poll::{self, Attempt, Wait, WaitError};
use k8s_bootstrap::hardened::EncryptionKey;
use netplan::{LabName, Lock};
use nix::fcntl::{Flock, FlockArg};
use pki::BootstrapToken;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// The form of the directory that this program reads and writes.
pub const FORMAT: u32 = 1;

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

/// The file in which a directory claims a lab's name on this machine.
const CLAIM: &str = "claimed-by";
/// Choosing takes a few milliseconds; whoever needs longer hangs.
const CHOOSING_LIMIT: Duration = Duration::from_secs(20);

/// The directory of a lab. Nothing is read or written by making this value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateDir {
    root: PathBuf,
}

/// What is remembered of a lab as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The form of the directory, see [`FORMAT`].
    pub format: u32,
    /// What was last asked for.
    pub spec: LabSpec,
}

/// A directory of a lab that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system refuses.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// `read`, `write` or `make`.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another run works on this lab.
    #[error("another `lab` is at work on this lab (it holds {}); wait for it or end it", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Made by another version of this program.
    #[error(
        "{} has format {found}, and this program knows format {FORMAT}; \
        use the version of `lab` that made it, or remove the lab with that version's `lab down`",
        .path.display()
    )]
    Format {
        /// The record.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// A file that this program wrote and cannot read any more.
    #[error("{} is damaged: {problem}; `lab down` removes the lab, `lab up` makes it anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The machines of this name belong to another directory.
    #[error("a lab of this name runs from {}; use that --state-dir, or another --name", .path.display())]
    Elsewhere {
        /// The directory that it belongs to.
        path: PathBuf,
    },
    /// The directory holds something that is not a lab.
    #[error("{} is not a directory of a lab (it has no lab.json); choose another --state-dir", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
}

/// Holds the lab for one run; released when dropped, and by the kernel when the program is killed.
#[derive(Debug)]
pub struct LabLock(
    #[expect(dead_code, reason = "held, not read: dropping it releases the lock")] Flock<fs::File>,
);

impl StateDir {
    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// The kubeconfig of the lab's administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// What kubectl remembers of the lab's API (`KUBECACHEDIR`), so that it goes with the lab.
    pub fn kubectl_cache(&self) -> PathBuf {
        self.root.join("kubectl-cache")
    }

    /// The events of all runs, one JSON object per line.
    pub fn events(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// Keys of SSH, for machines that are reached by it.
    pub fn ssh(&self) -> PathBuf {
        self.root.join("ssh")
    }

    /// Makes the directory of the keys of SSH, for its owner alone.
    pub(crate) fn make_ssh(&self) -> Result<(), StateError> {
        make_dir(&self.ssh())
    }

    /// Image and programs of VMs.
    pub(crate) fn stock(&self) -> PathBuf {
        self.root.join("stock.json")
    }

    /// What was put aside before an upgrade.
    pub(crate) fn backup(&self, from: Version, to: Version) -> PathBuf {
        self.backups().join(format!("{from}-to-{to}"))
    }

    /// What is put aside by this program itself, and goes with the lab.
    pub(crate) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    fn upgrades_path(&self) -> PathBuf {
        self.root.join("upgrades.json")
    }

    /// Which versions the lab has beside the one that is asked for; `None` while it has never been upgraded.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn upgrades(&self) -> Result<Option<Upgrades>, StateError> {
        self.read_json(self.upgrades_path())
    }

    /// Remembers how far an upgrade has come; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_upgrades(&self, upgrades: &Upgrades) -> Result<(), StateError> {
        self.keep_json(self.upgrades_path(), upgrades)
    }

    fn rotation_path(&self) -> PathBuf {
        self.root.join("rotation.json")
    }

    /// What is remembered of the rotation of an authority; `None` while there is none.
    pub(crate) fn rotation(&self) -> Result<Option<RotationRecord>, StateError> {
        self.read_json(self.rotation_path())
    }

    /// Remembers it; an unchanged file is left alone.
    pub(crate) fn remember_rotation(&self, record: &RotationRecord) -> Result<(), StateError> {
        self.keep_json(self.rotation_path(), record)
    }

    /// Forgets it. Nothing to forget is *not* an error.
    pub(crate) fn forget_rotation(&self) -> Result<(), StateError> {
        forget(&self.rotation_path())
    }

    pub(crate) fn write_json(&self, path: &Path, value: &impl Serialize) -> Result<(), StateError> {
        let text = serde_json::to_string_pretty(value).expect("records are representable in JSON");
        self.write(path, format!("{text}\n"))
    }

    /// Writes a value as JSON; an unchanged file is left alone.
    pub(crate) fn keep_json<T>(&self, path: PathBuf, value: &T) -> Result<(), StateError>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        if self.read_json(path.clone())?.as_ref() == Some(value) {
            return Ok(());
        }
        self.write_json(&path, value)
    }

    pub(crate) fn read_json<T: DeserializeOwned>(
        &self,
        path: PathBuf,
    ) -> Result<Option<T>, StateError> {
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|e| StateError::Damaged {
            path,
            problem: e.to_string(),
        })
    }

    fn network_lock(&self) -> PathBuf {
        self.root.join("network.lock")
    }

    fn token(&self) -> PathBuf {
        self.root.join("bootstrap-token")
    }

    fn encryption_key_path(&self) -> PathBuf {
        self.root.join("encryption-key")
    }

    fn leaving_path(&self) -> PathBuf {
        self.root.join("leaving.json")
    }

    fn record_path(&self) -> PathBuf {
        self.root.join("lab.json")
    }

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

    /// What is remembered; `None` where there is no lab.
    ///
    /// # Errors
    ///
    /// The record is unreadable, damaged, or of another version.
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        let path = self.record_path();
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        let damaged = |e: serde_json::Error| StateError::Damaged {
            path: path.clone(),
            problem: e.to_string(),
        };
        // The number first: the rest may have any form in another version.
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        let found = value
            .get("format")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0);
        if found != u64::from(FORMAT) {
            return Err(StateError::Format { path, found });
        }
        serde_json::from_value(value).map(Some).map_err(damaged)
    }

    /// Remembers what is asked for.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember(&self, spec: &LabSpec) -> Result<(), StateError> {
        let record = Record {
            format: FORMAT,
            spec: spec.clone(),
        };
        self.write_json(&self.record_path(), &record)
    }

    /// The lab as it was, while machines of it are still to go.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub(crate) fn leaving(&self) -> Result<Option<LabSpec>, StateError> {
        self.read_json(self.leaving_path())
    }

    /// Remembers the lab as it was.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_leaving(&self, was: &LabSpec) -> Result<(), StateError> {
        self.write_json(&self.leaving_path(), was)
    }

    /// Forgets the lab as it was. Nothing to forget is *not* an error.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn forget_leaving(&self) -> Result<(), StateError> {
        forget(&self.leaving_path())
    }

    /// Who has which network and address; `None` before the first `up`.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn network(&self) -> Result<Option<Lock>, StateError> {
        let path = self.network_lock();
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        let lock = Lock::from_text(&text);
        lock.map(Some).map_err(|e| StateError::Damaged {
            path,
            problem: e.to_string(),
        })
    }

    /// Remembers who has which network and address; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_network(&self, lock: &Lock) -> Result<(), StateError> {
        let (path, text) = (self.network_lock(), lock.to_text());
        if self.read(&path)?.as_deref() == Some(&text) {
            return Ok(());
        }
        self.write(&path, &text)
    }

    /// Which image and programs the VMs are made of; `None` before they were got.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub(crate) fn stock_record(&self) -> Result<Option<StockRecord>, StateError> {
        self.read_json(self.stock())
    }

    /// Remembers which image and programs the VMs are made of.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_stock(&self, record: &StockRecord) -> Result<(), StateError> {
        self.keep_json(self.stock(), record)
    }

    /// The token with which nodes join, and when it ends.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn bootstrap_token(&self) -> Result<Option<(BootstrapToken, OffsetDateTime)>, StateError> {
        let path = self.token();
        let Some(text) = self.read(&path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let damaged = |problem: &str| StateError::Damaged {
            path: path.clone(),
            problem: problem.to_owned(),
        };
        let (token, seconds) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| damaged("not a token and a time"))?;
        let token = BootstrapToken::new(token).map_err(|e| damaged(&e.to_string()))?;
        let seconds = seconds
            .parse()
            .map_err(|_| damaged("its time is not a number"))?;
        let expires =
            OffsetDateTime::from_unix_timestamp(seconds).map_err(|e| damaged(&e.to_string()))?;
        Ok(Some((token, expires)))
    }

    /// Remembers the token with which nodes join.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_token(
        &self,
        token: &BootstrapToken,
        expires: OffsetDateTime,
    ) -> Result<(), StateError> {
        let text = Zeroizing::new(format!("{} {}\n", token.expose(), expires.unix_timestamp()));
        self.write(&self.token(), &text)
    }

    /// The key with which the API servers of a hardened lab encrypt Secrets; `None` before it was made.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn encryption_key(&self) -> Result<Option<EncryptionKey>, StateError> {
        let path = self.encryption_key_path();
        let Some(text) = self.read(&path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let key = EncryptionKey::from_text(text.trim());
        key.map(Some).map_err(|e| StateError::Damaged {
            path,
            problem: e.to_string(),
        })
    }

    /// Remembers the key of a hardened lab, which never changes.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_encryption_key(&self, key: &EncryptionKey) -> Result<(), StateError> {
        let text = Zeroizing::new(format!("{}\n", *key.expose()));
        self.write(&self.encryption_key_path(), &text)
    }

    /// The error for a lab whose key is gone: nothing but the file itself can bring its Secrets back.
    pub(crate) fn lost_encryption_key(&self) -> StateError {
        StateError::Damaged {
            path: self.encryption_key_path(),
            problem:
                "the key that the Secrets of this lab are encrypted with is gone; put the file back"
                    .to_owned(),
        }
    }

    /// Writes the administrator's kubeconfig; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_kubeconfig(&self, text: &str) -> Result<(), StateError> {
        let path = self.kubeconfig();
        if self
            .read(&path)?
            .map(Zeroizing::new)
            .as_deref()
            .map(String::as_str)
            == Some(text)
        {
            return Ok(());
        }
        self.write(&path, text)
    }

    /// Removes everything that this type writes, and the directory if nothing else is in it. Snapshots of etcd that
    /// somebody took stay, with it.
    ///
    /// # Errors
    ///
    /// The system refuses. What is not there is removed already.
    pub fn remove(&self) -> Result<(), StateError> {
        for dir in [self.pki(), self.kubectl_cache(), self.ssh(), self.backups()] {
            gone(fs::remove_dir_all(&dir), &dir)?;
        }
        // The record last: a directory without one is nobody's, and a next `down` would not go on.
        let files = [
            self.kubeconfig(),
            self.events(),
            self.token(),
            self.leaving_path(),
            self.encryption_key_path(),
            self.network_lock(),
            self.stock(),
            self.upgrades_path(),
            self.etcd_history_path(),
            self.etcd_record_path(),
            self.restoring(),
            self.rotation_path(),
        ];
        let last = [self.root.join("lock"), self.record_path()];
        for path in files.into_iter().chain(last) {
            forget(&path)?;
        }
        match fs::remove_dir(&self.root) {
            // Something that a person put there: it stays, with its directory.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => gone(other, &self.root),
        }
    }

    fn read(&self, path: &Path) -> Result<Option<String>, StateError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Io {
                what: "read",
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Every file here is for its owner alone, from its first byte, and replaced as a whole.
    pub(crate) fn write(&self, path: &Path, contents: impl AsRef<[u8]>) -> Result<(), StateError> {
        let file = host_exec::File::secret(path, contents.as_ref());
        let written = host_exec::files::write_here(&file);
        written.map_err(|source| StateError::Io {
            what: "write",
            path: path.to_owned(),
            source,
        })
    }
}

/// Makes a directory for its owner alone.
pub(crate) fn make_dir(path: &Path) -> Result<(), StateError> {
    let mut directory = fs::DirBuilder::new();
    let made = directory.recursive(true).mode(0o700).create(path);
    made.map_err(|source| StateError::Io {
        what: "make",
        path: path.to_owned(),
        source,
    })
}

/// Removes a file. One that is not there is *not* an error.
pub(crate) fn forget(path: &Path) -> Result<(), StateError> {
    gone(fs::remove_file(path), path)
}

/// The end of a removal: what is not there is gone.
fn gone(result: io::Result<()>, path: &Path) -> Result<(), StateError> {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StateError::Io {
            what: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
