//! sysrc(8): variables of /etc/rc.conf.

use crate::{
    net::said::{Answer, Said},
    world::World,
};
use std::{fs, path::Path, process::ExitCode};

const RC_CONF: &str = "/etc/rc.conf";

pub(super) fn main(_: &World, words: &[String]) -> ExitCode {
    Said::conclude(run(Path::new(RC_CONF), words))
}

#[derive(Clone, Copy, Default)]
struct Options {
    /// `-n`: values without names.
    bare: bool,
    /// `-i`: nothing about variables that are not there.
    ignore: bool,
    /// `-x`: takes them away.
    remove: bool,
}

fn split(words: &[String]) -> Answer<(Options, &[String])> {
    let mut options = Options::default();
    let flags = words.iter().take_while(|word| word.starts_with('-'));
    let (flags, names) = words.split_at(flags.count());
    for letter in flags.iter().flat_map(|flag| flag.chars().skip(1)) {
        match letter {
            'n' => options.bare = true,
            'i' | 'q' => options.ignore = true,
            'x' => options.remove = true,
            _ => {
                let line = format!("sysrc: illegal option -- {letter}\n{USAGE}");
                return Err(Said::refused(line));
            }
        }
    }
    if names.is_empty() {
        return Err(Said::refused(USAGE));
    }
    Ok((options, names))
}

fn run(file: &Path, words: &[String]) -> Answer {
    let (options, names) = split(words)?;
    let mut text = read(file)?;
    let mut said = Said::default();
    for word in names {
        let Change { name, how } = change(word)?;
        let before = value(&text, name);
        match (how, before) {
            (None, None) if !options.ignore => {
                said.err += &format!("sysrc: unknown variable '{name}'\n");
                said.status = 1;
            }
            (None, None) => {}
            (None, Some(_)) if options.remove => text = without(&text, name),
            (None, Some(value)) if options.bare => said.out += &format!("{value}\n"),
            (None, Some(value)) => said.out += &format!("{name}: {value}\n"),
            (Some(how), before) => {
                let old = before.unwrap_or_default();
                let new = how.apply(&old);
                text = with(&text, name, &new);
                said.out += &format!("{name}: {old} -> {new}\n");
            }
        }
    }
    write(file, &text)?;
    Ok(said)
}

/// The value of a variable of the host's rc.conf(5).
pub(crate) fn variable(name: &str) -> Answer<Option<String>> {
    Ok(value(&read(Path::new(RC_CONF))?, name))
}

const USAGE: &str = "usage: sysrc [OPTIONS] {name[[+|-]=value] ...}\n       sysrc [OPTIONS] {-a | -A | -l | -L [name ...]}\nTry `sysrc --help' for more information.";

struct Change<'a> {
    name: &'a str,
    how: Option<How<'a>>,
}

enum How<'a> {
    Set(&'a str),
    Append(&'a str),
    Remove(&'a str),
}

fn change(word: &str) -> Answer<Change<'_>> {
    let (name, how) = match word.split_once('=') {
        None => (word, None),
        Some((name, value)) => match (name.strip_suffix('+'), name.strip_suffix('-')) {
            (Some(name), _) => (name, Some(How::Append(value))),
            (_, Some(name)) => (name, Some(How::Remove(value))),
            _ => (name, Some(How::Set(value))),
        },
    };
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty()
        || !name.chars().all(is_legal)
        || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(Said::refused(format!(
            "sysrc: {name}: invalid variable name"
        )));
    }
    Ok(Change { name, how })
}

impl How<'_> {
    fn apply(&self, old: &str) -> String {
        let mut words: Vec<&str> = old.split_whitespace().collect();
        match self {
            Self::Set(value) => return (*value).to_owned(),
            Self::Append(value) if words.contains(value) => {}
            Self::Append(value) => words.push(value),
            Self::Remove(value) => words.retain(|word| word != value),
        }
        words.join(" ")
    }
}

fn line_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.strip_prefix(name)?.strip_prefix('=')
}

/// The last line with it counts, as in the shell that reads the file.
fn value(text: &str, name: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| line_of(line, name));
    values
        .next_back()
        .map(|value| value.trim_matches('"').to_owned())
}

fn with(text: &str, name: &str, value: &str) -> String {
    let line = format!("{name}=\"{value}\"");
    let mut found = false;
    let mut lines: Vec<&str> = Vec::new();
    for own in text.lines() {
        let is_it = line_of(own, name).is_some();
        lines.push(if is_it { &line } else { own });
        found |= is_it;
    }
    if !found {
        lines.push(&line);
    }
    lines.join("\n") + "\n"
}

fn without(text: &str, name: &str) -> String {
    let kept = text.lines().filter(|line| line_of(line, name).is_none());
    kept.fold(String::new(), |text, line| text + line + "\n")
}

fn read(file: &Path) -> Answer<String> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Said::refused(format!("sysrc: {}: {error}", file.display()))),
    }
}

fn write(file: &Path, text: &str) -> Answer<()> {
    fs::write(file, text)
        .map_err(|error| Said::refused(format!("sysrc: {}: {error}", file.display())))
}
