//! [`Lock`]: the memory of a plan, so that an edit renumbers nobody.

mod error;
mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

pub use error::LockError;

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
    nets: Named,
    gone: Named,
    classes: BTreeMap<String, LockedClass>,
}

/// Allocations by name.
type Named = BTreeMap<String, Nets>;

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

    /// Adds what an allocation has; nothing for one of no family.
    pub(crate) fn insert(&mut self, id: String, nets: Nets) {
        if nets != Nets::default() {
            self.nets.insert(id, nets);
        }
    }

    pub(crate) fn insert_gone(&mut self, id: &str, net: Net) {
        put(&mut self.gone, id, net);
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
        of(&self.nets, id, family)
    }

    /// All allocations with their names, sorted.
    pub fn nets(&self) -> impl Iterator<Item = (&str, Net)> {
        each(self.nets.iter())
    }

    /// What was allocated once and is kept for its name, sorted.
    pub fn gone(&self) -> impl Iterator<Item = (&str, Net)> {
        each(self.gone.iter())
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
        of(&self.gone, id, family)
    }

    /// Everything of this family whose name begins so, whether it is still asked for or not.
    pub(crate) fn kept_below<'a>(
        &'a self,
        prefix: &'a str,
        family: Family,
    ) -> impl Iterator<Item = (&'a str, Net)> {
        let below = move |named: &'a Named| {
            let from = (Bound::Included(prefix), Bound::Unbounded);
            let from = named.range::<str, _>(from);
            from.take_while(move |(id, _)| id.starts_with(prefix))
        };
        each(below(&self.nets).chain(below(&self.gone)))
            .filter(move |(_, net)| net.family() == family)
    }

    /// The same lock with the names that the requirement says were changed. A name that is still
    /// asked for, or a new one that is in the lock already, is left alone as a whole: addresses
    /// would else come to a network that is elsewhere.
    pub(crate) fn renamed(&self, requirement: &Requirement) -> Cow<'_, Self> {
        let mut lock = Cow::Borrowed(self);
        for network in &requirement.networks {
            let Some(old) = &network.renamed_from else {
                continue;
            };
            let (old, new) = (old.as_str(), network.name.as_str());
            let mut asked = requirement.networks.iter();
            let is_there = lock.nets.contains_key(&format!("network/{new}"));
            if !is_there && !asked.any(|other| other.name.as_str() == old) {
                lock.to_mut().rename(|id| rename_network(id, old, new));
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
                let lock = lock.to_mut();
                lock.rename(|id| rename_machine(id, old, new));
                if let Some(locked) = lock.classes.remove(old) {
                    lock.classes.insert(new.to_owned(), locked);
                }
            }
        }
        lock
    }

    /// Family by family, since a name may be new in one only.
    fn rename(&mut self, new_id: impl Fn(&str) -> Option<String>) {
        let renamed = |named: &Named| -> Vec<(String, String)> {
            let pairs = named.keys().map(|id| (id.clone(), new_id(id)));
            pairs.filter_map(|(old, new)| Some((old, new?))).collect()
        };
        for (old, new) in renamed(&self.nets) {
            for family in Family::BOTH {
                if of(&self.nets, &new, family).is_none()
                    && let Some(net) = take(&mut self.nets, &old, family)
                {
                    // Whoever had the new name before is gone, and this one has it now.
                    take(&mut self.gone, &new, family);
                    put(&mut self.nets, &new, net);
                }
            }
        }
        for (old, new) in renamed(&self.gone) {
            for family in Family::BOTH {
                if of(&self.nets, &new, family).is_none()
                    && of(&self.gone, &new, family).is_none()
                    && let Some(net) = take(&mut self.gone, &old, family)
                {
                    put(&mut self.gone, &new, net);
                }
            }
        }
    }
}

fn of(named: &Named, id: &str, family: Family) -> Option<Net> {
    named.get(id)?.of(family)
}

fn each<'a>(
    named: impl Iterator<Item = (&'a String, &'a Nets)>,
) -> impl Iterator<Item = (&'a str, Net)> {
    named.flat_map(|(id, nets)| nets.iter().map(|net| (id.as_str(), net)))
}

fn put(named: &mut Named, id: &str, net: Net) {
    named.entry(id.to_owned()).or_default().insert(net);
}

/// A name without any network is none.
fn take(named: &mut Named, id: &str, family: Family) -> Option<Net> {
    let nets = named.get_mut(id)?;
    let net = nets.remove(family);
    if *nets == Nets::default() {
        named.remove(id);
    }
    net
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
