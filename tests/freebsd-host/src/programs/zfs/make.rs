//! Making datasets.

use super::{
    Failed, change, directory,
    name::{parent, problem, snapshot_problem},
    no, options, property,
    state::{self, Dataset, Kind, Pools},
};
use crate::{kernel, programs::getopt::Options, world::World};
use std::{fs, io, path::Path};

/// `zfs create [-ps] [-b SIZE] [-V SIZE] [-o PROPERTY=VALUE]... NAME`.
pub(super) fn create(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "psuV:b:o:")?;
    let [name] = &options.operands[..] else {
        return Err(Failed::Usage(match options.operands.len() {
            0 => "missing filesystem argument".into(),
            _ => "too many arguments".into(),
        }));
    };
    let wanted = Wanted::new(&options)?;
    change(world, |pools| {
        pools.make(world, name, &wanted, options.has('p'))
    })
}

/// `zfs clone [-p] [-o PROPERTY=VALUE]... SNAPSHOT NAME`.
pub(super) fn clone(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "puo:")?;
    let [snapshot, name] = &options.operands[..] else {
        return Err(Failed::Usage(match options.operands.len() {
            0 => "missing source dataset argument".into(),
            1 => "missing target dataset argument".into(),
            _ => "too many arguments".into(),
        }));
    };
    change(world, |pools| {
        let origin = pools.open(snapshot)?;
        if origin.kind != Kind::Snapshot {
            return Err(no(format!(
                "cannot open '{snapshot}': operation not applicable to datasets of this type"
            )));
        }
        let of_volume = origin.volsize.is_some();
        let wanted = Wanted {
            kind: if of_volume {
                Kind::Volume
            } else {
                Kind::Filesystem
            },
            assigned: options.values('o').map(str::to_owned).collect(),
            volsize: origin.volsize,
            sparse: true,
            origin: Some(snapshot.clone()),
        };
        pools.make(world, name, &wanted, options.has('p'))
    })
}

/// A dataset that is to be made.
struct Wanted {
    kind: Kind,
    assigned: Vec<String>,
    volsize: Option<u64>,
    sparse: bool,
    origin: Option<String>,
}

impl Wanted {
    /// What the options of `zfs create` ask for.
    fn new(options: &Options) -> Result<Self, Failed> {
        let size = options.value('V');
        let volsize = size.map(property::size).transpose();
        let volsize = volsize.map_err(|problem| {
            let size = size.unwrap_or_default();
            no(format!("bad volume size '{size}': {problem}"))
        })?;
        let kind = match volsize {
            Some(_) => Kind::Volume,
            None => Kind::Filesystem,
        };
        if kind == Kind::Filesystem && (options.has('s') || options.has('b')) {
            let text = "'-s' and '-b' can only be used when creating a volume";
            return Err(Failed::Usage(text.into()));
        }
        let mut assigned: Vec<String> = options.values('o').map(str::to_owned).collect();
        let block = options.value('b');
        assigned.extend(block.map(|size| format!("volblocksize={size}")));
        Ok(Self {
            kind,
            assigned,
            volsize,
            sparse: options.has('s'),
            origin: None,
        })
    }
}

impl Pools {
    fn make(
        &mut self,
        world: &World,
        name: &str,
        wanted: &Wanted,
        parents: bool,
    ) -> Result<(), Failed> {
        let refused = |text: String| no(format!("cannot create '{name}': {text}"));
        if let Some(text) = problem(name) {
            return Err(refused(text));
        }
        if self.datasets.contains_key(name) {
            return if parents {
                Ok(())
            } else {
                Err(refused("dataset already exists".into()))
            };
        }
        let dataset = self.described(world, name, wanted)?;
        self.parents(world, name, parents)?;
        match dataset.kind {
            Kind::Volume => self.place_volume(world, name, &dataset)?,
            _ => mount(&dataset, &self.with(name, &dataset)).map_err(Failed::from)?,
        }
        self.datasets.insert(name.to_owned(), dataset);
        Ok(())
    }

    /// The dataset with its properties, all of them checked.
    fn described(&mut self, world: &World, name: &str, wanted: &Wanted) -> Result<Dataset, Failed> {
        let refused = |text: String| no(format!("cannot create '{name}': {text}"));
        let mut dataset = Dataset::new(wanted.kind, self.number());
        dataset.origin.clone_from(&wanted.origin);
        for word in &wanted.assigned {
            let (property, value) =
                property::assignment(word, wanted.kind, true).map_err(refused)?;
            let twice = dataset.set.insert(property.clone(), value).is_some();
            if twice {
                return Err(no(format!(
                    "property '{property}' specified multiple times"
                )));
            }
        }
        if let Some(volsize) = wanted.volsize {
            let origin = wanted
                .origin
                .as_ref()
                .and_then(|origin| self.datasets.get(origin));
            let block = match dataset.set.remove("volblocksize") {
                Some(_) if origin.is_some() => {
                    return Err(refused("'volblocksize' is readonly".into()));
                }
                Some(text) => property::size(&text).map_err(refused)?,
                None => origin
                    .and_then(|origin| origin.volblocksize)
                    .unwrap_or(16 << 10),
            };
            if volsize == 0 || !volsize.is_multiple_of(block) {
                return Err(refused(
                    "volume size must be a multiple of volume block size".into(),
                ));
            }
            if !wanted.sparse && volsize > state::available(world)? {
                return Err(refused("out of space".into()));
            }
            (dataset.volsize, dataset.volblocksize) = (Some(volsize), Some(block));
        }
        Ok(dataset)
    }

    fn parents(&mut self, world: &World, name: &str, make: bool) -> Result<(), Failed> {
        let refused = |text: String| no(format!("cannot create '{name}': {text}"));
        let Some(above) = parent(name) else {
            return Err(refused(format!("no such pool '{name}'")));
        };
        let pool = above.split('/').next().unwrap_or(above);
        match self.datasets.get(above) {
            Some(found) if found.kind == Kind::Filesystem => Ok(()),
            Some(_) => Err(refused("parent is not a filesystem".into())),
            None if !self.datasets.contains_key(pool) => {
                Err(refused(format!("no such pool '{pool}'")))
            }
            None if !make => Err(refused("parent does not exist".into())),
            None => {
                let wanted = Wanted {
                    kind: Kind::Filesystem,
                    assigned: Vec::new(),
                    volsize: None,
                    sparse: false,
                    origin: None,
                };
                self.make(world, above, &wanted, true)
            }
        }
    }

    /// The volume's file, and its device, which comes a moment later.
    fn place_volume(&self, world: &World, name: &str, dataset: &Dataset) -> io::Result<()> {
        let data = directory(world, dataset.id).join("data");
        fs::create_dir_all(directory(world, dataset.id))?;
        match dataset
            .origin
            .as_ref()
            .and_then(|origin| self.datasets.get(origin))
        {
            Some(origin) => fs::hard_link(directory(world, origin.id).join("data"), &data)?,
            None => fs::File::create_new(&data)?.set_len(dataset.volsize.unwrap_or(0))?,
        }
        appear(world, name, &data)
    }

    fn with<'a>(&'a self, name: &'a str, dataset: &Dataset) -> Option<String> {
        match dataset.set.get("mountpoint").map(String::as_str) {
            Some("none" | "legacy") => None,
            Some(path) => Some(path.to_owned()),
            None => self.mountpoint(name),
        }
    }
}

fn mount(dataset: &Dataset, at: &Option<String>) -> io::Result<()> {
    match at {
        Some(at) if dataset.set.get("canmount").is_none_or(|can| can == "on") => {
            fs::create_dir_all(at)
        }
        _ => Ok(()),
    }
}

/// Process 1 makes the device, by the path of its file: the dataset itself is known only when this command is done.
pub(super) fn appear(world: &World, name: &str, data: &Path) -> io::Result<()> {
    kernel::ask(world, "zvol", &format!("{name} {}", data.display()))
}

/// `zfs snapshot [-r] NAME@SNAPSHOT...`.
pub(super) fn snapshot(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "ro:")?;
    if options.operands.is_empty() {
        return Err(Failed::Usage("missing snapshot argument".into()));
    }
    change(world, |pools| {
        for full in &options.operands {
            let Some((of, name)) = full.split_once('@') else {
                return Err(Failed::Usage(format!(
                    "cannot create snapshot '{full}': missing '@' delimiter"
                )));
            };
            if let Some(text) = snapshot_problem(name) {
                return Err(no(format!("cannot create snapshot '{full}': {text}")));
            }
            pools.open(of)?;
            let mut all = vec![of.to_owned()];
            if options.has('r') {
                all.extend(
                    pools
                        .below(of)
                        .into_iter()
                        .filter(|name| !name.contains('@')),
                );
            }
            for of in all {
                pools.snapshot(world, &of, name, &options)?;
            }
        }
        Ok(())
    })
}

impl Pools {
    fn snapshot(
        &mut self,
        world: &World,
        of: &str,
        name: &str,
        options: &Options,
    ) -> Result<(), Failed> {
        let full = format!("{of}@{name}");
        if self.datasets.contains_key(&full) {
            return Err(no(format!(
                "cannot create snapshot '{full}': dataset already exists"
            )));
        }
        let source = self.open(of)?.clone();
        let mut made = Dataset::new(Kind::Snapshot, self.number());
        for word in options.values('o') {
            let (property, value) = property::assignment(word, Kind::Snapshot, true)
                .map_err(|text| property::refused("create snapshot", &full, text))?;
            made.set.insert(property, value);
        }
        if source.kind == Kind::Volume {
            (made.volsize, made.volblocksize) = (source.volsize, source.volblocksize);
            let place = directory(world, made.id);
            fs::create_dir_all(&place)?;
            fs::hard_link(directory(world, source.id).join("data"), place.join("data"))?;
        }
        self.datasets.insert(full, made);
        Ok(())
    }
}

/// Takes a volume's device away, and directories that are empty then.
pub(super) fn vanish(name: &str) {
    let devices = Path::new("/dev/zvol");
    let link = devices.join(name);
    let _ = fs::remove_file(&link);
    for above in link
        .ancestors()
        .skip(1)
        .take_while(|above| *above != devices)
    {
        if fs::remove_dir(above).is_err() {
            break;
        }
    }
}
