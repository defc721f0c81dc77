//! Tests of the public API. Those with `#[ignore]` need the program that the reason names.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends by panic; and tests read PATH, as examples/ does"
)]

mod catalogue;
mod cloud;
mod download;
mod files_disk;
mod image;
mod module;
mod plan;
mod real;
mod server;
mod set;

use artifacts::{Architecture, Places, Version, VersionSet, Wanted};
use host_exec::LocalHost;
use std::path::Path;

pub(crate) fn here() -> LocalHost {
    LocalHost::new("here".parse().unwrap())
}

/// The set of a Kubernetes version, for the machine that runs the tests.
pub(crate) fn wanted(kubernetes: &str) -> Wanted {
    let version: Version = kubernetes.parse().unwrap();
    let versions = VersionSet::for_kubernetes(version).unwrap();
    Wanted::lab(versions, Architecture::here().unwrap())
}

/// A cache of the test's own, and the `PATH` of the machine.
pub(crate) fn places(cache_dir: &Path) -> Places {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Places::new(cache_dir, std::env::split_paths(&path).collect())
}
