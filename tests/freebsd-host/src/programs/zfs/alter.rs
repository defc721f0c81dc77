//! Changing datasets that are there.

use super::{
    Failed, change, directory,
    make::{appear, vanish},
    name::{parent, problem},
    no, options, property,
    state::{Kind, Pools},
};
use crate::world::World;
use std::{fs, io};

/// `zfs rename OLD NEW`.
pub(super) fn rename(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "pfu")?;
    let [old, new] = &options.operands[..] else {
        return Err(Failed::Usage(
            "missing source or target dataset argument".into(),
        ));
    };
    change(world, |pools| {
        pools.refuse_name(old, new)?;
        let (from, to) = (pools.mountpoint(old), pools.inherited_mountpoint(old, new));
        let mut moved = vec![old.clone()];
        moved.extend(pools.below(old));
        for name in moved {
            pools.move_to(world, &name, format!("{new}{}", &name[old.len()..]))?;
        }
        match (from, to) {
            (Some(from), Some(to)) if from != to => Ok(fs::rename(from, to)?),
            _ => Ok(()),
        }
    })
}

impl Pools {
    fn refuse_name(&self, old: &str, new: &str) -> Result<(), Failed> {
        let kind = self.open(old)?.kind;
        let refused = |text: String| no(format!("cannot rename '{old}': {text}"));
        if let Some(text) = problem(new).filter(|_| kind != Kind::Snapshot) {
            return Err(refused(text));
        }
        if self.datasets.contains_key(new) {
            let text = format!("cannot rename to '{new}': dataset already exists");
            return Err(no(text));
        }
        let has_parent = parent(new).is_some_and(|above| self.datasets.contains_key(above));
        has_parent
            .then_some(())
            .ok_or_else(|| refused("parent does not exist".into()))
    }

    /// Where a filesystem will be mounted under its new name; none for what is not mounted.
    fn inherited_mountpoint(&self, old: &str, new: &str) -> Option<String> {
        let dataset = self.datasets.get(old)?;
        match (dataset.kind, dataset.set.get("mountpoint")) {
            (Kind::Filesystem, None) => self.mountpoint(new),
            _ => None,
        }
    }

    fn move_to(&mut self, world: &World, name: &str, target: String) -> io::Result<()> {
        let Some(dataset) = self.datasets.remove(name) else {
            return Ok(());
        };
        if dataset.kind == Kind::Volume {
            vanish(name);
            appear(world, &target, &directory(world, dataset.id).join("data"))?;
        }
        for other in self.datasets.values_mut() {
            if other.origin.as_deref() == Some(name) {
                other.origin = Some(target.clone());
            }
        }
        self.datasets.insert(target, dataset);
        Ok(())
    }
}

/// `zfs set PROPERTY=VALUE... NAME...`.
pub(super) fn set(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "u")?;
    let split = options
        .operands
        .iter()
        .take_while(|word| word.contains('='))
        .count();
    let (assigned, names) = options.operands.split_at(split);
    if assigned.is_empty() {
        return Err(Failed::Usage("missing property=value argument(s)".into()));
    }
    if names.is_empty() {
        return Err(Failed::Usage("missing dataset name(s)".into()));
    }
    change(world, |pools| {
        for name in names {
            pools.open(name)?;
            for word in assigned {
                pools.set(world, name, word)?;
            }
        }
        Ok(())
    })
}

impl Pools {
    fn set(&mut self, world: &World, name: &str, word: &str) -> Result<(), Failed> {
        let refused = |text: String| property::refused("set property for", name, text);
        let Some(dataset) = self.datasets.get_mut(name) else {
            return Ok(());
        };
        let (property, value) = property::assignment(word, dataset.kind, false).map_err(refused)?;
        if property != "volsize" {
            dataset.set.insert(property, value);
            return Ok(());
        }
        let bytes = property::size(&value).map_err(refused)?;
        let block = dataset.volblocksize.unwrap_or(512);
        if bytes == 0 || !bytes.is_multiple_of(block) {
            let block = property::for_people(block);
            return Err(refused(format!(
                "'volsize' must be a multiple of volume block size ({block})"
            )));
        }
        if dataset.volsize.is_some_and(|now| bytes < now) {
            return Err(refused(
                "the stand-in makes no volume smaller: its guest would lose data".into(),
            ));
        }
        dataset.volsize = Some(bytes);
        let data = directory(world, dataset.id).join("data");
        if dataset.origin.is_none() {
            fs::OpenOptions::new()
                .write(true)
                .open(data)?
                .set_len(bytes)?;
        }
        Ok(())
    }
}

/// `zfs inherit [-r] PROPERTY NAME...`.
pub(super) fn inherit(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "rS")?;
    let Some((wanted, names)) = options.operands.split_first() else {
        return Err(Failed::Usage("missing property argument".into()));
    };
    let property = property::canonical(wanted)
        .ok_or_else(|| Failed::Usage(format!("invalid property '{wanted}'")))?;
    change(world, |pools| {
        for name in names {
            pools.open(name)?;
            let mut all = vec![name.clone()];
            all.extend(if options.has('r') {
                pools.below(name)
            } else {
                Vec::new()
            });
            for name in all {
                if let Some(dataset) = pools.datasets.get_mut(&name) {
                    dataset.set.remove(&property);
                }
            }
        }
        Ok(())
    })
}
