//! pfctl(8).

use crate::{
    net::{
        pf::{self, ConfError, Part, Pf},
        said::{Answer, Said},
    },
    world::World,
};
use std::{fs, io::Read as _, process::ExitCode};

pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    Said::conclude(answer(world, words))
}

/// What it says to these words.
pub(crate) fn answer(world: &World, words: &[String]) -> Answer {
    run(world, &options(words)?)
}

/// What it is called with.
#[derive(Debug, Default)]
struct Options<'a> {
    anchor: Option<&'a str>,
    dry: bool,
    verbose: bool,
    quiet: bool,
    enable: bool,
    disable: bool,
    file: Option<&'a str>,
    flush: Option<&'a str>,
    show: Option<&'a str>,
    table: Option<&'a str>,
    command: Option<&'a str>,
}

fn usage() -> Said {
    Said::refused(
        "usage: pfctl [-AdeghMmNnOPqRrvz] [-a anchor] [-D macro=value] [-F modifier]\n\
         \t[-f file] [-i interface] [-K host | network]\n\
         \t[-k host | network | gateway | label | id] [-o level] [-p device]\n\
         \t[-s modifier] [-t table -T command [address ...]] [-x level]",
    )
}

/// As getopt(3) reads them: letters together, values with or without a blank.
fn options(words: &[String]) -> Answer<Options<'_>> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return Err(usage());
        };
        for (at, letter) in letters.char_indices() {
            let place = match letter {
                'n' => &mut options.dry,
                'v' => &mut options.verbose,
                'q' => &mut options.quiet,
                'e' => &mut options.enable,
                'd' => &mut options.disable,
                _ => {
                    let rest = letters.get(at + 1..).filter(|rest| !rest.is_empty());
                    let value = rest.or_else(|| words.next().map(String::as_str));
                    *value_of(&mut options, letter)? = Some(value.ok_or_else(usage)?);
                    break;
                }
            };
            *place = true;
        }
    }
    if options.table.is_some() != options.command.is_some() {
        return Err(usage());
    }
    Ok(options)
}

fn value_of<'a, 'b>(options: &'a mut Options<'b>, letter: char) -> Answer<&'a mut Option<&'b str>> {
    Ok(match letter {
        'a' => &mut options.anchor,
        'f' => &mut options.file,
        'F' => &mut options.flush,
        's' => &mut options.show,
        't' => &mut options.table,
        'T' => &mut options.command,
        _ => return Err(usage()),
    })
}

/// In the order of the real program: off, flush, load, show, on.
fn run(world: &World, options: &Options) -> Answer {
    check_anchor(options.anchor)?;
    let mut pf = Pf::open(world)?;
    let mut said = Said::default();
    if options.disable {
        switch(&mut pf, false, &mut said)?;
    }
    if let Some(what) = options.flush {
        for line in flush(&mut pf, options.anchor, what)? {
            said.err += &format!("{line}\n");
        }
    }
    if let Some(file) = options.file {
        said.out += &load(&mut pf, options, file)?;
    }
    if let (Some(table), Some(command)) = (options.table, options.command) {
        said.out += &show_table(&pf, options.anchor, (table, command))?;
    }
    if let Some(what) = options.show {
        said.out += &show(&pf, options.anchor, what)?;
    }
    if options.enable {
        switch(&mut pf, true, &mut said)?;
    }
    if options.quiet {
        said.err.clear();
    }
    Ok(said)
}

fn switch(pf: &mut Pf, on: bool, said: &mut Said) -> Answer<()> {
    if pf.is_enabled() == on {
        let complaint = if on {
            "pf already enabled"
        } else {
            "pf not enabled"
        };
        said.err += &format!("pfctl: {complaint}\n");
        said.status = 1;
        return Err(std::mem::take(said));
    }
    pf.enable(on)?;
    said.err += if on { "pf enabled\n" } else { "pf disabled\n" };
    Ok(())
}

fn check_anchor(anchor: Option<&str>) -> Answer<()> {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    match anchor {
        Some(name) if name.is_empty() || !name.chars().all(is_legal) => {
            let cause = format!("pfctl: stand-in: {name:?} names no single anchor");
            Err(Said::refused(cause))
        }
        _ => Ok(()),
    }
}

fn load(pf: &mut Pf, options: &Options, file: &str) -> Answer<String> {
    let (name, text) = read(file)?;
    let lines = match options.anchor {
        None => pf::read_main(&text),
        Some(_) => pf::read_anchor(&text),
    };
    let lines = lines.map_err(|error| syntax(&name, &error))?;
    pf.check(options.anchor, &text)?;
    if !options.dry {
        pf.load(options.anchor, &text)?;
    }
    let shown = if options.verbose { lines } else { Vec::new() };
    Ok(text_of(&shown))
}

fn read(file: &str) -> Answer<(String, String)> {
    let mut text = String::new();
    if file == "-" {
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| Said::refused(format!("pfctl: stdin: {error}")))?;
        return Ok(("stdin".to_owned(), text));
    }
    let text = fs::read_to_string(file).map_err(|_| {
        Said::refused(format!(
            "pfctl: {file}: No such file or directory\n\
             pfctl: cannot open the main config file!: No such file or directory\n\
             pfctl: Syntax error in config file: pf rules not loaded"
        ))
    })?;
    Ok((file.to_owned(), text))
}

/// The reason is said where the real one says its own.
fn syntax(file: &str, error: &ConfError) -> Said {
    Said::refused(format!(
        "{file}:{}: syntax error: {}\npfctl: Syntax error in config file: pf rules not loaded",
        error.line, error.cause
    ))
}

/// What `-F` and `-s` take; any beginning of a word is the first one with it.
fn modifier<'a>(known: &[&'a str], text: &str) -> Answer<&'a str> {
    let found = known.iter().find(|word| word.starts_with(text));
    found.copied().ok_or_else(|| {
        let mut said = usage();
        said.err
            .insert_str(0, &format!("pfctl: Unknown modifier: {text}\n"));
        said
    })
}

fn flush(pf: &mut Pf, anchor: Option<&str>, what: &str) -> Answer<Vec<String>> {
    let what = modifier(&["nat", "rules", "states", "Tables", "all"], what)?;
    let count = pf.show(anchor, Part::Tables)?.unwrap_or_default().len();
    let tables = format!(
        "{count} table{} deleted.",
        if count == 1 { "" } else { "s" }
    );
    let mut lines = Vec::new();
    let parts: &[Part] = match what {
        "nat" => &[Part::Nat],
        "rules" => &[Part::Rules],
        "Tables" => &[Part::Tables],
        "all" => &[Part::Rules, Part::Nat, Part::Tables],
        _ => &[],
    };
    if !parts.is_empty() {
        pf.flush(anchor, parts)?;
    }
    for part in parts {
        lines.push(match part {
            Part::Rules => "rules cleared".to_owned(),
            Part::Nat => "nat cleared".to_owned(),
            Part::Tables => tables.clone(),
        });
    }
    // States are of no anchor.
    if what == "states" || (what == "all" && anchor.is_none()) {
        pf.flush_states()?;
        lines.push("0 states cleared".to_owned());
    }
    Ok(lines)
}

fn show(pf: &Pf, anchor: Option<&str>, what: &str) -> Answer<String> {
    let part = match modifier(&["nat", "rules", "Anchors", "info", "Tables"], what)? {
        "Anchors" => {
            let names = pf.children(anchor)?;
            let lines: Vec<String> = names.iter().map(|name| format!("  {name}")).collect();
            return Ok(text_of(&lines));
        }
        "info" => {
            let status = if pf.is_enabled() {
                "Enabled"
            } else {
                "Disabled"
            };
            let line = format!("Status: {status} for 0 days 00:00:01");
            return Ok(format!("{line:<44}Debug: Urgent\n\n"));
        }
        "nat" => Part::Nat,
        "rules" => Part::Rules,
        _ => Part::Tables,
    };
    let lines = pf.show(anchor, part)?;
    let missing = || Said::refused("pfctl: Anchor does not exist");
    Ok(text_of(&lines.ok_or_else(missing)?))
}

fn show_table(pf: &Pf, anchor: Option<&str>, (table, command): (&str, &str)) -> Answer<String> {
    if command != "show" {
        return Err(Said::refused("pfctl: stand-in: of tables only -T show"));
    }
    let members = pf.table(anchor, table)?;
    let missing = || Said::refused("pfctl: Table does not exist.");
    let lines = members.ok_or_else(missing)?;
    let lines: Vec<String> = lines.iter().map(|net| format!("   {net}")).collect();
    Ok(text_of(&lines))
}

fn text_of(lines: &[String]) -> String {
    lines
        .iter()
        .fold(String::new(), |text, line| text + line + "\n")
}
