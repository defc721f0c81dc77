//! kldload(8), kldstat(8) and kldunload(8).

use super::{fail, getopt::Options, print};
use crate::world::World;
use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    process::{self, ExitCode},
};

/// What can be loaded, besides the kernel itself.
const KNOWN: [&str; 10] = [
    "bridgestp",
    "if_bridge",
    "if_tuntap",
    "nmdm",
    "pf",
    "pflog",
    "vmm",
    "zfs",
    "fusefs",
    "tmpfs",
];
/// What GENERIC has built in.
const BUILT_IN: [&str; 2] = ["ether", "loop"];
/// The file of the world with the names of what is loaded, one a line, as [`crate::net::modules`] reads it.
const FILE: &str = "modules";

/// Loads modules, and those that they need.
pub(super) fn kldload(world: &World, words: &[String]) -> ExitCode {
    let usage = "usage: kldload [-nqv] file ...";
    let options = match Options::parse(words, "nqv") {
        Ok(options) if !options.operands.is_empty() => options,
        Ok(_) => return fail(1, usage),
        Err(problem) => return fail(1, format!("kldload: {problem}\n{usage}")),
    };
    let mut status = ExitCode::SUCCESS;
    for file in &options.operands {
        let name = file.trim_end_matches(".ko");
        let quiet = options.has('n');
        match load(world, name) {
            Ok(true) => {}
            Ok(false) if quiet => {}
            Ok(false) => {
                status = fail(
                    1,
                    format!("kldload: can't load {file}: module already loaded or in kernel"),
                );
            }
            Err(_) => {
                status = fail(
                    1,
                    format!("kldload: can't load {file}: No such file or directory"),
                );
            }
        }
    }
    status
}

/// Loads a module; false if it is there already.
pub(super) fn load(world: &World, name: &str) -> io::Result<bool> {
    if !KNOWN.contains(&name) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut names = loaded(world)?;
    let is_new = names.insert(name.to_owned());
    if name == "if_bridge" {
        names.insert("bridgestp".to_owned());
    }
    keep(world, &names)?;
    Ok(is_new)
}

fn loaded(world: &World) -> io::Result<BTreeSet<String>> {
    let text = fs::read_to_string(world.path(FILE))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn keep(world: &World, names: &BTreeSet<String>) -> io::Result<()> {
    let lines = names.iter().map(|name| format!("{name}\n"));
    let new = world.path(&format!("{FILE}.{}", process::id()));
    fs::write(&new, lines.collect::<String>())?;
    fs::rename(new, world.path(FILE))
}

fn unload(world: &World, name: &str) -> io::Result<bool> {
    let mut names = loaded(world)?;
    let was_there = names.remove(name);
    keep(world, &names)?;
    Ok(was_there)
}

/// Unloads modules; what is in use or built in stays.
pub(super) fn kldunload(world: &World, words: &[String]) -> ExitCode {
    let options = match Options::parse(words, "fv") {
        Ok(options) if !options.operands.is_empty() => options,
        _ => return fail(1, "usage: kldunload [-fv] [-n] name ..."),
    };
    for file in &options.operands {
        let name = file.trim_end_matches(".ko");
        let busy = name == "zfs" || name == "vmm" && Path::new("/dev/vmm").exists();
        let gone = !busy && unload(world, name).unwrap_or(false);
        if !gone {
            let why = if busy {
                "Device busy"
            } else {
                "No such file or directory"
            };
            return fail(1, format!("kldunload: can't find file {file}: {why}"));
        }
    }
    ExitCode::SUCCESS
}

/// Shows what is loaded.
pub(super) fn kldstat(world: &World, words: &[String]) -> ExitCode {
    let usage = "usage: kldstat [-dhqv] [-i id] [-n filename]\n       kldstat [-dq] [-m modname]";
    let options = match Options::parse(words, "hqvm:n:") {
        Ok(options) if options.operands.is_empty() => options,
        Ok(_) => return fail(1, usage),
        Err(problem) => return fail(1, format!("kldstat: {problem}\n{usage}")),
    };
    let files = match loaded(world) {
        Ok(files) => files,
        Err(error) => return fail(1, format!("kldstat: {error}")),
    };
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    if let Some(name) = options.value('m').or(options.value('n')) {
        let name = name.trim_end_matches(".ko");
        let built_in = options.value('m').is_some() && BUILT_IN.contains(&name);
        return if built_in || files.contains(&name) {
            ExitCode::SUCCESS
        } else if options.has('q') {
            ExitCode::FAILURE
        } else {
            fail(
                1,
                format!("kldstat: can't find module {name}: No such file or directory"),
            )
        };
    }
    print(table(&files, options.has('v')))
}

fn table(files: &[&str], verbose: bool) -> String {
    let mut text = String::from("Id Refs Address                Size Name\n");
    let mut id = 1;
    let mut file = |number: usize, name: &str, path: &str, modules: &[&str]| {
        let address = 0xffff_ffff_8020_0000_u64 + 0x40_0000 * u64::try_from(number).unwrap_or(0);
        let path = if verbose {
            format!(" ({path})")
        } else {
            String::new()
        };
        text.push_str(&format!(
            "{number:2}    1 0x{address:x}   3360a8 {name}{path}\n"
        ));
        if verbose {
            text.push_str("\tContains modules:\n\t\t Id Name\n");
            for module in modules {
                text.push_str(&format!("\t\t{id:3} {module}\n"));
                id += 1;
            }
        }
    };
    file(1, "kernel", "/boot/kernel/kernel", &BUILT_IN);
    for (number, name) in (2..).zip(files) {
        file(
            number,
            &format!("{name}.ko"),
            &format!("/boot/kernel/{name}.ko"),
            &[name],
        );
    }
    text
}
