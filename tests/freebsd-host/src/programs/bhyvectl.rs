//! bhyvectl(8).

use super::fail;
use crate::{
    guest::{directory, is_running},
    world::World,
};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

const USAGE: &str = "Usage: bhyvectl --vm=<vmname>";

/// What a running bhyve can be asked for.
pub(super) const POWER_OFF: &str = "--force-poweroff";
pub(super) const RESET: &str = "--force-reset";
pub(super) const DESTROY: &str = "--destroy";

/// The file in a VM's directory with a request for its bhyve.
const REQUEST: &str = "request";

/// One verb for one VM.
pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    let (names, verbs): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.starts_with("--vm="));
    let ([name], [verb]) = (&names[..], &verbs[..]) else {
        return fail(1, USAGE);
    };
    let name = &name["--vm=".len()..];
    if name.is_empty() || name.contains('/') {
        return fail(1, USAGE);
    }
    if !node(name).exists() && verb.as_str() != "--create" {
        return fail(1, format!("VM:{name} is not created."));
    }
    let done = match verb.as_str() {
        "--create" if node(name).exists() => return fail(1, "vm_create: File exists"),
        "--create" => create_node(name),
        DESTROY => ask(world, name, DESTROY).and_then(|()| remove_node(name)),
        POWER_OFF | RESET => ask(world, name, verb),
        "--inject-nmi" | "--get-stats" => Ok(()),
        other => {
            return fail(
                1,
                format!("bhyvectl: unrecognized option `{other}'\n{USAGE}"),
            );
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, format!("bhyvectl: {}", super::strerror(&error))),
    }
}

fn node(name: &str) -> PathBuf {
    Path::new("/dev/vmm").join(name)
}

/// The device by which a VM is known, with its memory behind it; one that is there is used again.
pub(super) fn create_node(name: &str) -> io::Result<()> {
    for (place, file) in [
        ("/dev/vmm", name.to_owned()),
        ("/dev/vmm.io", format!("{name}.bootrom")),
    ] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(place)?;
        let mut opening = OpenOptions::new();
        opening
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(Path::new(place).join(file))?;
    }
    Ok(())
}

fn remove_node(name: &str) -> io::Result<()> {
    let firmware = format!("/dev/vmm.io/{name}.bootrom");
    for file in [node(name), firmware.into()] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // The directories come and go with the devices in them.
    for place in ["/dev/vmm", "/dev/vmm.io"] {
        let _ = fs::remove_dir(place);
    }
    Ok(())
}

/// Leaves a request for the bhyve that runs the VM; without one there is nobody to ask.
fn ask(world: &World, name: &str, what: &str) -> io::Result<()> {
    if !is_running(world, name)? {
        return Ok(());
    }
    let place = directory(world, name);
    let new = place.join(format!("{REQUEST}.{}", process::id()));
    fs::write(&new, what)?;
    fs::rename(new, place.join(REQUEST))
}

/// What is asked of a VM's bhyve.
pub(super) fn wanted(world: &World, name: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(directory(world, name).join(REQUEST)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Drops a request to an earlier bhyve.
pub(super) fn forget(world: &World, name: &str) -> io::Result<()> {
    match fs::remove_file(directory(world, name).join(REQUEST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
