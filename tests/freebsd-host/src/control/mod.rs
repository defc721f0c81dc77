//! The control program: makes a host, goes into it, reboots it, removes it.

mod bridge_filter;
mod down;
mod enter;
mod service;
mod up;

use crate::programs::fail;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "usage: freebsd-host up DIR PUBLIC_KEY [VERSION]
       freebsd-host enter DIR [-- COMMAND...]
       freebsd-host reboot DIR
       freebsd-host down DIR";

/// There, in a directory that is a host: what may be removed with all below it.
const MARK: &str = ".freebsd-host";

/// What a host without a wish for another runs; its patches close what `bhyve-vm`'s doctor knows of.
const VERSION: &str = "15.1-RELEASE-p5";

/// `up`, `enter`, `reboot` and `down`; see the usage.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["up", dir, key] => up::up(Path::new(dir), Path::new(key), VERSION),
        ["up", dir, key, version] => up::up(Path::new(dir), Path::new(key), version),
        // The rest of `up`, in a process of its own.
        ["boot", dir] => up::boot(Path::new(dir)),
        ["enter", dir] => enter::enter(Path::new(dir), &enter::SSHD),
        ["enter", dir, "--", ref command @ ..] if !command.is_empty() => {
            enter::enter(Path::new(dir), command)
        }
        ["reboot", dir] => down::reboot(Path::new(dir)),
        ["down", dir] => down::down(Path::new(dir)),
        _ => return fail(64, USAGE),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, format!("freebsd-host: {error:#}")),
    }
}

/// A host, seen from outside.
#[derive(Debug, Clone)]
struct Place {
    dir: PathBuf,
}

impl Place {
    /// A directory that is a host.
    fn existing(dir: &Path) -> Result<Self> {
        let dir = fs::canonicalize(dir).with_context(|| format!("{}", dir.display()))?;
        if !dir.join(MARK).exists() {
            bail!("{} is no host; make one with `up`", dir.display());
        }
        Ok(Self { dir })
    }

    /// The host's root directory.
    fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Its control group. From its directory alone: so it is found after a crash of everything.
    fn group(&self) -> String {
        match service::is_used() {
            true => service::group(self),
            false => self.name(),
        }
    }

    /// What nothing else on this machine is called.
    fn name(&self) -> String {
        let digest = Sha256::digest(self.dir.as_os_str().as_encoded_bytes());
        let id: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
        format!("freebsd-host.{id}")
    }
}
