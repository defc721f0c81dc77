//! A snapshot on this machine, and what is recorded beside it.

use super::{
    Damage, SnapshotStatus, forget_part,
    whole::{Check, Checked},
};
use crate::{ClusterId, EtcdVersion, MemberName};
use host_exec::{File, Mode, Sha256Hex, files};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// How much of a file is in memory at once.
const PIECE_BYTES: usize = 1 << 20;

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

/// A snapshot on this machine that was read to its end once. Its bytes stay on the disk: a store may have gigabytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 of the whole file: what a host that gets it has to find too.
    pub sha256: Sha256Hex,
    /// How many bytes the file has.
    pub bytes: u64,
    /// What was recorded of it; `None` for one that somebody else made.
    pub record: Option<SnapshotRecord>,
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

impl StoredSnapshot {
    /// Reads a snapshot and its record, piece by piece, and checks that it is whole and the one that was recorded. Blocks
    /// the thread for as long as the disk takes.
    ///
    /// # Errors
    ///
    /// The file cannot be read, was cut or changed at any place, or is another than its record says. No record is *not*
    /// an error: the checksum in the snapshot is enough.
    pub fn read(path: &Path) -> Result<Self, StoredSnapshotError> {
        Self::judge(path, examine(path, |_| Ok(()))?)
    }

    /// Copies the snapshot at `from`, whose owner may change or remove it, to `to`, with mode 0600. It is read once, and
    /// what is written are the bytes that were checked as by [`StoredSnapshot::read`]. The record is not copied, and one
    /// that was at `to` is removed. Blocks the thread for as long as the disks take.
    ///
    /// # Errors
    ///
    /// As [`StoredSnapshot::read`]; the copy cannot be written. What was at `to` before is there then.
    pub fn copy(from: &Path, to: &Path) -> Result<Self, StoredSnapshotError> {
        let copied = copy_to_part(from, to).and_then(|original| {
            name_without_record(to)?;
            Ok(original)
        });
        let original = copied.inspect_err(|_| forget_part(to))?;
        Ok(Self {
            path: to.to_owned(),
            ..original
        })
    }

    /// What was read at `path`, if it is whole and the one that was recorded.
    fn judge(path: &Path, found: Checked) -> Result<Self, StoredSnapshotError> {
        let Checked {
            bytes,
            sha256,
            whole,
        } = found;
        whole.map_err(|source| StoredSnapshotError::Damaged {
            path: path.to_owned(),
            source,
        })?;
        let record = read_record(path)?;
        if let Some(record) = record.as_ref().filter(|r| r.sha256 != sha256.as_str()) {
            return Err(StoredSnapshotError::Other {
                path: path.to_owned(),
                found: sha256,
                recorded: record.sha256.clone(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            sha256,
            bytes,
            record,
        })
    }

    /// The same for a copy of `member/snap/db`, as [`salvage`](crate::restore::salvage) makes one: it has no checksum, and
    /// nothing is checked.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn copy_of_store(path: &Path) -> Result<Self, StoredSnapshotError> {
        let Checked { bytes, sha256, .. } = examine(path, |_| Ok(()))?;
        Ok(Self {
            path: path.to_owned(),
            sha256,
            bytes,
            record: None,
        })
    }
}

/// Reads a file to its end, and hands on each piece that has been looked at.
fn examine(
    path: &Path,
    mut hand_on: impl FnMut(&[u8]) -> Result<(), StoredSnapshotError>,
) -> Result<Checked, StoredSnapshotError> {
    let mut file = fs::File::open(path).map_err(io_error("read", path))?;
    let (mut check, mut piece) = (Check::new(), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(check.end()),
            Ok(read) => {
                check.update(&piece[..read]);
                hand_on(&piece[..read])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("read", path)(error)),
        }
    }
}

/// Makes the part of `to` of the snapshot at `from`, synced.
fn copy_to_part(from: &Path, to: &Path) -> Result<StoredSnapshot, StoredSnapshotError> {
    forget_part(to);
    let part = part_path(to);
    let mut options = fs::File::options();
    let opened = options.write(true).create_new(true).mode(0o600).open(&part);
    let mut file = opened.map_err(io_error("write", &part))?;
    let found = examine(from, |piece| {
        file.write_all(piece).map_err(io_error("write", &part))
    })?;
    file.sync_all().map_err(io_error("write", &part))?;
    StoredSnapshot::judge(from, found)
}

fn read_record(path: &Path) -> Result<Option<SnapshotRecord>, StoredSnapshotError> {
    let aside = record_path(path);
    match fs::read(&aside) {
        Ok(text) => parse(&aside, &text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", &aside)(error)),
    }
}

/// What a snapshot is called that is not whole yet.
pub(crate) fn part_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Gives the part of `path`, which is synced, its name. What was there before is whole until then.
pub(crate) fn name_part(path: &Path) -> Result<(), StoredSnapshotError> {
    fs::rename(part_path(path), path).map_err(io_error("write", path))?;
    // A rename is on the disk when its directory is.
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    let directory = directory.unwrap_or(Path::new("."));
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(io_error("write", path))
}

/// Looks whether the part of `path` is a whole snapshot, and only then gives it its name; else takes it away.
pub(crate) fn store_part(path: &Path) -> Result<StoredSnapshot, StoredSnapshotError> {
    name_whole(path).inspect_err(|_| forget_part(path))
}

fn name_whole(path: &Path) -> Result<StoredSnapshot, StoredSnapshotError> {
    let part = part_path(path);
    let Checked {
        bytes,
        sha256,
        whole,
    } = examine(&part, |_| Ok(()))?;
    whole.map_err(|source| StoredSnapshotError::Damaged { path: part, source })?;
    name_without_record(path)?;
    Ok(StoredSnapshot {
        path: path.to_owned(),
        sha256,
        bytes,
        record: None,
    })
}

/// Gives the part of `path` its name. The record of what was there before goes first: it would not fit, and then nobody
/// could use the new one.
fn name_without_record(path: &Path) -> Result<(), StoredSnapshotError> {
    let aside = record_path(path);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("write", &aside)(error));
        }
        _ => {}
    }
    name_part(path)
}

/// Writes the record of the snapshot at `path`, with mode 0600: after it, so that a record without its snapshot never is.
pub(super) fn write_record(
    path: &Path,
    record: &SnapshotRecord,
) -> Result<(), StoredSnapshotError> {
    let text = serde_json::to_string_pretty(record).expect("names and numbers have a JSON form");
    let aside = record_path(path);
    let file = File::secret(&aside, text).with_mode(Mode::SECRET);
    files::write_here(&file).map_err(io_error("write", &aside))
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoredSnapshotError {
    let path = path.to_owned();
    move |source| StoredSnapshotError::Io { what, path, source }
}

fn parse(path: &Path, text: &[u8]) -> Result<SnapshotRecord, StoredSnapshotError> {
    serde_json::from_slice(text).map_err(|source| StoredSnapshotError::Record {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A page of a store and its checksum.
    fn bytes() -> Vec<u8> {
        let page = vec![7; 4096];
        let sum = ring::digest::digest(&ring::digest::SHA256, &page);
        [&page, sum.as_ref()].concat()
    }

    /// A record of a snapshot with this checksum.
    fn record(sha256: &str) -> String {
        let record = SnapshotRecord {
            status: SnapshotStatus {
                hash: 1,
                revision: 2,
                total_keys: 3,
                total_bytes: 4096,
            },
            sha256: sha256.to_owned(),
            cluster_id: ClusterId(5),
            version: "3.7.3".parse().unwrap(),
            member: "etcd-0".parse().unwrap(),
        };
        serde_json::to_string(&record).unwrap()
    }

    #[test]
    fn a_copy_is_what_was_checked_and_has_no_old_record() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from.db"), dir.path().join("to.db"));
        fs::write(&from, bytes()).unwrap();
        fs::write(&to, "of an earlier run").unwrap();
        fs::write(record_path(&to), record("0")).unwrap();
        fs::write(part_path(&to), "of a killed run").unwrap();
        let sha256 = Sha256Hex::of(&bytes());
        fs::write(record_path(&from), record(sha256.as_str())).unwrap();
        let copy = StoredSnapshot::copy(&from, &to).unwrap();
        assert_eq!(
            (copy.path.as_path(), &copy.sha256, copy.bytes),
            (&*to, &sha256, 4128)
        );
        assert_eq!(copy.record.unwrap().status.revision, 2);
        assert_eq!(fs::read(&to).unwrap(), bytes());
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!record_path(&to).exists() && !part_path(&to).exists());
        assert_eq!(StoredSnapshot::read(&to).unwrap().sha256, sha256);
    }

    #[test]
    fn what_is_no_snapshot_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from.db"), dir.path().join("to.db"));
        fs::write(&to, bytes()).unwrap();
        let refused = || {
            let error = StoredSnapshot::copy(&from, &to).unwrap_err();
            assert_eq!(fs::read(&to).unwrap(), bytes());
            assert!(!part_path(&to).exists());
            error
        };
        assert!(matches!(
            refused(),
            StoredSnapshotError::Io { what: "read", .. }
        ));
        fs::write(&from, &bytes()[..4000]).unwrap();
        assert!(matches!(refused(), StoredSnapshotError::Damaged { .. }));
        fs::write(&from, bytes()).unwrap();
        fs::write(record_path(&from), record("0")).unwrap();
        assert!(matches!(refused(), StoredSnapshotError::Other { .. }));
    }
}
