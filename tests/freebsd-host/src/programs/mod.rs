//! The programs that are played.

mod bhyve;
mod bhyvectl;
mod daemon;
mod digest;
mod fsync;
mod getopt;
mod ifconfig;
mod modules;
mod netstat;
pub(crate) mod pfctl;
mod pkg;
mod process;
mod route;
mod shell;
pub(crate) mod sysctl;
pub(crate) mod sysrc;
mod version;
mod zfs;

pub(crate) use zfs::volumes;

use crate::world::World;
use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

/// A program: its arguments without its name, to its exit status.
pub(crate) type Program = fn(&World, &[String]) -> ExitCode;

const PROGRAMS: [(&str, Program); 25] = [
    ("bhyve", bhyve::main),
    ("bhyvectl", bhyvectl::main),
    ("daemon", daemon::main),
    ("freebsd-host-net", crate::net::main),
    ("freebsd-version", version::freebsd_version),
    ("fsync", fsync::main),
    ("ifconfig", ifconfig::main),
    ("kldload", modules::kldload),
    ("kldstat", modules::kldstat),
    ("kldunload", modules::kldunload),
    ("netstat", netstat::main),
    ("pfctl", pfctl::main),
    ("pgrep", process::pgrep),
    ("pkg", pkg::main),
    ("pkill", process::pkill),
    ("ps", process::ps),
    ("route", route::main),
    ("sh", shell::main),
    ("sha256", digest::sha256),
    ("sha256sum", digest::sha256sum),
    ("sysctl", sysctl::main),
    ("sysrc", sysrc::main),
    ("uname", version::uname),
    ("zfs", zfs::main),
    ("zpool", zfs::zpool),
];

/// The program of this name.
pub(crate) fn find(name: &str) -> Option<Program> {
    PROGRAMS
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, program)| program)
}

/// The names of those that FreeBSD has.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let names = PROGRAMS.into_iter().map(|(name, _)| name);
    names.filter(|name| !name.starts_with("freebsd-host"))
}

/// What a program does under the title that it has given itself.
pub(crate) fn titled(name: &str) -> Option<fn(&World, &str) -> ExitCode> {
    match name {
        "bhyve" => Some(bhyve::run),
        "daemon" => Some(daemon::supervise),
        _ => None,
    }
}

/// Says on standard error what is wrong, and gives the exit status back.
pub(crate) fn fail(status: u8, text: impl Display) -> ExitCode {
    say(text);
    ExitCode::from(status)
}

/// One line on standard error.
pub(crate) fn say(text: impl Display) {
    // A reader that is gone is no trouble of the program.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Text on standard output, as it is.
pub(crate) fn print(text: impl Display) -> ExitCode {
    match write!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What strerror(3) says of an error, without the number that Rust adds.
pub(crate) fn strerror(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}
