//! A snapshot on this machine, and what is recorded beside it.

use super::{Damage, Snapshot, SnapshotStatus, check_whole};
use crate::{ClusterId, EtcdVersion, MemberName};
use host_exec::{File, Mode, Sha256Hex, files};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// What is known of a snapshot: kept beside it as JSON, with `.json` behind its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRecord {
    /// What etcdutl says of it.
    pub status: SnapshotStatus,
    /// The SHA-256 of the whole file.
    pub sha256: String,
    /// The cluster it is of.
    pub cluster_id: ClusterId,
    /// The version of etcd that made it.
    pub version: EtcdVersion,
    /// The member that made it.
    pub member: MemberName,
}

/// A snapshot that was read from this machine, whole. `Debug` shows no byte of it.
pub struct StoredSnapshot {
    /// Where it is.
    pub path: PathBuf,
    /// The store and its checksum.
    pub bytes: Zeroizing<Vec<u8>>,
    /// What was recorded of it; `None` for one that somebody else made.
    pub record: Option<SnapshotRecord>,
}

impl fmt::Debug for StoredSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StoredSnapshot({}, {:?})",
            self.path.display(),
            self.record
        )
    }
}

/// A snapshot could not be stored, or what is stored is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredSnapshotError {
    /// The file could not be read or written.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is not whole.
    #[error("{} is no whole snapshot; take another one", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Damage,
    },
    /// The record cannot be read.
    #[error(
        "cannot read {}, which says what the snapshot beside it is; mend it, or move it away to restore without it",
        .path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The snapshot is whole and not the one that was recorded.
    #[error(
        "{} has the SHA-256 {found}, and {recorded} was recorded: it was replaced; find the right one, or move \
         the record away if it is the record that is old", .path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: Sha256Hex,
        /// What it should have.
        recorded: String,
    },
}

/// Where the record of the snapshot at `path` is.
#[must_use]
pub fn record_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

impl Snapshot {
    /// Stores it on this machine with its record beside it, both with mode 0600: under a temporary name, `fsync`,
    /// `rename`. The record comes last, so that one without a snapshot never is.
    ///
    /// # Errors
    ///
    /// The system refuses. What was at `path` before is then still whole.
    pub fn store(&self, path: &Path) -> Result<SnapshotRecord, StoredSnapshotError> {
        let write = |path: &Path, bytes: &[u8]| {
            let file = File::secret(path, bytes).with_mode(Mode::SECRET);
            files::write_here(&file).map_err(|source| StoredSnapshotError::Io {
                what: "write",
                path: path.to_owned(),
                source,
            })
        };
        let record = SnapshotRecord {
            status: self.status,
            sha256: Sha256Hex::of(&self.bytes).to_string(),
            cluster_id: self.cluster_id,
            version: self.version,
            member: self.member.clone(),
        };
        let text =
            serde_json::to_string_pretty(&record).expect("names and numbers have a JSON form");
        // An older record would not fit the new snapshot, and then nobody could use it.
        let aside = record_path(path);
        match fs::remove_file(&aside) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let what = "write";
                let path = aside;
                return Err(StoredSnapshotError::Io { what, path, source });
            }
            _ => {}
        }
        write(path, &self.bytes)?;
        write(&aside, text.as_bytes())?;
        Ok(record)
    }
}

impl StoredSnapshot {
    /// Reads a snapshot and its record, and checks that it is whole and the one that was recorded.
    ///
    /// # Errors
    ///
    /// The file cannot be read, was cut or changed at any place, or is another than its record says. No record is *not*
    /// an error: the checksum in the snapshot is enough.
    pub fn read(path: &Path) -> Result<Self, StoredSnapshotError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoredSnapshotError::Io {
                what: "read",
                path,
                source,
            }
        };
        let bytes = Zeroizing::new(fs::read(path).map_err(io(path))?);
        check_whole(&bytes).map_err(|source| StoredSnapshotError::Damaged {
            path: path.to_owned(),
            source,
        })?;
        let aside = record_path(path);
        let record = match fs::read(&aside) {
            Ok(text) => Some(parse(&aside, &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(&aside)(error)),
        };
        if let Some(record) = &record {
            let found = Sha256Hex::of(&bytes);
            if found.as_str() != record.sha256 {
                return Err(StoredSnapshotError::Other {
                    path: path.to_owned(),
                    found,
                    recorded: record.sha256.clone(),
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
            record,
        })
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<SnapshotRecord, StoredSnapshotError> {
    serde_json::from_slice(text).map_err(|source| StoredSnapshotError::Record {
        path: path.to_owned(),
        source,
    })
}
