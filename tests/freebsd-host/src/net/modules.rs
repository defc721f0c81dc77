//! Modules of the host's kernel, as far as the network asks for them.

use crate::{
    net::said::{Answer, Said},
    world::World,
};
use std::{fs, io};

/// The file of the world with the names of what is loaded, one a line. Without it everything is, as in a kernel that
/// has it all built in.
const FILE: &str = "modules";

/// Whether a module is loaded, named without `.ko`.
pub(crate) fn is_loaded(world: &World, module: &str) -> Answer<bool> {
    Ok(names(world)?.is_none_or(|names| names.lines().any(|name| name == module)))
}

/// Loads a module, as ifconfig(8) does by itself for what it is to create.
pub(crate) fn load(world: &World, module: &str) -> Answer<()> {
    match names(world)? {
        Some(names) if !names.lines().any(|name| name == module) => {
            fs::write(world.path(FILE), format!("{names}{module}\n")).map_err(failed)
        }
        _ => Ok(()),
    }
}

fn names(world: &World) -> Answer<Option<String>> {
    match fs::read_to_string(world.path(FILE)) {
        Ok(names) => Ok(Some(names)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> Said {
    Said::refused(format!("freebsd-host: modules: {error}"))
}
