//! metrics-server, whose project publishes images and manifests, and no programs (its RELEASE.md).
//!
//! Its module needs no `replace` lines, so it is built where Go's cache has it, with the dependencies that its own
//! `go.mod` and `go.sum` name.

use crate::{
    Architecture, BuildError, Places, Version,
    build::{build_with, path_text, released_module},
    store,
};
use host_exec::LocalHost;
use std::path::{Path, PathBuf};

const MODULE: &str = "sigs.k8s.io/metrics-server";

/// What the build of a version depends on: arguments of `go build`, all but the two that name directories of this
/// machine.
pub(crate) fn arguments(version: Version) -> [String; 6] {
    // As its Makefile sets it, for `--version` and the user agent.
    let flags = format!("-s -w -X k8s.io/client-go/pkg/version.gitVersion=v{version}");
    [
        "-trimpath".to_owned(),
        "-mod=readonly".to_owned(),
        "-buildvcs=false".to_owned(),
        "-ldflags".to_owned(),
        flags,
        format!("{MODULE}/cmd/metrics-server"),
    ]
}

/// Builds the program, and returns its file.
pub(crate) async fn build(
    here: &LocalHost,
    go: &Path,
    architecture: Architecture,
    version: Version,
    places: &Places,
) -> Result<PathBuf, BuildError> {
    let dir = store::directory(places.cache_dir.join("images/metrics-server"))?;
    let program = dir.join(format!("metrics-server-{version}-{architecture}"));
    let module = format!("{MODULE}@v{version}");
    let source = released_module(here, go, architecture, &module).await?;
    let directories = ["-C", &path_text(&source), "-o", &path_text(&program)].map(str::to_owned);
    let arguments = [&directories[..], &arguments(version)].concat();
    build_with(here, go, architecture, arguments, &module).await?;
    Ok(program)
}
