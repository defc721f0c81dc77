//! sh(1): the machine's own, for which null-modem devices are made that it is about to open.
//!
//! On FreeBSD an open(2) of such a device makes it (nmdm(4)). Linux knows no device that comes into being so; all
//! that open one here are shells with a script or an argument that names it, and bhyve.

use super::fail;
use crate::{kernel, world::World};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

const DEVICE: &str = "/dev/nmdm";

pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    let script = words.iter().find(|word| !word.starts_with('-'));
    let script = script.and_then(|file| fs::read_to_string(file).ok());
    let texts = words.iter().cloned().chain(script);
    let named: BTreeSet<String> = texts.flat_map(|text| pairs(&text)).collect();
    for name in named {
        if let Err(error) = kernel::ask(world, "nmdm", &name) {
            return fail(2, format!("sh: {DEVICE}{name}: {error}"));
        }
    }
    let error = Command::new(world.machine_program("dash"))
        .arg0("/bin/sh")
        .args(words)
        .exec();
    fail(127, format!("sh: {error}"))
}

/// The names, without their sides, of the null-modem devices that a text names.
fn pairs(text: &str) -> Vec<String> {
    let rests = text.split(DEVICE).skip(1);
    let names = rests.filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
        let name = &rest[..end.unwrap_or(rest.len())];
        name.strip_suffix(['A', 'B'])
            .filter(|name| !name.is_empty())
    });
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_by_their_names() {
        let text = "CONSOLE='/dev/nmdm-etcd-0B'\nexec bhyve -l com1,/dev/nmdm-etcd-0A x /dev/nmdm /dev/nmdm7C";
        assert_eq!(pairs(text), ["-etcd-0", "-etcd-0"]);
    }
}
