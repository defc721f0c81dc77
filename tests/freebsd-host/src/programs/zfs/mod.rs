//! zfs(8) and zpool(8): filesystems are directories, volumes are sparse files.
//!
//! A snapshot or clone of a volume shares its file: bytes that are written to the one show in the other. Guests
//! never write there; what they keep is in a directory beside the file, which each volume has for itself.

mod alter;
mod choice;
mod destroy;
mod make;
mod name;
mod property;
mod sheet;
mod show;
mod state;
mod zpool;

use super::{fail, strerror};
use crate::{store::Stored, world::World};
use state::Pools;
use std::{io, path::PathBuf, process::ExitCode};

pub(super) use zpool::zpool;

/// The file of the world with all datasets.
const FILE: &str = "zfs";

/// The first line of the real one's.
const USAGE: &str = "usage: zfs command args ...";

/// Why a command fails.
#[derive(Debug)]
enum Failed {
    /// The words make no sense: status 2, with the usage.
    Usage(String),
    /// What is asked for cannot be done: status 1.
    No(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::No(format!("internal error: {}", strerror(&error)))
    }
}

fn no(text: String) -> Failed {
    Failed::No(text)
}

/// One command.
pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    let Some((command, words)) = words.split_first() else {
        return fail(2, format!("missing command\n{USAGE}"));
    };
    let done = match command.as_str() {
        "create" => make::create(world, words),
        "clone" => make::clone(world, words),
        "snapshot" | "snap" => make::snapshot(world, words),
        "rename" => alter::rename(world, words),
        "set" => alter::set(world, words),
        "inherit" => alter::inherit(world, words),
        "destroy" => destroy::destroy(world, words),
        "hold" => destroy::hold(world, words),
        "release" => destroy::release(world, words),
        "holds" => show::holds(world, words),
        "list" => show::list(world, words),
        "get" => show::get(world, words),
        "version" => show::version(),
        _ => Err(Failed::Usage(format!("unrecognized command '{command}'"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Usage(text)) => fail(2, format!("{text}\n{USAGE}")),
        Err(Failed::No(text)) => fail(1, text),
    }
}

/// What is there.
fn read(world: &World) -> io::Result<Pools> {
    Ok(Stored::open(world, FILE)?.value)
}

/// The volumes, each with its file.
pub(crate) fn volumes(world: &World) -> io::Result<Vec<(String, PathBuf)>> {
    let all = read(world)?.datasets.into_iter();
    let volumes = all.filter(|(_, dataset)| dataset.kind == state::Kind::Volume);
    let with_data =
        volumes.map(|(name, dataset)| (name, directory(world, dataset.id).join("data")));
    Ok(with_data.collect())
}

/// Changes what is there, one command at a time; a change that fails leaves all as it was.
fn change(
    world: &World,
    change: impl FnOnce(&mut Pools) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut stored = Stored::open(world, FILE)?;
    change(&mut stored.value)?;
    Ok(stored.save()?)
}

/// The options of a command.
fn options(words: &[String], known: &str) -> Result<super::getopt::Options, Failed> {
    super::getopt::Options::parse(words, known).map_err(|problem| {
        // zfs(8) words getopt(3)'s two complaints in its own way.
        let letter = problem.chars().last().unwrap_or(' ');
        Failed::Usage(match problem.starts_with("illegal") {
            true => format!("invalid option '{letter}'"),
            false => format!("missing argument for '{letter}' option"),
        })
    })
}

/// Where a volume has its `data`, and its guest what is on the disk.
fn directory(world: &World, id: u64) -> PathBuf {
    world.path("volumes").join(id.to_string())
}
