//! ps(1).

use super::table::{self, Process};
use crate::{
    programs::{fail, getopt::Options, print},
    world::World,
};
use std::process::ExitCode;

const USAGE: &str = "usage: ps [--libxo] [-aCcdeHhjlmrSTuvwXxZ] [-O fmt | -o fmt]";

/// What can be asked for with -o, and the heading.
const COLUMNS: [(&str, &str); 10] = [
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("etimes", "ELAPSED"),
    ("rss", "RSS"),
    ("stat", "STAT"),
    ("state", "STAT"),
    ("comm", "COMMAND"),
    ("ucomm", "UCOMM"),
    ("command", "COMMAND"),
    ("args", "COMMAND"),
];

/// `ps -a -x -w [-p PID] -o COLUMN[=]...`.
pub(crate) fn ps(_: &World, words: &[String]) -> ExitCode {
    match show(words) {
        Ok(is_empty) => ExitCode::from(u8::from(is_empty)),
        Err(problem) => fail(1, problem),
    }
}

/// Prints what is asked for; whether there was none.
fn show(words: &[String]) -> Result<bool, String> {
    let options = Options::parse(words, "adwxo:p:");
    let options = options.map_err(|problem| format!("ps: {problem}\n{USAGE}"))?;
    if !options.operands.is_empty() {
        return Err(USAGE.to_owned());
    }
    let columns = columns(&options)?;
    let mut pids = Vec::new();
    for text in options.values('p').flat_map(|list| list.split(',')) {
        match text.parse::<i32>() {
            Ok(pid) if pid > 0 => pids.push(pid),
            _ => return Err(format!("ps: Invalid process id: {text}\n{USAGE}")),
        }
    }
    let all = table::all().map_err(|error| format!("ps: {error}"))?;
    // Without -x only processes with a terminal are shown, of which the host has none but a person's.
    let wanted = |process: &&Process| match pids.is_empty() {
        true => options.has('x'),
        false => pids.contains(&process.pid),
    };
    let chosen: Vec<&Process> = all.iter().filter(wanted).collect();
    print(layout(&columns, &chosen));
    Ok(chosen.is_empty())
}

/// The columns with their headings.
fn columns(options: &Options) -> Result<Vec<(&'static str, String)>, String> {
    let mut columns = Vec::new();
    for (wanted, heading) in options.values('o').flat_map(columns_of) {
        let known = COLUMNS.iter().find(|(name, _)| *name == wanted);
        let (name, usual) = known.ok_or_else(|| {
            format!("ps: {wanted}: keyword not found\nps: no valid keywords; valid keywords:")
        })?;
        columns.push((*name, heading.unwrap_or_else(|| (*usual).to_owned())));
    }
    if columns.is_empty() {
        let usual = ["pid", "stat", "etimes", "command"];
        let usual = COLUMNS.iter().filter(|(name, _)| usual.contains(name));
        columns.extend(usual.map(|(name, heading)| (*name, (*heading).to_owned())));
    }
    Ok(columns)
}

/// `a,b` or `a=HEADING`; a heading takes the rest of the word.
fn columns_of(list: &str) -> Vec<(String, Option<String>)> {
    let (names, heading) = match list.split_once('=') {
        Some((names, heading)) => (names, Some(heading.to_owned())),
        None => (list, None),
    };
    let mut columns: Vec<_> = names
        .split(',')
        .map(|name| (name.to_owned(), None))
        .collect();
    if let Some(last) = columns.last_mut() {
        last.1 = heading;
    }
    columns
}

/// Numbers to the right, text to the left, the last column as long as it is. No heading if all are empty.
fn layout(columns: &[(&str, String)], processes: &[&Process]) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    if columns.iter().any(|(_, heading)| !heading.is_empty()) {
        rows.push(columns.iter().map(|(_, heading)| heading.clone()).collect());
    }
    rows.extend(processes.iter().map(|process| {
        columns
            .iter()
            .map(|(name, _)| cell(process, name))
            .collect()
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &rows {
        for (number, cell) in row.iter().enumerate() {
            let is_number = ["pid", "ppid", "etimes", "rss"].contains(&columns[number].0);
            let width = width(number);
            text.push_str(if number == 0 { "" } else { " " });
            match (is_number, number + 1 == row.len()) {
                (true, _) => text.push_str(&format!("{cell:>width$}")),
                (false, true) => text.push_str(cell),
                (false, false) => text.push_str(&format!("{cell:<width$}")),
            }
        }
        text.push('\n');
    }
    text
}

fn cell(process: &Process, column: &str) -> String {
    match column {
        "pid" => process.pid.to_string(),
        "ppid" => process.parent.to_string(),
        "etimes" => process.age.as_secs().to_string(),
        "rss" => process.resident_kib.to_string(),
        // FreeBSD's letters for what Linux calls S and D.
        "stat" | "state" => match process.state {
            'S' => "I".to_owned(),
            other => other.to_string(),
        },
        "comm" | "ucomm" => process.name.clone(),
        _ => visible(&process.command()),
    }
}

/// A process has one line whatever its arguments hold: ps(1) shows them by strvis(3) with `VIS_TAB | VIS_NL | VIS_NOSLASH`,
/// a line feed as `^J`.
fn visible(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii_control() => {
                shown.push('^');
                shown.push(char::from(byte ^ 0x40));
            }
            _ => shown.push(letter),
        }
    }
    shown
}
