//! What is there: datasets and their properties.

use super::{Failed, directory, name, no};
use crate::world::World;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
};

/// The pool of the host.
pub(super) const POOL: &str = "zroot";

/// All datasets of all pools.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pools {
    pub(super) datasets: BTreeMap<String, Dataset>,
    /// The number of the next one.
    next: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Filesystem,
    Volume,
    Snapshot,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Dataset {
    pub(super) kind: Kind,
    /// In the order in which they came; it names the directory of a volume.
    pub(super) id: u64,
    /// Properties that were set here, users' own with a colon in their names.
    pub(super) set: BTreeMap<String, String>,
    /// The snapshot that it is a clone of.
    pub(super) origin: Option<String>,
    /// In bytes; of a snapshot, those of its volume at that time.
    pub(super) volsize: Option<u64>,
    pub(super) volblocksize: Option<u64>,
    /// Tags that keep a snapshot.
    pub(super) holds: BTreeSet<String>,
}

impl Default for Pools {
    fn default() -> Self {
        let pool = Dataset::new(Kind::Filesystem, 1);
        Self {
            datasets: [(POOL.to_owned(), pool)].into(),
            next: 2,
        }
    }
}

impl Dataset {
    pub(super) fn new(kind: Kind, id: u64) -> Self {
        Self {
            kind,
            id,
            set: BTreeMap::new(),
            origin: None,
            volsize: None,
            volblocksize: None,
            holds: BTreeSet::new(),
        }
    }
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Volume => "volume",
            Self::Snapshot => "snapshot",
        }
    }
}

impl Pools {
    /// The dataset of this name.
    pub(super) fn open(&self, name: &str) -> Result<&Dataset, Failed> {
        let found = self.datasets.get(name);
        found.ok_or_else(|| no(format!("cannot open '{name}': dataset does not exist")))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The names of all that is below a dataset.
    pub(super) fn below(&self, above: &str) -> Vec<String> {
        let names = self.datasets.keys();
        names
            .filter(|name| name::is_below(name, above))
            .cloned()
            .collect()
    }

    /// The names of the clones of a snapshot.
    pub(super) fn clones(&self, snapshot: &str) -> Vec<String> {
        let all = self.datasets.iter();
        let clones = all.filter(|(_, dataset)| dataset.origin.as_deref() == Some(snapshot));
        clones.map(|(name, _)| name.clone()).collect()
    }

    /// The value of a property with the dataset that it was set on: its own, or that of the nearest above.
    pub(super) fn inherited<'a>(
        &'a self,
        name: &'a str,
        property: &str,
    ) -> Option<(&'a str, &'a str)> {
        let mut at = Some(name);
        while let Some(here) = at {
            let value = self
                .datasets
                .get(here)
                .and_then(|dataset| dataset.set.get(property));
            if let Some(value) = value {
                return Some((value, here));
            }
            at = name::parent(here);
        }
        None
    }

    /// Where a filesystem is mounted; none if it is not.
    pub(super) fn mountpoint(&self, name: &str) -> Option<String> {
        match self.inherited(name, "mountpoint") {
            None => Some(format!("/{name}")),
            Some(("none" | "legacy", _)) => None,
            Some((path, of)) => Some(format!(
                "{}{}",
                path.trim_end_matches('/'),
                &name[of.len()..]
            )),
        }
    }
}

/// What can still be written to the pool, in bytes: what the machine has, or what a test has put into
/// `pool-available`.
pub(super) fn available(world: &World) -> io::Result<u64> {
    if let Ok(text) = fs::read_to_string(world.path("pool-available")) {
        return text.trim().parse().map_err(io::Error::other);
    }
    let system = nix::sys::statvfs::statvfs(world.root())?;
    Ok(system.blocks_available() * system.fragment_size())
}

/// What a dataset itself takes, in bytes.
pub(super) fn used(world: &World, dataset: &Dataset) -> u64 {
    /// An empty dataset of ZFS.
    const LEAST: u64 = 98_304;
    let shared = dataset.origin.is_some() || dataset.kind != Kind::Volume;
    let data = directory(world, dataset.id).join("data");
    let blocks = fs::metadata(data).map_or(0, |data| data.blocks());
    match (dataset.kind, shared) {
        (Kind::Snapshot, _) => 0,
        (_, true) => LEAST,
        (_, false) => LEAST + blocks * 512,
    }
}
