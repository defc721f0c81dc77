//! What the environment decides: where labs are kept, where programs are looked for.

use crate::{args::Global, exit::Ended};
use anyhow::Context;
use cluster_lab::Places;
use std::{
    ffi::OsString,
    path::{self, Path, PathBuf},
};

/// Where root keeps what is gone at the next boot of this machine (hier(7), /run).
const RUN: &str = "/run/lab";

/// The one place that reads the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "this program reads the environment for the libraries"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Where labs, programs and images are kept, from options and environment.
///
/// # Errors
///
/// Neither options nor environment say where.
pub(crate) fn places(global: &Global) -> anyhow::Result<Places> {
    let state = match &global.state_dir {
        Some(dir) => absolute(dir)?,
        None => base("XDG_STATE_HOME", ".local/state", "--state-dir DIR")?.join("lab"),
    };
    Ok(Places {
        state,
        cache: base("XDG_CACHE_HOME", ".cache", "XDG_CACHE_HOME")?.join("lab"),
        run: run(),
        bin_dir: global.bin_dir.as_deref().map(absolute).transpose()?,
        path_dirs: path_dirs(variable("PATH").unwrap_or_default()),
    })
}

/// Whether nobody asked for output without colours.
pub(crate) fn colours_are_welcome() -> bool {
    variable("NO_COLOR").is_none()
}

/// How this program is called by the person who reads its messages: the script `lab` of the repository says so.
pub(crate) fn command_name() -> String {
    let name = variable("LAB_COMMAND").and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "lab".to_owned())
}

/// The kind of the terminal (term(7)), for programs that we start on it.
pub(crate) fn terminal_kind() -> Option<String> {
    variable("TERM")?.into_string().ok()
}

/// A directory of the XDG Base Directory Specification 0.8; by it, a relative path counts as not set.
fn base(name: &str, below_home: &str, remedy: &str) -> anyhow::Result<PathBuf> {
    let directory = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
    };
    if let Some(dir) = directory(name) {
        return Ok(dir);
    }
    let home = directory("HOME").ok_or_else(|| {
        Ended::bad_input(format!(
            "neither HOME nor {name} is set to an absolute path; set HOME, or give {remedy}"
        ))
    })?;
    Ok(home.join(below_home))
}

/// What is gone at the next boot: others than root have a directory of their own for that, or make one.
fn run() -> PathBuf {
    let user = nix::unistd::geteuid();
    if user.is_root() {
        return RUN.into();
    }
    let own = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    match own.filter(|dir| dir.is_absolute()) {
        Some(dir) => dir.join("lab"),
        None => format!("/tmp/lab-{user}").into(),
    }
}

fn absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    path::absolute(dir).with_context(|| format!("cannot use the directory {}", dir.display()))
}

/// The directories of `PATH`, and those of the administrator's programs, which a user's `PATH` often lacks.
fn path_dirs(path: OsString) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .collect();
    for dir in ["/usr/sbin", "/sbin"].map(PathBuf::from) {
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_absolute_directories_and_in_sbin() {
        let dirs = path_dirs("/usr/bin:relative::/sbin".into());
        assert_eq!(dirs, ["/usr/bin", "/sbin", "/usr/sbin"].map(PathBuf::from));
    }
}
