//! What bhyve opens before its guest runs.

use super::ERROR;
use crate::{guest::Hardware, kernel, programs::strerror, world::World};
use bhyve_vm::{KeyTree, Release};
use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

type Refused = (u8, String);

/// The order is bhyve's: firmware, devices, serial ports.
pub(super) fn all(world: &World, keys: &KeyTree, hardware: &Hardware) -> Result<(), Refused> {
    firmware(keys)?;
    for disk in &hardware.disks {
        // As the real one: what cannot be written to is opened for reading, without a word.
        File::open(&disk.path).map_err(|error| {
            let (path, why) = (disk.path.display(), strerror(&error));
            (ERROR, format!("bhyve: Could not open backing file: {path}: {why}\nDevice emulation initialization error: {why}"))
        })?;
    }
    console(world, hardware)
}

fn firmware(keys: &KeyTree) -> Result<(), Refused> {
    let of = |name: &str| match keys.release() {
        Release::V14 => keys.get(&format!("lpc.{name}")),
        _ => keys.get(name),
    };
    let Some(code) = of("bootrom") else {
        // Without firmware a loader has to have made the VM before, which nobody here is.
        return Err((ERROR, "vm_open: No such file or directory".to_owned()));
    };
    let opened = |path: &str, error: &io::Error| {
        (
            ERROR,
            format!("Error opening bootrom \"{path}\": {}", strerror(error)),
        )
    };
    let size = |path: &str, file: io::Result<File>| {
        let length = file.and_then(|file| Ok(file.metadata()?.len()));
        length.map_err(|error| opened(path, &error))
    };
    let code_bytes = size(code, File::open(code))?;
    let Some(vars) = of("bootvars") else {
        return Ok(());
    };
    let vars_bytes = size(vars, OpenOptions::new().read(true).write(true).open(vars))?;
    const PAGE: u64 = 4096;
    let fits = code_bytes + vars_bytes <= 16 << 20 && code_bytes.is_multiple_of(PAGE);
    if !fits || vars_bytes < PAGE || !vars_bytes.is_multiple_of(PAGE) {
        return Err((
            ERROR,
            format!(
                "ROM size {} is too small or too large",
                code_bytes + vars_bytes
            ),
        ));
    }
    Ok(())
}

fn console(world: &World, hardware: &Hardware) -> Result<(), Refused> {
    let Some(path) = hardware.console.as_deref().filter(|path| *path != "stdio") else {
        return Ok(());
    };
    let failed = |why: String| {
        (
            ERROR,
            format!("Unable to initialize backend '{path}' for LPC device com1: {why}"),
        )
    };
    if let Some(name) = path
        .strip_prefix("/dev/nmdm")
        .and_then(|name| name.strip_suffix(['A', 'B']))
    {
        kernel::ask(world, "nmdm", name).map_err(|error| failed(error.to_string()))?;
    }
    if path.starts_with("tcp=") {
        return Err(failed("the stand-in has no serial port on TCP".to_owned()));
    }
    match Path::new(path).metadata() {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(strerror(&error))),
    }
}
