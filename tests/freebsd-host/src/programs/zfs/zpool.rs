//! zpool(8), as far as it shows the pool.

use super::{
    property::for_people,
    show::table,
    state::{self, POOL},
};
use crate::{
    programs::{fail, getopt::Options, print},
    world::World,
};
use std::process::ExitCode;

/// The first line of the real one's.
const USAGE: &str = "usage: zpool command args ...";

/// What the pool is said to have written already, in bytes.
const ALLOCATED: u64 = 4 << 30;

/// `zpool list [-Hp] [-o PROPERTY,...] [POOL...]`.
pub(crate) fn zpool(world: &World, words: &[String]) -> ExitCode {
    let options = match words.split_first() {
        Some((command, words)) if command == "list" => Options::parse(words, "Hpo:"),
        Some((command, _)) => Err(format!("unrecognized command '{command}'")),
        None => Err("missing command".to_owned()),
    };
    let options = match options {
        Ok(options) => options,
        Err(problem) => return fail(2, format!("{problem}\n{USAGE}")),
    };
    if let Some(pool) = options.operands.iter().find(|pool| *pool != POOL) {
        return fail(1, format!("cannot open '{pool}': no such pool"));
    }
    let Ok(free) = state::available(world) else {
        return fail(1, "internal error: Input/output error");
    };
    let columns = options.value('o').unwrap_or("name,size,alloc,free,health");
    let mut row = Vec::new();
    for column in columns.split(',') {
        match cell(column, free, options.has('p')) {
            Some(cell) => row.push(cell),
            None => {
                let problem = format!("bad property list: invalid property '{column}'");
                return fail(2, format!("{problem}\n{USAGE}"));
            }
        }
    }
    let heading = columns.split(',').map(str::to_uppercase).collect();
    print(table(heading, vec![row], options.has('H')))
}

fn cell(column: &str, free: u64, exact: bool) -> Option<String> {
    let size = free + ALLOCATED;
    let bytes = |bytes: u64| {
        if exact {
            bytes.to_string()
        } else {
            for_people(bytes)
        }
    };
    Some(match column {
        "name" => POOL.to_owned(),
        "size" => bytes(size),
        "alloc" | "allocated" => bytes(ALLOCATED),
        "free" => bytes(free),
        "capacity" | "cap" => (ALLOCATED * 100 / size).to_string(),
        "health" => "ONLINE".to_owned(),
        "altroot" => "-".to_owned(),
        _ => return None,
    })
}
