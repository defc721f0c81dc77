//! freebsd-version(1) and uname(1).

use super::{fail, getopt::Options, print};
use crate::world::World;
use std::{fs, process::ExitCode};

/// Prints the version of the kernel, of the running kernel, of the base system.
pub(super) fn freebsd_version(world: &World, words: &[String]) -> ExitCode {
    let options = match Options::parse(words, "jkru") {
        Ok(options) if options.operands.is_empty() && !options.has('j') => options,
        _ => return fail(1, "usage: freebsd-version [-kru] [-j jail]"),
    };
    // Each in this order whatever the order of the options.
    let count = "kru".chars().filter(|letter| options.has(*letter)).count();
    print(version(world).repeat(count.max(1)))
}

/// Prints what is known of the system.
pub(super) fn uname(world: &World, words: &[String]) -> ExitCode {
    let usage = "usage: uname [-abiKmnoprsUv]";
    let options = match Options::parse(words, "abiKmnoprsUv") {
        Ok(options) if options.operands.is_empty() => options,
        Ok(_) => return fail(1, usage),
        Err(problem) => return fail(1, format!("uname: {problem}\n{usage}")),
    };
    let wanted = |letter| {
        options.has(letter)
            || options.has('a') && "snrvm".contains(letter)
            || options.given.is_empty() && letter == 's'
    };
    let facts = facts(version(world).trim_end()).into_iter();
    let chosen = facts.filter(|(letter, _)| wanted(*letter));
    let chosen: Vec<String> = chosen.map(|(_, text)| text).collect();
    print(format!("{}\n", chosen.join(" ")))
}

/// What each option of uname(1) tells, in its order.
fn facts(release: &str) -> [(char, String); 10] {
    let (machine, processor) = match cfg!(target_arch = "aarch64") {
        true => ("arm64", "aarch64"),
        false => ("amd64", "amd64"),
    };
    let number = release.split('-').next().unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    let level = format!("{major}0{minor}000");
    let long = format!("FreeBSD {release} GENERIC");
    [
        ('s', "FreeBSD"),
        ('n', "bhyve-host"),
        ('r', release),
        ('v', &long),
        ('m', machine),
        ('p', processor),
        ('i', "GENERIC"),
        ('K', &level),
        ('U', &level),
        ('o', "FreeBSD"),
    ]
    .map(|(letter, text)| (letter, text.to_owned()))
}

/// The version with a newline, such as `15.1-RELEASE-p5`.
fn version(world: &World) -> String {
    fs::read_to_string(world.path("version")).unwrap_or_default()
}

/// Which keys bhyve has.
pub(super) fn release(world: &World) -> bhyve_vm::Release {
    if version(world).starts_with("14.") {
        bhyve_vm::Release::V14
    } else {
        bhyve_vm::Release::V15
    }
}
