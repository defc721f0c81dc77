//! From what is wanted and what was found to the steps that bring it together; pure.

use crate::{
    Component, ProgramName, UnknownKubernetes, Version, Wanted, module,
    place::{Mirrors, Packing},
};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// A program of the right version and processor that lies somewhere else on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Which program.
    pub program: ProgramName,
    /// The file.
    pub path: PathBuf,
    /// Whether the file belongs to another version set of the cache, where files are replaced and never rewritten:
    /// then a second name for it is enough.
    pub in_cache: bool,
}

/// Whether a place to download from can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It answers.
    Reachable,
    /// It does not, or it does not have the version; why.
    Unusable(String),
}

/// What there is to build with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Go {
    /// This Go.
    Found {
        /// The program.
        path: PathBuf,
        /// Its version.
        version: Version,
    },
    /// None that can be used; why.
    Missing(String),
}

/// What was found on this machine and in its reach. Places that nothing is wanted from are not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Programs that are in place, unchanged since they were put there.
    pub in_place: Vec<ProgramName>,
    /// Files to take programs from; the first of a program is taken.
    pub existing: Vec<Existing>,
    /// Files of the right name that were not good enough, and why.
    pub rejected: Vec<(ProgramName, String)>,
    /// The official places that were asked.
    pub reach: BTreeMap<Component, Reach>,
    /// The Go toolchain.
    pub go: Go,
}

impl Found {
    /// The wanted programs that are neither in place nor in an existing file.
    pub(crate) fn lacking(&self, wanted: &Wanted) -> Vec<ProgramName> {
        let here = |p: &ProgramName| {
            self.in_place.contains(p) || self.existing.iter().any(|e| e.program == *p)
        };
        wanted
            .programs
            .iter()
            .copied()
            .filter(|p| !here(p))
            .collect()
    }
}

/// One step. Steps are independent of each other and may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Put a file of this machine into the set.
    UseExisting(Existing),
    /// Download a file, verify its checksum, take programs out of it.
    Download {
        /// The programs in it that are wanted.
        programs: Vec<ProgramName>,
        /// The file.
        url: String,
        /// Where its checksum is.
        checksum_url: String,
        /// How the programs lie in it.
        packing: Packing,
    },
    /// Build programs from Go modules.
    Build {
        /// Whose programs.
        component: Component,
        /// Of which version.
        version: Version,
        /// The programs, built one after another.
        programs: Vec<ProgramName>,
        /// The Go toolchain.
        go: PathBuf,
        /// Its version.
        go_version: Version,
    },
}

impl Step {
    /// The programs that are in place once the step is done.
    pub fn programs(&self) -> Vec<ProgramName> {
        match self {
            Self::UseExisting(existing) => vec![existing.program],
            Self::Download { programs, .. } | Self::Build { programs, .. } => programs.clone(),
        }
    }

    /// Whose programs they are; a step never mixes two.
    pub fn component(&self) -> Component {
        let first = self.programs().first().copied();
        first.map_or(Component::Kubernetes, ProgramName::component)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UseExisting(from) => write!(f, "use {}", from.path.display()),
            Self::Download { url, programs, .. } => {
                write!(f, "download {} from {url}", list(programs))
            }
            Self::Build {
                component,
                version,
                programs,
                go_version,
                ..
            } => write!(
                f,
                "build {} of {component} {version} with Go {go_version}",
                list(programs)
            ),
        }
    }
}

/// Why a wanted set cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// No source has these programs.
    #[error("cannot get {} {version} of {component}: {}; {}", list(.programs), .tried.join("; "), .remedy)]
    Unobtainable {
        /// Whose programs.
        component: Component,
        /// The version asked for.
        version: Version,
        /// The programs.
        programs: Vec<ProgramName>,
        /// Every source that was tried, with the reason why it does not serve.
        tried: Vec<String>,
        /// What the user can do.
        remedy: String,
    },
    /// The version is not in the catalogue.
    #[error(transparent)]
    Unknown(#[from] UnknownKubernetes),
}

fn list(programs: &[ProgramName]) -> String {
    let names: Vec<_> = programs.iter().map(|p| p.as_str()).collect();
    names.join(", ")
}

/// The steps that complete the set: nothing for a program that is in place, else the first source that has it.
///
/// # Errors
///
/// A program that no source has, with every source tried.
pub fn plan(wanted: &Wanted, found: &Found, mirrors: &Mirrors) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::new();
    for program in &wanted.programs {
        if found.in_place.contains(program) {
            continue;
        }
        if let Some(existing) = found.existing.iter().find(|e| e.program == *program) {
            steps.push(Step::UseExisting(existing.clone()));
        }
    }
    let lacking = found.lacking(wanted);
    for component in Component::ALL {
        let mut programs = lacking.clone();
        programs.retain(|program| program.component() == component);
        if programs.is_empty() {
            continue;
        }
        match found.reach.get(&component) {
            Some(Reach::Reachable) => steps.extend(downloads(&programs, wanted, mirrors)),
            _ => steps.push(build(component, programs, wanted, found, mirrors)?),
        }
    }
    Ok(steps)
}

/// One download per file: the programs of etcd come in one archive.
fn downloads(programs: &[ProgramName], wanted: &Wanted, mirrors: &Mirrors) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for program in programs {
        let remote = mirrors.remote(*program, wanted);
        let same_file = steps.iter_mut().find_map(|step| match step {
            Step::Download { url, programs, .. } if *url == remote.url => Some(programs),
            _ => None,
        });
        match same_file {
            Some(programs) => programs.push(*program),
            None => steps.push(Step::Download {
                programs: vec![*program],
                url: remote.url,
                checksum_url: remote.checksum_url,
                packing: remote.packing,
            }),
        }
    }
    steps
}

fn build(
    component: Component,
    programs: Vec<ProgramName>,
    wanted: &Wanted,
    found: &Found,
    mirrors: &Mirrors,
) -> Result<Step, PlanError> {
    let version = wanted.versions.of(component);
    let needed = module::go_minor(component, version)?;
    let unusable = match &found.go {
        Go::Found { path, version: go } if (go.major, go.minor) >= (1, needed) => {
            return Ok(Step::Build {
                component,
                version,
                programs,
                go: path.clone(),
                go_version: *go,
            });
        }
        Go::Found { path, version: go } => {
            format!("{} is {go}, too old to build it", path.display())
        }
        Go::Missing(why) => why.clone(),
    };
    let mut tried: Vec<String> = found
        .rejected
        .iter()
        .filter(|(program, _)| programs.contains(program))
        .map(|(_, why)| why.clone())
        .collect();
    let base = mirrors.base(component);
    tried.push(match found.reach.get(&component) {
        Some(Reach::Unusable(why)) => format!("{base}: {why}"),
        _ => format!("{base} was not asked"),
    });
    tried.push(unusable);
    Err(PlanError::Unobtainable {
        component,
        version,
        remedy: format!(
            "check that this version was released; give this machine access to {base}, or install \
             Go 1.{needed} or newer (https://go.dev/dl) and give it access to a module proxy, \
             or put the programs into a directory and name it with --bin-dir"
        ),
        programs,
        tried,
    })
}
