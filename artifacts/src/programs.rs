//! Obtains the programs of a version set: the only part with effects on them.

use crate::{
    BuildError, DownloadError, Lock, LockEntry, LockError, ObserveError, PlanError, ProgramName,
    Sha256, Source, Version, Wanted,
    build::Module,
    download,
    lock::Stamp,
    observe::{check_version, observe},
    place::{Packing, Places},
    plan::{Existing, Go, Reach, Step, plan},
    store::{self, StoreError, writing},
    transfer, unpack,
};
use host_exec::{EventSink, LocalHost};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The step's name in events.
const STEP: &str = "programs";

/// A complete version set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramSet {
    /// The directory that holds every wanted program under its name; mode 0755, safe to bind read-only.
    pub dir: PathBuf,
    /// What is in it.
    pub lock: Lock,
}

impl ProgramSet {
    /// The file of a program.
    pub fn path(&self, program: ProgramName) -> PathBuf {
        self.dir.join(program.as_str())
    }
}

/// A version set that could not be completed. What was obtained before is kept for the next run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramsError {
    /// The cache cannot be examined.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A program that no source has.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A download failed, and another source would not do.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The cache cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An archive that does not hold what it should.
    #[error(transparent)]
    Unpack(#[from] unpack::UnpackError),
    /// What was built does not say that it is what was asked for.
    #[error("the program that was built is not the right one: {0}")]
    WrongVersion(String),
    /// A thread of this program ended early.
    #[error("a background task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl From<LockError> for ProgramsError {
    fn from(error: LockError) -> Self {
        Self::Observe(ObserveError::Lock(error))
    }
}

/// Completes the version set and returns it. With everything in place it reads sizes and times of files only,
/// takes a millisecond and changes nothing.
///
/// Each program is recorded as soon as it is in place: a run that was killed is continued by the next one.
/// Two runs at once take turns. A download that turns out not to be there is tried as a build.
///
/// # Errors
///
/// No source has a program, a checksum is wrong, a build fails, the disk is full; see [`ProgramsError`].
pub async fn programs(
    here: &LocalHost,
    wanted: &Wanted,
    places: &Places,
    events: &dyn EventSink,
) -> Result<ProgramSet, ProgramsError> {
    let set_dir = places.set_dir(wanted);
    let found = observe(here, wanted, places).await?;
    if plan(wanted, &found, &places.mirrors).is_ok_and(|steps| steps.is_empty()) {
        return finished(set_dir);
    }
    events.started("", STEP);
    let _turn = store::exclusive(&places.sets_dir(), STEP, events).await?;
    store::directory(set_dir.clone())?;
    // Another process may have done the work while this one waited for its turn.
    let mut found = observe(here, wanted, places).await?;
    let mut steps = plan(wanted, &found, &places.mirrors)?;
    let work = Work {
        here,
        wanted,
        places,
        set_dir: &set_dir,
        total: wanted.programs.len(),
        events,
    };
    work.remove_parts()?;
    while let Some(step) = steps.first() {
        match work.apply(step).await {
            Err(ProgramsError::Download(e)) if e.place_is_unusable() => {
                let why = Reach::Unusable(with_sources(&e));
                found.reach.insert(step.component(), why);
            }
            // The last source: the plan's error then tells of all of them.
            Err(ProgramsError::Build(e @ BuildError::Modules { .. })) => {
                found.go = Go::Missing(with_sources(&e));
            }
            Ok(()) => {
                let done = step.programs();
                found.existing.retain(|e| !done.contains(&e.program));
                found.in_place.extend(done);
            }
            Err(e) => return Err(e),
        }
        steps = plan(wanted, &found, &places.mirrors)?;
    }
    let text = format!("{} programs in {}", work.total, set_dir.display());
    events.done("", STEP, &text);
    finished(set_dir)
}

fn finished(dir: PathBuf) -> Result<ProgramSet, ProgramsError> {
    let path = dir.join(Lock::FILE);
    let lost = || StoreError::new(&path, std::io::ErrorKind::NotFound.into());
    let lock = Lock::read(&dir)?.ok_or_else(lost)?;
    Ok(ProgramSet { dir, lock })
}

/// An error with its causes on one line, for a list of attempts.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What all steps of one run share.
struct Work<'a> {
    here: &'a LocalHost,
    wanted: &'a Wanted,
    places: &'a Places,
    set_dir: &'a Path,
    total: usize,
    events: &'a dyn EventSink,
}

impl Work<'_> {
    async fn apply(&self, step: &Step) -> Result<(), ProgramsError> {
        match step {
            Step::UseExisting(existing) => self.take(existing).await,
            Step::Download {
                programs,
                url,
                checksum_url,
                packing,
            } => self.download(programs, url, checksum_url, packing).await,
            Step::Build {
                component,
                version,
                programs,
                go,
                go_version,
            } => {
                let module = Module {
                    component: *component,
                    version: *version,
                    architecture: self.wanted.architecture,
                    go: go.clone(),
                    dir: (self.places.cache_dir.join("modules"))
                        .join(format!("{component}-{version}")),
                };
                self.build(&module, programs, *go_version).await
            }
        }
    }

    /// A name that `ProgramName` cannot have, so that no half-made file is taken for a program; and one of this
    /// process, because a compiler that outlives a killed run still writes to the name that it was given.
    fn part(&self, program: ProgramName) -> PathBuf {
        let process = std::process::id();
        self.set_dir.join(format!(".{program}.{process}.part"))
    }

    /// Removes the half-made files of runs that were killed.
    fn remove_parts(&self) -> Result<(), StoreError> {
        for entry in fs::read_dir(self.set_dir).map_err(writing(self.set_dir))? {
            let path = entry.map_err(writing(self.set_dir))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "part")
            {
                store::remove(&path)?;
            }
        }
        Ok(())
    }

    /// "kubelet, 5 of 10": its place in the order of all that is wanted.
    fn numbered(&self, verb: &str, program: ProgramName) -> String {
        let position = self.wanted.programs.iter().position(|p| *p == program);
        let number = position.map_or(self.total, |i| i + 1);
        format!("{verb} {program}, {number} of {}", self.total)
    }

    async fn take(&self, existing: &Existing) -> Result<(), ProgramsError> {
        let (program, part) = (existing.program, self.part(existing.program));
        let from = existing.path.clone();
        let stamp = Stamp::of(&from).map_err(writing(&from))?;
        let missing = || StoreError::new(&from, std::io::ErrorKind::NotFound.into());
        let source = Source::File {
            stamp: stamp.ok_or_else(missing)?,
            path: from.clone(),
        };
        let source = match existing.in_cache {
            true => self.source_in_cache(existing)?.unwrap_or(source),
            false => source,
        };
        let (in_cache, to) = (existing.in_cache, part.clone());
        let copied = tokio::task::spawn_blocking(move || {
            store::remove(&to)?;
            if in_cache && fs::hard_link(&from, &to).is_ok() {
                return Sha256::of_file(&to).map_err(writing(&to));
            }
            store::copy(&from, &to)
        });
        let text = self.numbered("copying", program);
        let sha256 = store::with_heartbeat(self.events, STEP, || text.clone(), copied).await??;
        self.record(program, &part, sha256, source)
    }

    /// Where the other set of the cache has it from: the cache is no source of its own.
    fn source_in_cache(&self, existing: &Existing) -> Result<Option<Source>, ProgramsError> {
        let dir = existing.path.parent().unwrap_or(self.set_dir);
        let entry = Lock::read(dir)?.and_then(|mut lock| lock.programs.remove(&existing.program));
        Ok(entry.map(|entry| entry.source))
    }

    async fn download(
        &self,
        programs: &[ProgramName],
        url: &str,
        checksum_url: &str,
        packing: &Packing,
    ) -> Result<(), ProgramsError> {
        let downloads = store::directory(self.places.cache_dir.join("downloads"))?;
        // Different versions share file names at some places: the address tells them apart.
        let name = url.rsplit('/').next().unwrap_or("file");
        let target = downloads.join(format!("{}-{name}", Sha256::of(url.as_bytes()).short()));
        let sha256 = self.fetch(url, checksum_url, &target).await?;
        let source = Source::Download {
            url: url.to_owned(),
        };
        match packing {
            Packing::Bare => {
                for program in programs {
                    self.record(*program, &target, sha256.clone(), source.clone())?;
                }
            }
            Packing::TarGz { dir } => {
                let members: BTreeMap<_, _> = programs
                    .iter()
                    .map(|p| (Path::new(dir).join(p.as_str()), self.part(*p)))
                    .collect();
                let archive = target.clone();
                let unpacked =
                    tokio::task::spawn_blocking(move || unpack::tar_gz(&archive, &members));
                let mut sums = unpacked.await??;
                for program in programs {
                    let part = self.part(*program);
                    if let Some(sha256) = sums.remove(&part) {
                        self.record(*program, &part, sha256, source.clone())?;
                    }
                }
                store::remove(&target)?;
            }
        }
        Ok(())
    }

    async fn fetch(
        &self,
        url: &str,
        checksum_url: &str,
        target: &Path,
    ) -> Result<Sha256, ProgramsError> {
        let agent = download::agent(self.places.mirrors.connect_timeout);
        let (from, sums) = (url.to_owned(), checksum_url.to_owned());
        let to = target.to_owned();
        let fetched = transfer::blocking(STEP, url, self.events, move |progress| {
            download::fetch(&agent, &from, &sums, &to, progress)
        });
        Ok(fetched.await??)
    }

    async fn build(
        &self,
        module: &Module,
        programs: &[ProgramName],
        go: Version,
    ) -> Result<(), ProgramsError> {
        let what = format!(
            "getting the modules of {} {}",
            module.component, module.version
        );
        let prepared = module.prepare(self.here);
        store::with_heartbeat(self.events, STEP, || what.clone(), prepared).await?;
        for program in programs.iter().copied() {
            let part = self.part(program);
            store::remove(&part)?;
            let text = self.numbered("building", program);
            let built = module.build(self.here, program, &part);
            store::with_heartbeat(self.events, STEP, || text.clone(), built).await?;
            if crate::Architecture::here() == Ok(self.wanted.architecture) {
                let checked = check_version(self.here, self.wanted, program, &part).await;
                checked.map_err(ProgramsError::WrongVersion)?;
            }
            let path = part.clone();
            let hashed = tokio::task::spawn_blocking(move || Sha256::of_file(&path));
            let sha256 = hashed.await?.map_err(writing(&part))?;
            self.record(program, &part, sha256, Source::Build { go })?;
        }
        Ok(())
    }

    /// Puts a finished file in its place and writes it into the lock.
    fn record(
        &self,
        program: ProgramName,
        part: &Path,
        sha256: Sha256,
        source: Source,
    ) -> Result<(), ProgramsError> {
        let path = self.set_dir.join(program.as_str());
        store::publish_program(part, &path)?;
        let stamp = Stamp::of(&path).map_err(writing(&path))?;
        let missing = || StoreError::new(&path, std::io::ErrorKind::NotFound.into());
        let entry = LockEntry {
            version: self.wanted.versions.of(program.component()),
            source,
            sha256,
            stamp: stamp.ok_or_else(missing)?,
        };
        let mut lock = Lock::read(self.set_dir)?.unwrap_or_else(|| Lock {
            versions: self.wanted.versions.clone(),
            architecture: self.wanted.architecture,
            programs: BTreeMap::new(),
        });
        lock.programs.insert(program, entry);
        lock.write(self.set_dir)?;
        Ok(())
    }
}
