//! fsync(1) of FreeBSD: its sync(8) takes no files.

use super::{fail, getopt::Options, strerror};
use crate::world::World;
use std::{fs::File, process::ExitCode};

const USAGE: &str = "usage: fsync file ...";

/// Waits until files are on their disk.
pub(super) fn main(_: &World, words: &[String]) -> ExitCode {
    let files = match Options::parse(words, "") {
        Ok(options) if !options.operands.is_empty() => options.operands,
        Ok(_) => return fail(64, USAGE),
        Err(problem) => return fail(64, format!("fsync: {problem}\n{USAGE}")),
    };
    let mut status = ExitCode::SUCCESS;
    for name in files {
        if let Err(error) = File::open(&name).and_then(|file| file.sync_all()) {
            let why = strerror(&error);
            status = fail(1, format!("fsync: open {name}: {why}"));
        }
    }
    status
}
