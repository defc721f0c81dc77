//! A disk of programs, which a guest sees as files at /opt/lab/bin: where its own mount unit would mount it.

use super::{Drive, fat::Fat};
use crate::{store::Stored, world::World};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
    process,
};

const LABEL: &str = "LABPROGS";

/// Where the guest sees it.
pub(super) const TARGET: &str = "/opt/lab/bin";

/// The files of the disk with the label of programs, copied out of it once for all guests; none if there is no such
/// disk.
pub(super) fn find(world: &World, disks: &[Drive]) -> Result<Option<PathBuf>> {
    for disk in disks.iter().filter(|disk| disk.read_only) {
        let Some(fat) = Fat::open(&disk.path)? else {
            continue;
        };
        if fat.label()?.eq_ignore_ascii_case(LABEL) {
            return extracted(world, disk, &fat).map(Some);
        }
    }
    Ok(None)
}

fn extracted(world: &World, disk: &Drive, fat: &Fat) -> Result<PathBuf> {
    // A file that is replaced has another number or another time, and is another disk.
    let file = fs::metadata(&disk.path)?;
    let identity = format!(
        "{} {} {} {} {}",
        file.dev(),
        file.ino(),
        file.len(),
        file.mtime(),
        file.mtime_nsec()
    );
    let id: String = Sha256::digest(identity)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let place = world.path("files").join(format!("programs-{id}"));
    // One guest copies while the others wait for it.
    let _lock: Stored<()> = Stored::open(world, &format!("files/programs-{id}"))?;
    if place.exists() {
        return Ok(place);
    }
    let new = world
        .path("files")
        .join(format!("programs-{id}.{}", process::id()));
    fs::create_dir(&new)?;
    for name in fat.names()? {
        let mut to = File::options()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(new.join(&name))?;
        fat.copy(&name, &mut to).with_context(|| name.clone())?;
    }
    fs::rename(&new, &place)?;
    Ok(place)
}
