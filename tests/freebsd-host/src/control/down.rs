//! Ending a host, whatever is left of it: for good, or to start it again.

use super::{Place, service, up};
use crate::cgroup;
use anyhow::{Context, Result, bail};
use std::{fs, path::Path};

/// Ends all processes of the host, and removes its control groups and its directory.
pub(super) fn down(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let place = Place::existing(dir)?;
    end(&place)?;
    refuse_mounts(&place.dir)?;
    fs::remove_dir_all(&place.dir).with_context(|| format!("{}", place.dir.display()))
}

/// Cuts the host's power, and starts it again: its disks are as they were, `/var/run` is empty (rc.conf(5),
/// `cleanvar_enable`), and rc.conf says what of the network comes back.
pub(super) fn reboot(dir: &Path) -> Result<()> {
    let place = Place::existing(dir)?;
    end(&place)?;
    let run = place.root().join("var/run");
    fs::remove_dir_all(&run)?;
    fs::create_dir(&run)?;
    up::start(&place)
}

/// Ends all processes of the host, and removes its control groups.
fn end(place: &Place) -> Result<()> {
    service::end(place)?;
    cgroup::end(&place.group())
}

/// The host's mounts are its own namespace's. One that is seen from here would be emptied with the directory.
fn refuse_mounts(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let below = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    match below.map(Path::new).find(|point| point.starts_with(dir)) {
        Some(point) => bail!("{} is mounted here; unmount it first", point.display()),
        None => Ok(()),
    }
}
