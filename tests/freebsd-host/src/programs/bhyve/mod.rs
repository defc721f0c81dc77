//! bhyve(8): reads its arguments as strictly as the real one and more, then runs a machine of namespaces as its guest.
//!
//! Two processes in a row under one number: the first reads and checks, then takes the title `bhyve: NAME`, which
//! Linux lets a program choose only as it is started.

mod arguments;
mod check;
mod run;

pub(super) use run::run;

use super::{fail, modules, say};
use crate::{
    guest::{HARDWARE, directory},
    world::World,
};
use std::{
    fs, io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

/// Status of most failures (bhyve(8), EXIT STATUS).
const ERROR: u8 = 4;

/// Reads the arguments, and becomes what runs the guest.
pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    let keys = match arguments::read(world, words) {
        Ok(keys) => keys,
        Err((status, text)) => return fail(status, text),
    };
    if keys.get("config.dump").is_some_and(arguments::is_true) {
        for (key, value) in keys.iter().filter(|(key, _)| key != "config.dump") {
            super::print(format!("{key}={value}\n"));
        }
        return ExitCode::from(1);
    }
    let hardware = match arguments::hardware(&keys) {
        Ok(hardware) => hardware,
        Err(text) => return fail(1, format!("{text}\n{}", arguments::USAGE)),
    };
    if let Err(error) = modules::load(world, "vmm") {
        say(format!("bhyve: vm_create: {error}"));
    }
    if let Err((status, text)) = check::all(world, &keys, &hardware) {
        return fail(status, text);
    }
    let place = directory(world, &hardware.name);
    let kept = fs::create_dir_all(&place)
        .and_then(|()| serde_json::to_vec(&hardware).map_err(io::Error::from))
        .and_then(|text| fs::write(place.join(HARDWARE), text));
    let error = match kept {
        Ok(()) => Command::new("/usr/sbin/bhyve")
            .arg0(format!("bhyve: {}", hardware.name))
            .exec(),
        Err(error) => error,
    };
    fail(ERROR, format!("bhyve: {error}"))
}
