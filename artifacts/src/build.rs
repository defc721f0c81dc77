//! Builds programs with the user's own Go: a small generated module per component, one program after another.

use crate::{
    Architecture, Component, ProgramName, UnknownKubernetes, Version, module,
    store::{self, StoreError},
};
use host_exec::{Command, Host, LocalHost, RunError};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Resolving and fetching the modules of Kubernetes takes 10 s on a quick line; this is for a slow one.
const TIDY_TIMEOUT: Duration = Duration::from_secs(1800);

/// kube-apiserver takes 320 s on 2 cores with an empty build cache; this is for a tenth of that speed.
const BUILD_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// The file that says for which text of `go.mod` the module was last completed.
const TIDIED: &str = "go.mod.generated";

/// A program that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The module cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The version is not in the catalogue.
    #[error(transparent)]
    Unknown(#[from] UnknownKubernetes),
    /// The modules cannot be had: the version does not exist, or the module proxy is out of reach.
    #[error(
        "cannot get the Go modules of {component} {version}: check that this version exists and that `go env GOPROXY` can be reached"
    )]
    Modules {
        /// The component.
        component: Component,
        /// The version.
        version: Version,
        /// What `go mod tidy` said.
        #[source]
        source: RunError,
    },
    /// A module that is built as it was released cannot be had.
    #[error("cannot get the Go module {module}: check that `go env GOPROXY` can be reached")]
    Module {
        /// Its path and version.
        module: String,
        /// What `go mod download` said.
        #[source]
        source: RunError,
    },
    /// Go says in other words than documented where it has put a module.
    #[error("cannot read what `go mod download -json {module}` says")]
    Answer {
        /// Its path and version.
        module: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The file system that holds the build is full.
    #[error(
        "no space left to build {what}: a cold build of Kubernetes needs about 6 GB below `go env GOCACHE` and `go env GOMODCACHE`"
    )]
    DiskFull {
        /// What was built.
        what: String,
        /// What go said.
        #[source]
        source: RunError,
    },
    /// The compiler or linker failed.
    #[error("cannot build {what}")]
    Compile {
        /// What was built.
        what: String,
        /// What `go build` said.
        #[source]
        source: RunError,
    },
}

/// One component at one version, ready to be built.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) component: Component,
    pub(crate) version: Version,
    pub(crate) architecture: Architecture,
    pub(crate) go: PathBuf,
    pub(crate) dir: PathBuf,
}

impl Module {
    /// Writes `go.mod` and completes it, unless that was done before.
    pub(crate) async fn prepare(&self, here: &LocalHost) -> Result<(), BuildError> {
        store::directory(self.dir.clone())?;
        // All programs of the component, so that one asked for later changes nothing here.
        let mut programs = ProgramName::ALL.to_vec();
        programs.retain(|program| program.component() == self.component);
        let text = module::go_mod(self.component, self.version, &programs)?;
        let tidied = self.dir.join(TIDIED);
        if fs::read_to_string(&tidied).is_ok_and(|done| done == text)
            && self.dir.join("go.sum").is_file()
        {
            return Ok(());
        }
        store::write_atomically(&self.dir.join("go.mod"), text.as_bytes())?;
        let command = self.command(["mod", "tidy", "-C", &path_text(&self.dir)], TIDY_TIMEOUT);
        here.run(&command)
            .await
            .map_err(|source| match disk_full(&source) {
                true => BuildError::DiskFull {
                    what: self.component.to_string(),
                    source,
                },
                false => BuildError::Modules {
                    component: self.component,
                    version: self.version,
                    source,
                },
            })?;
        store::write_atomically(&tidied, text.as_bytes())?;
        Ok(())
    }

    /// Builds one program into the file `output`.
    pub(crate) async fn build(
        &self,
        here: &LocalHost,
        program: ProgramName,
        output: &Path,
    ) -> Result<(), BuildError> {
        let arguments = module::build_arguments(
            program,
            self.version,
            &path_text(&self.dir),
            &path_text(output),
        );
        let command = self.command(arguments, BUILD_TIMEOUT);
        run(here, &command, program.as_str()).await
    }

    fn command<S: Into<String>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        timeout: Duration,
    ) -> Command {
        go_command(&self.go, self.architecture)
            .args(arguments)
            .timeout(timeout)
    }
}

/// The directory of a released module in Go's own cache, which fills it and verifies what it gets (`go help mod download`).
pub(crate) async fn released_module(
    here: &LocalHost,
    go: &Path,
    architecture: Architecture,
    module: &str,
) -> Result<PathBuf, BuildError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Downloaded {
        dir: PathBuf,
    }
    let command = go_command(go, architecture)
        .args(["mod", "download", "-json", module])
        .timeout(TIDY_TIMEOUT);
    let failed = |source| match disk_full(&source) {
        true => BuildError::DiskFull {
            what: module.to_owned(),
            source,
        },
        false => BuildError::Module {
            module: module.to_owned(),
            source,
        },
    };
    let output = here.run(&command).await.map_err(failed)?;
    let downloaded: Downloaded =
        serde_json::from_slice(&output.stdout).map_err(|source| BuildError::Answer {
            module: module.to_owned(),
            source,
        })?;
    Ok(downloaded.dir)
}

/// Builds with these arguments of `go build`.
pub(crate) async fn build_with(
    here: &LocalHost,
    go: &Path,
    architecture: Architecture,
    arguments: Vec<String>,
    what: &str,
) -> Result<(), BuildError> {
    let command = go_command(go, architecture).arg("build").args(arguments);
    run(here, &command.timeout(BUILD_TIMEOUT), what).await
}

/// Builds a program that needs no other modules: the package in `dir`.
pub(crate) async fn build_package(
    here: &LocalHost,
    go: &Path,
    architecture: Architecture,
    dir: &Path,
    output: &Path,
) -> Result<(), BuildError> {
    let command = go_command(go, architecture)
        .args([
            "build",
            "-C",
            &path_text(dir),
            "-trimpath",
            "-ldflags",
            "-s -w",
            "-o",
        ])
        .args([path_text(output), ".".to_owned()])
        .timeout(BUILD_TIMEOUT);
    run(here, &command, &dir.display().to_string()).await
}

fn go_command(go: &Path, architecture: Architecture) -> Command {
    let mut command = Command::new(path_text(go));
    for (name, value) in module::go_environment(architecture) {
        command = command.env(name, value);
    }
    command
}

async fn run(here: &LocalHost, command: &Command, what: &str) -> Result<(), BuildError> {
    let what = what.to_owned();
    match here.run(command).await {
        Ok(_) => Ok(()),
        Err(source) if disk_full(&source) => Err(BuildError::DiskFull { what, source }),
        Err(source) => Err(BuildError::Compile { what, source }),
    }
}

/// go passes the system's words on (strerror(3) of ENOSPC); there is no exit status for it.
fn disk_full(error: &RunError) -> bool {
    error.to_string().contains("no space left on device")
}

pub(crate) fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
