//! What is in a VM: a machine of namespaces that boots systemd, on the disks and cards that bhyve was given.

mod apply;
mod boot;
mod disk;
mod fat;
mod network;
mod programs_disk;
mod seed;

pub(crate) use boot::{Guest, NO_CONSOLE, Prepared, Ready, TapBusy, prepare};

use crate::world::World;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io,
    path::PathBuf,
};

/// A VM as bhyve's arguments describe it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Hardware {
    pub(crate) name: String,
    pub(crate) uuid: String,
    /// In the order of their slots.
    pub(crate) disks: Vec<Drive>,
    pub(crate) cards: Vec<Card>,
    /// What com1 is connected with: a terminal's path, or `stdio`.
    pub(crate) console: Option<String>,
}

/// A disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Drive {
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
}

/// A network card.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) slot: u8,
    pub(crate) mac: String,
    pub(crate) tap: String,
}

/// The directory of a VM in the world: its arguments, the lock of the bhyve that runs it, and what is asked of that.
pub(crate) fn directory(world: &World, name: &str) -> PathBuf {
    world.path("vm").join(name)
}

/// The file with a VM's [`Hardware`].
pub(crate) const HARDWARE: &str = "hardware.json";

/// Makes this process the one that runs a VM; none if another does.
pub(crate) fn claim(world: &World, name: &str) -> io::Result<Option<Flock<File>>> {
    let file = File::create(directory(world, name).join("lock"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}

/// Whether a bhyve runs the VM of this name.
pub(crate) fn is_running(world: &World, name: &str) -> io::Result<bool> {
    if !directory(world, name).exists() {
        return Ok(false);
    }
    Ok(claim(world, name)?.is_none())
}

/// Whether a running VM has this device or file as a disk.
pub(crate) fn is_open(world: &World, path: &str) -> io::Result<bool> {
    for entry in fs::read_dir(world.path("vm"))? {
        let entry = entry?;
        let Ok(text) = fs::read(entry.path().join(HARDWARE)) else {
            continue;
        };
        let hardware: Hardware = serde_json::from_slice(&text)?;
        let has = hardware
            .disks
            .iter()
            .any(|disk| disk.path.as_os_str() == path);
        if has && is_running(world, &hardware.name)? {
            return Ok(true);
        }
    }
    Ok(false)
}
