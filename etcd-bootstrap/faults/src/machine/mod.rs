//! A machine: namespaces of its own for network, mounts and host name, and a small service manager as its leader.
//!
//! The crate under test sees it as a `NamespaceHost`, and a service manager by the name of systemctl(1). What is
//! below `/etc` and `/var` is the machine's own and lies on disk; everything else is this system's.

mod manager;
mod service;
pub mod systemctl;
mod unit;

use anyhow::Context as _;
use nix::mount::{MsFlags, mount};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the manager listens, inside.
const SOCKET: &str = "/var/manager.sock";

/// The programs that this one plays inside a machine.
pub const PLAYED: [&str; 2] = ["systemctl", "date"];

/// A file with the seconds by which the machine's clock is ahead, or behind if below 0. Only date(1) knows of it: etcd is
/// linked statically, so the clock of its process cannot be played.
const CLOCK: &str = "/var/clock";

/// Answers as `date -u +%s` does.
///
/// # Errors
///
/// It was asked something else.
pub fn date(arguments: &[String]) -> anyhow::Result<i64> {
    anyhow::ensure!(arguments == ["-u", "+%s"], "only `date -u +%s` is played");
    let ahead = fs::read_to_string(CLOCK).unwrap_or_else(|_| "0".into());
    Ok(time::OffsetDateTime::now_utc().unix_timestamp() + ahead.trim().parse::<i64>()?)
}

/// A file that keeps services from being started while it is there, as a unit's `After=` would: the start is asked
/// for and waits.
pub const HOLD: &str = "/var/hold";

/// Becomes the leader of a machine whose files are below `dir`. The caller has made its namespaces; ends never.
///
/// # Errors
///
/// The directories cannot be mounted, or the socket cannot be made.
pub fn lead(dir: &Path) -> anyhow::Result<()> {
    let dirs = ["etc/systemd/system", "var/lib", "var/tmp", "var/log"];
    for below in dirs {
        fs::create_dir_all(dir.join(below)).with_context(|| below.to_owned())?;
    }
    let program = std::env::current_exe()?;
    let tools = PathBuf::from("/usr/local/sbin");
    let none: Option<&str> = None;
    mount(Some("tmpfs"), &tools, Some("tmpfs"), MsFlags::empty(), none).context("tmpfs")?;
    // Not links: the program may lie below /var, which is the machine's own after this.
    for played in PLAYED {
        let place = tools.join(played);
        fs::File::create(&place).context(played)?;
        bind(&program, &place)?;
    }
    for (from, to) in [("etc", "/etc"), ("var", "/var")] {
        bind(&dir.join(from), Path::new(to))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(manager::serve(Path::new(SOCKET)))
}

fn bind(from: &Path, to: &Path) -> anyhow::Result<()> {
    let none: Option<&str> = None;
    mount(
        Some(from),
        to,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .with_context(|| format!("mount {} at {}", from.display(), to.display()))
}
