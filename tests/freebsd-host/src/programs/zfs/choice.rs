//! Which datasets a command is about.

use super::{
    Failed, no,
    state::{Kind, Pools},
};
use crate::programs::getopt::Options;

/// The kinds that `-t` names.
pub(super) fn kinds(list: &str) -> Result<Vec<Kind>, Failed> {
    let mut kinds = Vec::new();
    for word in list.split(',') {
        match word {
            "filesystem" | "fs" => kinds.push(Kind::Filesystem),
            "volume" | "vol" => kinds.push(Kind::Volume),
            "snapshot" | "snap" => kinds.push(Kind::Snapshot),
            "bookmark" => {}
            "all" => kinds.extend([Kind::Filesystem, Kind::Volume, Kind::Snapshot]),
            _ => return Err(Failed::Usage(format!("invalid type '{word}'"))),
        }
    }
    Ok(kinds)
}

/// The names to show, in order, and the complaint about the first that is not there.
pub(super) fn choose(
    pools: &Pools,
    options: &Options,
    kinds: &[Kind],
) -> Result<(Vec<String>, Option<Failed>), Failed> {
    let depth = options.value('d').map(str::parse::<usize>).transpose();
    let depth = depth.map_err(|_| Failed::Usage("invalid depth".into()))?;
    let depth = depth.or(options.has('r').then_some(usize::MAX));
    let kind_of = |name: &str| pools.datasets.get(name).map(|dataset| dataset.kind);
    let fits = |name: &String| kind_of(name).is_some_and(|kind| kinds.contains(&kind));
    let mut missing = None;
    let mut chosen = Vec::new();
    if options.operands.is_empty() {
        chosen.extend(pools.datasets.keys().filter(|name| fits(name)).cloned());
    }
    for name in &options.operands {
        let Some(kind) = kind_of(name) else {
            let complaint = format!("cannot open '{name}': dataset does not exist");
            missing = missing.or(Some(no(complaint)));
            continue;
        };
        // A snapshot that is named is shown without -t, too.
        let is_named = kind == Kind::Snapshot && options.value('t').is_none();
        if is_named || fits(name) {
            chosen.push(name.clone());
        }
        let level = |below: &str| below[name.len()..].matches(['/', '@']).count();
        let within = |below: &String| depth.is_some_and(|depth| level(below) <= depth);
        let below = pools.below(name).into_iter();
        chosen.extend(below.filter(|below| within(below) && fits(below)));
    }
    chosen.sort_by_key(|name| place(pools, name));
    Ok((chosen, missing))
}

/// Snapshots come behind what they are of, in the order of their making.
fn place(pools: &Pools, name: &str) -> (String, u64) {
    match name.split_once('@') {
        Some((of, _)) => {
            let made = pools.datasets.get(name).map_or(0, |dataset| dataset.id);
            (of.to_owned(), made)
        }
        None => (name.to_owned(), 0),
    }
}
