//! Looks for what is wanted: in place, in the user's directory, in other sets of the cache, in `PATH`; and asks
//! the official places and the Go toolchain only when something is still lacking.

use crate::{
    Architecture, Component, Lock, LockError, ProgramName, Wanted, download,
    lock::{Source, Stamp, absent},
    place::Places,
    plan::{Existing, Found, Go, Reach},
    version::first_version_in,
};
use host_exec::{Command, Host, LocalHost};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A program that prints its version and hangs is no use.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// A cache or a directory that cannot be examined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The lock of a version set.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or directory.
    #[error("cannot examine {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Finds out what is here. A complete set is confirmed by the sizes and times of its files, well under 50 ms.
///
/// # Errors
///
/// The cache cannot be read. Missing programs, places out of reach and a missing Go are *not* errors.
pub async fn observe(
    here: &LocalHost,
    wanted: &Wanted,
    places: &Places,
) -> Result<Found, ObserveError> {
    let mut found = Found {
        in_place: Vec::new(),
        existing: Vec::new(),
        rejected: Vec::new(),
        reach: BTreeMap::new(),
        go: Go::Missing("Go was not looked for".to_owned()),
    };
    let set_dir = places.set_dir(wanted);
    let lock = Lock::read(&set_dir)?;
    if let Some(lock) = &lock {
        found.in_place = lock.intact(&set_dir)?;
        found.in_place.retain(|p| wanted.programs.contains(p));
    }
    if let Some(dir) = &places.bin_dir {
        look_in_bin_dir(here, wanted, dir, lock.as_ref(), &mut found).await?;
    }
    if found.lacking(wanted).is_empty() {
        return Ok(found);
    }
    look_in_cache(wanted, places, &set_dir, &mut found)?;
    look_in_path(here, wanted, places, &mut found).await?;
    let lacking = found.lacking(wanted);
    if !lacking.is_empty() {
        let components = Component::ALL
            .into_iter()
            .filter(|c| lacking.iter().any(|p| p.component() == *c));
        found.reach = reach(components, places).await;
        found.go = find_go(here, places).await;
    }
    Ok(found)
}

/// What the user put into `--bin-dir` goes before the cache, unless the cache has its copy already.
async fn look_in_bin_dir(
    here: &LocalHost,
    wanted: &Wanted,
    dir: &Path,
    lock: Option<&Lock>,
    found: &mut Found,
) -> Result<(), ObserveError> {
    for program in wanted.programs.iter().copied() {
        let path = dir.join(program.as_str());
        let Some(stamp) = Stamp::of(&path).map_err(|source| io_error(&path, source))? else {
            continue;
        };
        let source = Source::File {
            path: path.clone(),
            stamp,
        };
        let locked = lock.and_then(|lock| lock.programs.get(&program));
        if found.in_place.contains(&program) && locked.is_some_and(|entry| entry.source == source) {
            continue;
        }
        if consider(here, wanted, program, path, found).await {
            found.in_place.retain(|p| *p != program);
        }
    }
    Ok(())
}

/// Other version sets may share a component: the same CoreDNS serves every Kubernetes.
fn look_in_cache(
    wanted: &Wanted,
    places: &Places,
    set_dir: &Path,
    found: &mut Found,
) -> Result<(), ObserveError> {
    for dir in subdirectories(&places.sets_dir())? {
        if dir == set_dir {
            continue;
        }
        let Some(lock) = Lock::read(&dir)? else {
            continue;
        };
        if lock.architecture != wanted.architecture {
            continue;
        }
        for program in lock.intact(&dir)? {
            let version = wanted.versions.of(program.component());
            if lock.programs[&program].version == version
                && found.lacking(wanted).contains(&program)
            {
                found.existing.push(Existing {
                    program,
                    path: dir.join(program.as_str()),
                    in_cache: true,
                });
            }
        }
    }
    Ok(())
}

async fn look_in_path(
    here: &LocalHost,
    wanted: &Wanted,
    places: &Places,
    found: &mut Found,
) -> Result<(), ObserveError> {
    for program in found.lacking(wanted) {
        for dir in &places.path_dirs {
            let path = dir.join(program.as_str());
            let stamp = Stamp::of(&path).map_err(|source| io_error(&path, source))?;
            if stamp.is_some() && consider(here, wanted, program, path, found).await {
                break;
            }
        }
    }
    Ok(())
}

/// Takes a file whose version is right, and notes why another is rejected.
async fn consider(
    here: &LocalHost,
    wanted: &Wanted,
    program: ProgramName,
    path: PathBuf,
    found: &mut Found,
) -> bool {
    match check_version(here, wanted, program, &path).await {
        Ok(()) => {
            found.existing.push(Existing {
                program,
                path,
                in_cache: false,
            });
            true
        }
        Err(why) => {
            found.rejected.push((program, why));
            false
        }
    }
}

/// Runs a program to learn its version; the error says why it does not serve.
pub(crate) async fn check_version(
    here: &LocalHost,
    wanted: &Wanted,
    program: ProgramName,
    path: &Path,
) -> Result<(), String> {
    if Architecture::here() != Ok(wanted.architecture) {
        return Err(format!(
            "{} cannot be asked for its version: it has to be for {}",
            path.display(),
            wanted.architecture
        ));
    }
    let command = Command::new(path.to_string_lossy())
        .args(program.version_arguments().iter().copied())
        .timeout(VERSION_TIMEOUT);
    let output = here.run(&command).await.map_err(|e| e.to_string())?;
    let version = wanted.versions.of(program.component());
    match program.parse_version(&output.stdout_text()) {
        Some(found) if found == version => Ok(()),
        Some(found) => Err(format!("{} is {found}, not {version}", path.display())),
        None => Err(format!("{} does not say its version", path.display())),
    }
}

/// Asks each place whether it answers, all at the same time.
async fn reach(
    components: impl Iterator<Item = Component>,
    places: &Places,
) -> BTreeMap<Component, Reach> {
    let asked: Vec<_> = components
        .map(|component| {
            let base = places.mirrors.base(component).to_owned();
            let timeout = places.mirrors.connect_timeout;
            let probe = move || download::probe(&download::agent(timeout), &base);
            (component, tokio::task::spawn_blocking(probe))
        })
        .collect();
    let mut reach = BTreeMap::new();
    for (component, answer) in asked {
        let answer = match answer.await {
            Ok(Ok(())) => Reach::Reachable,
            Ok(Err(why)) => Reach::Unusable(why.to_string()),
            Err(joined) => Reach::Unusable(joined.to_string()),
        };
        reach.insert(component, answer);
    }
    reach
}

/// The Go in `PATH`, with its version. Sample: `go version go1.26.8 linux/amd64`.
pub(crate) async fn find_go(here: &LocalHost, places: &Places) -> Go {
    let Some(path) = places.in_path("go") else {
        return Go::Missing("there is no Go in PATH to build it".to_owned());
    };
    let command = Command::new(path.to_string_lossy())
        .arg("version")
        .env("GOTOOLCHAIN", "local")
        .timeout(VERSION_TIMEOUT);
    match here.run(&command).await {
        Ok(output) => match parse_go_version(&output.stdout_text()) {
            Some(version) => Go::Found { path, version },
            None => Go::Missing(format!("{} does not say its version", path.display())),
        },
        Err(e) => Go::Missing(e.to_string()),
    }
}

/// Reads the output of `go version`. Sample: `go version go1.26.8 linux/amd64`; a development version has no
/// number and gives `None`.
pub fn parse_go_version(stdout: &str) -> Option<crate::Version> {
    let word = stdout
        .strip_prefix("go version go")?
        .split_whitespace()
        .next()?;
    first_version_in(word)
}

pub(crate) fn subdirectories(dir: &Path) -> Result<Vec<PathBuf>, ObserveError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if absent(&e) => return Ok(Vec::new()),
        Err(source) => return Err(io_error(dir, source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| io_error(dir, source))?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn io_error(path: &Path, source: io::Error) -> ObserveError {
    ObserveError::Io {
        path: path.to_owned(),
        source,
    }
}
