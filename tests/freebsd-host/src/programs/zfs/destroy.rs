//! Removing datasets, and keeping snapshots from it.

use super::{
    Failed, change, directory,
    make::vanish,
    no, options,
    state::{Kind, POOL, Pools},
};
use crate::{guest, world::World};
use std::{fs, io, path::Path};

/// `zfs destroy [-rRf] NAME`.
pub(super) fn destroy(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "frR")?;
    let [name] = &options.operands[..] else {
        return Err(Failed::Usage(match options.operands.len() {
            0 => "missing dataset argument".into(),
            _ => "too many arguments".into(),
        }));
    };
    let (children, clones) = (options.has('r') || options.has('R'), options.has('R'));
    change(world, |pools| {
        let mut all = pools.doomed(name, children, clones)?;
        pools.refuse_busy(world, &all)?;
        // What is deepest goes first.
        all.sort_by_key(|name| std::cmp::Reverse(name.matches(['/', '@']).count()));
        for name in &all {
            pools.remove(world, name)?;
        }
        Ok(())
    })
}

impl Pools {
    /// What goes with a dataset: what is below it, if `children` may go, and clones of that, if `clones` may.
    fn doomed(&self, name: &str, children: bool, clones: bool) -> Result<Vec<String>, Failed> {
        if !self.datasets.contains_key(name) && name.contains('@') {
            let text = "could not find any snapshots to destroy; check snapshot names.";
            return Err(no(text.into()));
        }
        let kind = self.open(name)?.kind.word();
        let refused =
            |why: &str, remedy: &str| no(format!("cannot destroy '{name}': {why}\n{remedy}"));
        if name == POOL {
            let remedy = format!(
                "use 'zfs destroy -r {name}' to destroy all datasets in the pool\n\
                use 'zpool destroy {name}' to destroy the pool itself"
            );
            return Err(refused("operation does not apply to pools", &remedy));
        }
        let list = |option: &str, names: &[String]| {
            let names = names.join("\n");
            format!("use '-{option}' to destroy the following datasets:\n{names}")
        };
        let mut all = self.below(name);
        if !all.is_empty() && !children {
            return Err(refused(&format!("{kind} has children"), &list("r", &all)));
        }
        all.push(name.to_owned());
        let outside = all.iter().flat_map(|name| self.clones(name));
        let outside: Vec<String> = outside.filter(|clone| !all.contains(clone)).collect();
        if !outside.is_empty() && !clones {
            let place = if kind == "snapshot" {
                ""
            } else {
                " outside of it"
            };
            let why = format!("{kind} has dependent clones{place}");
            return Err(refused(&why, &list("R", &outside)));
        }
        all.extend(outside);
        Ok(all)
    }

    fn refuse_busy(&self, world: &World, all: &[String]) -> Result<(), Failed> {
        for name in all {
            let dataset = self.open(name)?;
            let device = format!("/dev/zvol/{name}");
            let open = dataset.kind == Kind::Volume && guest::is_open(world, &device)?;
            if open || !dataset.holds.is_empty() {
                let name = match dataset.kind {
                    Kind::Snapshot => format!("snapshot {name}"),
                    _ => format!("'{name}'"),
                };
                return Err(no(format!("cannot destroy {name}: dataset is busy")));
            }
        }
        Ok(())
    }

    fn remove(&mut self, world: &World, name: &str) -> io::Result<()> {
        let mountpoint = self.mountpoint(name);
        let Some(dataset) = self.datasets.remove(name) else {
            return Ok(());
        };
        match (dataset.kind, mountpoint) {
            (Kind::Filesystem, Some(at)) if Path::new(&at).exists() => fs::remove_dir_all(at)?,
            (Kind::Volume, _) => vanish(name),
            _ => {}
        }
        match fs::remove_dir_all(directory(world, dataset.id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// `zfs hold TAG SNAPSHOT...`.
pub(super) fn hold(world: &World, words: &[String]) -> Result<(), Failed> {
    tag(world, words, |pools, tag, name| {
        let held = pools
            .datasets
            .get_mut(name)
            .is_some_and(|snapshot| snapshot.holds.insert(tag.to_owned()));
        held.then_some(()).ok_or_else(|| {
            no(format!(
                "cannot hold snapshot '{name}': tag already exists on this dataset"
            ))
        })
    })
}

/// `zfs release TAG SNAPSHOT...`.
pub(super) fn release(world: &World, words: &[String]) -> Result<(), Failed> {
    tag(world, words, |pools, tag, name| {
        let released = pools
            .datasets
            .get_mut(name)
            .is_some_and(|snapshot| snapshot.holds.remove(tag));
        released.then_some(()).ok_or_else(|| {
            no(format!(
                "cannot release hold from snapshot '{name}': no such tag on this dataset"
            ))
        })
    })
}

fn tag(
    world: &World,
    words: &[String],
    tag_one: impl Fn(&mut Pools, &str, &str) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let options = options(words, "r")?;
    let Some((tag, names)) = options.operands.split_first() else {
        return Err(Failed::Usage("missing tag argument".into()));
    };
    if names.is_empty() {
        return Err(Failed::Usage("missing snapshot argument".into()));
    }
    change(world, |pools| {
        for name in names {
            if !name.contains('@') {
                return Err(no(format!("'{name}' is not a snapshot")));
            }
            pools.open(name)?;
            tag_one(pools, tag, name)?;
        }
        Ok(())
    })
}
