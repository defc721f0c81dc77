//! Which allocations differ between two locks.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::effects::Effects;
use crate::diff::{Change, ChangeKind, Diff, Item, Value};
use crate::lock::Lock;
use crate::net::Family;

/// An item, with its family where it has one in each.
type Key = (Item, Option<Family>);

/// What changes from one lock to the other. What is `gone` does not count: nobody has it.
///
/// A new name that has the value which only a vanished name had is taken for that one, renamed.
/// That is right after `renamed_from`; a new machine that was given a vanished one's address,
/// because nothing else was left, looks the same, and the effects are the same too.
#[must_use]
pub fn diff(old: &Lock, new: &Lock) -> Diff {
    let effects = Effects::new(old, new);
    let (before, after) = (entries(old), entries(new));
    let gone: Vec<(&Key, &Value)> = entries_without(&before, &after).collect();
    let come: Vec<(&Key, &Value)> = entries_without(&after, &before).collect();
    let renamed = renames(&gone, &come);
    let mut changes: Vec<(Key, ChangeKind)> = Vec::new();
    for (at, (key, value)) in come.iter().enumerate() {
        let kind = match renamed.get(&at) {
            Some(old) => {
                let ((old, _), value) = (gone[*old].0.clone(), (*value).clone());
                ChangeKind::Renamed { old, value }
            }
            None => ChangeKind::Added {
                to: (*value).clone(),
            },
        };
        changes.push(((*key).clone(), kind));
    }
    let stays: BTreeSet<usize> = renamed.into_values().collect();
    for (at, (key, value)) in gone.iter().enumerate() {
        if !stays.contains(&at) {
            let from = (*value).clone();
            changes.push(((*key).clone(), ChangeKind::Removed { from }));
        }
    }
    for (key, from) in &before {
        if let Some(kind) = after.get(key).and_then(|to| changed(from, to)) {
            changes.push((key.clone(), kind));
        }
    }
    changes.sort();
    let changes = changes.into_iter().map(|((item, _), kind)| Change {
        effects: effects.of(&item, &kind),
        item,
        kind,
    });
    Diff {
        changes: changes.collect(),
    }
}

fn entries(lock: &Lock) -> BTreeMap<Key, Value> {
    let nets = lock
        .nets()
        .map(|(id, net)| ((Item::of(id), Some(net.family())), Value::Net(net)));
    let classes = lock.classes().filter_map(|(name, class)| {
        // A lock has only names of classes that are such.
        let name = crate::ClassName::new(name).ok()?;
        Some(((Item::Class(name), None), Value::Class(class)))
    });
    let lab = ((Item::Lab, None), Value::Lab(lock.lab().clone()));
    let seed = ((Item::Seed, None), Value::Seed(lock.seed()));
    nets.chain(classes).chain([lab, seed]).collect()
}

fn entries_without<'a>(
    all: &'a BTreeMap<Key, Value>,
    without: &'a BTreeMap<Key, Value>,
) -> impl Iterator<Item = (&'a Key, &'a Value)> {
    all.iter().filter(|(key, _)| !without.contains_key(key))
}

/// For what has come, by its position, the position of what it was before. Only where neither
/// side leaves a choice: two classes may have the same value, as two networks cannot.
fn renames(gone: &[(&Key, &Value)], come: &[(&Key, &Value)]) -> BTreeMap<usize, usize> {
    let mut by_value: BTreeMap<&Value, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, (_, value)) in gone.iter().enumerate() {
        by_value.entry(value).or_default().0.push(at);
    }
    for (at, (_, value)) in come.iter().enumerate() {
        by_value.entry(value).or_default().1.push(at);
    }
    let pairs = by_value.into_values().filter_map(|(gone_at, come_at)| {
        let ([old], [new]) = (gone_at.as_slice(), come_at.as_slice()) else {
            return None;
        };
        let ((before, _), (after, _)) = (gone[*old].0, come[*new].0);
        after.is_like(before).then_some((*new, *old))
    });
    pairs.collect()
}

fn changed(from: &Value, to: &Value) -> Option<ChangeKind> {
    if from == to {
        return None;
    }
    let (is_larger, is_smaller) = (to.covers(from), from.covers(to));
    let (from, to) = (from.clone(), to.clone());
    Some(if is_larger {
        ChangeKind::Grown { from, to }
    } else if is_smaller {
        ChangeKind::Shrunk { from, to }
    } else {
        ChangeKind::Moved { from, to }
    })
}
