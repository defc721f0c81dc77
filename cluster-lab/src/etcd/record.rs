//! What is remembered of etcd that cannot be asked: which cluster it is, which version it was upgraded to, and a restore that
//! has begun.

use crate::{StateDir, StateError};
use artifacts::{ProgramName, Version};
use etcd_bootstrap::{MemberName, SnapshotStatus};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The directory of a lab that outlives it.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// The programs of etcd, as another version set than the lab's has them.
pub(crate) const PROGRAMS: [ProgramName; 3] = [
    ProgramName::Etcd,
    ProgramName::Etcdctl,
    ProgramName::Etcdutl,
];

/// What is remembered of etcd. The default is a lab that was never restored and whose etcd was never upgraded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EtcdRecord {
    /// How often it was restored: each time it became another cluster, with a token of its own.
    #[serde(default)]
    pub restored: u32,
    /// The version set (by its Kubernetes) from which all members have their programs, where that is not the lab's own.
    #[serde(default)]
    pub programs: Option<Version>,
    /// In the middle of an upgrade: members that have theirs from another set already.
    #[serde(default)]
    pub upgraded: BTreeMap<MemberName, Version>,
    /// The restore that has begun and not ended.
    #[serde(default)]
    pub restoring: Option<Restoring>,
}

/// A restore that has begun. Its snapshot is kept with the lab until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restoring {
    /// The SHA-256 of the snapshot.
    pub sha256: String,
    /// What a trial said of it.
    pub snapshot: SnapshotStatus,
    /// Whether it is a copy of a member's store, which has no checksum.
    pub without_checksum: bool,
}

impl StateDir {
    pub(crate) fn etcd_record_path(&self) -> PathBuf {
        self.root().join("etcd.json")
    }

    /// The snapshot of a restore that has begun.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.root().join("etcd-restoring.db")
    }

    /// Where snapshots of etcd are kept that nobody named a place for. They outlive the lab.
    pub fn snapshots(&self) -> PathBuf {
        self.root().join(SNAPSHOTS)
    }

    /// What is remembered of etcd.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn etcd_record(&self) -> Result<EtcdRecord, StateError> {
        Ok(self.read_json(self.etcd_record_path())?.unwrap_or_default())
    }

    /// Remembers it; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_etcd(&self, record: &EtcdRecord) -> Result<(), StateError> {
        if self.etcd_record()? == *record {
            return Ok(());
        }
        self.write_json(&self.etcd_record_path(), record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Places;
    use std::fs;

    #[test]
    fn snapshots_outlive_their_lab_and_are_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        let places = Places {
            state: place("state"),
            cache: place("cache"),
            run: place("run"),
            bin_dir: None,
            path_dirs: Vec::new(),
        };
        let state = places.lab(&"one".parse().unwrap());
        let lock = state.lock().unwrap();
        let record = EtcdRecord {
            restored: 1,
            ..EtcdRecord::default()
        };
        state.remember_etcd(&record).unwrap();
        fs::create_dir(state.snapshots()).unwrap();
        fs::write(state.snapshots().join("a.db"), "data").unwrap();
        state.remove().unwrap();
        drop(lock);

        let left = fs::read_dir(state.root()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [SNAPSHOTS]);
        assert_eq!(state.etcd_record().unwrap(), EtcdRecord::default());
        state.lock().expect("a new lab may be made there");
    }
}
