//! [`Lock`]: the memory of a plan, so that an edit renumbers nobody.

mod text;

use std::collections::BTreeMap;

pub use text::LockError;

use crate::addresses::Nets;
use crate::names::LabName;
use crate::net::{Family, Net};
use crate::requirement::{Requirement, Role};

/// What was allocated to whom.
///
/// As a text it has one line per allocation, sorted by byte order, each with a checksum of its
/// own, so that two edits of it merge like any other text. The checksums (FNV-1a) and the last
/// line find accidents, not intent.
///
/// ```text
/// netplan lock, version 2
/// address/etcd/etcd-0 10.77.0.10/32 #8a2c04f1
/// address/etcd/etcd-0 fd5c:1b2a:9e10::10/128 #52d1b7e0
/// class/etcd etcd 10+20 #1f0c66a3
/// gone/address/kube/worker-1 10.77.1.51/32 #e07d1a55
/// lab demo #c4b3a291
/// network/etcd 10.77.0.0/24 #77aa01b2
/// seed 0000000000000007 #3c5d90ff
/// end
/// ```
///
/// What is no longer asked for stays as `gone/`: it comes back to the same name, and is given to
/// another one only when nothing else is left, since ARP caches, certificates and kubeconfigs out
/// there may still name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    lab: LabName,
    seed: u64,
    nets: BTreeMap<Key, Net>,
    gone: BTreeMap<Key, Net>,
    classes: BTreeMap<String, LockedClass>,
}

/// The name of an allocation, and its family.
type Key = (String, Family);

/// What a lock says about a class of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockedClass {
    /// What its machines are in a cluster.
    pub role: Role,
    /// The host numbers that its machines count through.
    pub band: HostNumbers,
}

/// Consecutive host numbers of a class, the same on each of its networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct HostNumbers {
    /// The first.
    pub first: u32,
    /// How many.
    pub room: u32,
}

impl HostNumbers {
    /// The number behind the last.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.first.saturating_add(self.room)
    }

    /// Whether the two share a number.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.first < other.end() && other.first < self.end()
    }
}

impl Lock {
    pub(crate) fn new(lab: LabName, seed: u64) -> Self {
        Self {
            lab,
            seed,
            nets: BTreeMap::new(),
            gone: BTreeMap::new(),
            classes: BTreeMap::new(),
        }
    }

    pub(crate) fn insert(&mut self, id: String, net: Net) {
        self.nets.insert((id, net.family()), net);
    }

    pub(crate) fn insert_all(&mut self, id: &str, nets: Nets) {
        for net in nets.iter() {
            self.insert(id.to_owned(), net);
        }
    }

    pub(crate) fn insert_gone(&mut self, id: String, net: Net) {
        self.gone.insert((id, net.family()), net);
    }

    pub(crate) fn insert_class(&mut self, name: String, class: LockedClass) {
        self.classes.insert(name, class);
    }

    /// The lab that this lock belongs to.
    #[must_use]
    pub fn lab(&self) -> &LabName {
        &self.lab
    }

    /// The seed that the lab was first planned with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What is allocated under this name: `network/etcd`, `range/pods`, `pods/worker-0`,
    /// `address/kube/worker-0`.
    #[must_use]
    pub fn net(&self, id: &str, family: Family) -> Option<Net> {
        self.nets.get(&(id.to_owned(), family)).copied()
    }

    /// All allocations with their names, sorted.
    pub fn nets(&self) -> impl Iterator<Item = (&str, Net)> {
        self.nets.iter().map(|((id, _), net)| (id.as_str(), *net))
    }

    /// What was allocated once and is kept for its name, sorted.
    pub fn gone(&self) -> impl Iterator<Item = (&str, Net)> {
        self.gone.iter().map(|((id, _), net)| (id.as_str(), *net))
    }

    /// What is said about the class of this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<LockedClass> {
        self.classes.get(name).copied()
    }

    /// All classes with their names, sorted.
    pub fn classes(&self) -> impl Iterator<Item = (&str, LockedClass)> {
        self.classes
            .iter()
            .map(|(name, class)| (name.as_str(), *class))
    }

    /// Forgets what is no longer asked for, so that it can be given to others at once.
    pub fn forget_gone(&mut self) {
        self.gone.clear();
    }

    /// What this name had, when it is gone.
    pub(crate) fn gone_net(&self, id: &str, family: Family) -> Option<Net> {
        self.gone.get(&(id.to_owned(), family)).copied()
    }

    /// What this name has or had.
    pub(crate) fn kept(&self, id: &str, family: Family) -> Option<Net> {
        let key = (id.to_owned(), family);
        self.nets.get(&key).or_else(|| self.gone.get(&key)).copied()
    }

    /// Everything of this family whose name begins so, whether it is still asked for or not.
    pub(crate) fn kept_below<'a>(
        &'a self,
        prefix: &'a str,
        family: Family,
    ) -> impl Iterator<Item = (&'a str, Net)> {
        let from = (prefix.to_owned(), Family::V4);
        let below = move |map: &'a BTreeMap<Key, Net>| {
            map.range(from.clone()..)
                .take_while(move |((id, _), _)| id.starts_with(prefix))
        };
        below(&self.nets)
            .chain(below(&self.gone))
            .filter(move |((_, of), _)| *of == family)
            .map(|((id, _), net)| (id.as_str(), *net))
    }

    /// The same lock with the names that the requirement says were changed. A name that is still
    /// asked for, or a new one that is in the lock already, is left alone as a whole: addresses
    /// would else come to a network that is elsewhere.
    pub(crate) fn renamed(&self, requirement: &Requirement) -> Self {
        let mut lock = self.clone();
        for network in &requirement.networks {
            let Some(old) = &network.renamed_from else {
                continue;
            };
            let (old, new) = (old.as_str(), network.name.as_str());
            let mut asked = requirement.networks.iter();
            let new_id = format!("network/{new}");
            let is_there = Family::BOTH
                .into_iter()
                .any(|family| lock.net(&new_id, family).is_some());
            if !is_there && !asked.any(|other| other.name.as_str() == old) {
                lock.rename(|id| rename_network(id, old, new));
            }
        }
        for class in &requirement.classes {
            let Some(old) = &class.renamed_from else {
                continue;
            };
            let (old, new) = (old.as_str(), class.name.as_str());
            let mut asked = requirement.classes.iter();
            let is_there = lock.class(new).is_some();
            if !is_there && !asked.any(|other| other.name.as_str() == old) {
                lock.rename(|id| rename_machine(id, old, new));
                if let Some(locked) = lock.classes.remove(old) {
                    lock.classes.insert(new.to_owned(), locked);
                }
            }
        }
        lock
    }

    fn rename(&mut self, new_id: impl Fn(&str) -> Option<String>) {
        let renamed = |map: &BTreeMap<Key, Net>| -> Vec<(Key, Key)> {
            map.keys()
                .filter_map(|(id, family)| Some(((id.clone(), *family), (new_id(id)?, *family))))
                .collect()
        };
        for (old, new) in renamed(&self.nets) {
            if !self.nets.contains_key(&new)
                && let Some(net) = self.nets.remove(&old)
            {
                // Whoever had the new name before is gone, and this one has it now.
                self.gone.remove(&new);
                self.nets.insert(new, net);
            }
        }
        for (old, new) in renamed(&self.gone) {
            if !self.nets.contains_key(&new)
                && !self.gone.contains_key(&new)
                && let Some(net) = self.gone.remove(&old)
            {
                self.gone.insert(new, net);
            }
        }
    }
}

fn rename_network(id: &str, old: &str, new: &str) -> Option<String> {
    match id.split('/').collect::<Vec<_>>().as_slice() {
        ["network", name] if *name == old => Some(format!("network/{new}")),
        ["address", name, machine] if *name == old => Some(format!("address/{new}/{machine}")),
        _ => None,
    }
}

fn rename_machine(id: &str, old: &str, new: &str) -> Option<String> {
    let (rest, machine) = id.rsplit_once('/')?;
    let number = machine.strip_prefix(old)?.strip_prefix('-')?;
    let is_machine = rest == "pods" || rest.starts_with("address/");
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_machine && is_number).then(|| format!("{rest}/{new}-{number}"))
}
