//! A list of arguments of bhyve(8) as it was written: read, shown, printed back word for word.

use super::{
    Placed, ReadError,
    devices::Keys,
    options::{Form, OptionSpec},
    values,
};
use crate::{KeyError, KeyTree, Release};
use std::{collections::BTreeMap, fmt};

/// The arguments of one bhyve, ours or another tool's.
///
/// ```
/// use bhyve_vm::{Arguments, Release};
///
/// let words = "-AHPw -c 2 -m 1G -s 0,hostbridge -s 31,lpc -s 4:0,ahci-cd,/iso/a.iso -l com1,stdio vm1";
/// let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
///
/// let arguments = Arguments::parse(&words)?;
/// assert_eq!(arguments.words(), words);
/// assert_eq!(arguments.keys(Release::V15)?.get("pci.0.4.0.port.0.type"), Some("cd"));
/// assert!(arguments.to_string().contains("-m 1G: memory (memory.size=1G)\n"));
/// # Ok::<(), bhyve_vm::ReadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    options: Vec<Argument>,
    /// Whether `--` stands before the name.
    dashes: bool,
    /// The name of the VM; a `-k` file can give it instead.
    name: Option<String>,
}

/// One option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    letter: char,
    value: Option<String>,
    /// Whether it stands in one word with the option before it (`-AHP`).
    joined: bool,
    /// Whether its value stands in the same word (`-m2G`).
    attached: bool,
    /// The word that an error names, the value or the option's own, and its number from 1.
    source: String,
    number: usize,
}

impl Arguments {
    /// Reads a list of arguments, without the program's name, as getopt(3) does.
    ///
    /// # Errors
    ///
    /// The first word that is no option, device or form of bhyve(8), with its place and what is known there.
    /// Keys and values are judged by [`Arguments::keys`], because they depend on the release.
    pub fn parse(words: &[String]) -> Result<Self, ReadError> {
        let mut all = Self {
            options: Vec::new(),
            dashes: false,
            name: None,
        };
        let mut next = 0;
        while let Some(word) = words.get(next).filter(|word| is_option(word)) {
            next += 1;
            if word == "--" {
                all.dashes = true;
                break;
            }
            next += all.option_word(word, next, words.get(next))?;
        }
        match &words[next.min(words.len())..] {
            [] => {}
            [name] => all.name = Some(name.clone()),
            [_, second, ..] => {
                return Err(wrong(
                    next + 2,
                    second,
                    "options end at the first word without '-', which is the VM's name; nothing may follow it".into(),
                ));
            }
        }
        for option in &all.options {
            option
                .assignments(Release::V15)
                .map_err(|problem| wrong(option.number, &option.source, problem))?;
        }
        Ok(all)
    }

    /// Takes a word of options apart; returns how many further words it took.
    fn option_word(
        &mut self,
        word: &str,
        number: usize,
        following: Option<&String>,
    ) -> Result<usize, ReadError> {
        for (at, letter) in word.char_indices().skip(1) {
            let Some(spec) = OptionSpec::find(letter) else {
                let problem = format!("no option -{letter}; bhyve has {}", OptionSpec::letters());
                return Err(wrong(number, word, problem));
            };
            let mut option = Argument {
                letter,
                value: None,
                joined: at > 1,
                attached: false,
                source: word.to_owned(),
                number,
            };
            if !matches!(spec.form, Form::Value) {
                self.options.push(option);
                continue;
            }
            let rest = &word[at + letter.len_utf8()..];
            let taken = option
                .take_value(rest, following)
                .ok_or_else(|| wrong(number, word, format!("the value of -{letter} is missing")))?;
            self.options.push(option);
            return Ok(taken);
        }
        Ok(0)
    }

    /// The words, as they were read.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for option in &self.options {
            match words.last_mut() {
                Some(word) if option.joined => word.push(option.letter),
                _ => words.push(format!("-{}", option.letter)),
            }
            match (&option.value, words.last_mut()) {
                (Some(value), Some(word)) if option.attached => word.push_str(value),
                (Some(value), _) => words.push(value.clone()),
                (None, _) => {}
            }
        }
        words.extend(self.dashes.then(|| "--".to_owned()));
        words.extend(self.name.clone());
        words
    }

    /// The files that `-k` names, in order: what is in them is not in [`Arguments::keys`].
    pub fn config_files(&self) -> impl Iterator<Item = &str> {
        let files = self.options.iter().filter(|option| option.letter == 'k');
        files.filter_map(|option| option.value.as_deref())
    }

    /// The keys that bhyve of `release` makes of these arguments.
    ///
    /// Firmware files of `-f` and a snapshot of `-r` have no keys, and files of `-k` are on the host.
    ///
    /// # Errors
    ///
    /// The first word that sets an unknown key, a wrong value, or a key a second time (bhyve would take the later
    /// one without a word); or a tree that [`KeyTree::check`] refuses.
    pub fn keys(&self, release: Release) -> Result<KeyTree, ReadError> {
        let mut keys = KeyTree::new(release);
        let mut set_by: BTreeMap<String, Placed> = BTreeMap::new();
        let mut pins: BTreeMap<String, String> = BTreeMap::new();
        for option in &self.options {
            let place = Placed::Word(option.number, option.source.clone());
            let assignments = option
                .assignments(release)
                .map_err(|problem| wrong(option.number, &option.source, problem))?;
            for (key, value) in assignments {
                set_by.entry(key.clone()).or_insert_with(|| place.clone());
                if option.letter == 'p' {
                    add_pin(&mut pins, key, &value);
                    continue;
                }
                keys.set(&key, &value).map_err(|e| place.clone().error(e))?;
            }
        }
        if let Some(name) = &self.name {
            let place = Placed::Word(self.words().len(), name.clone());
            keys.set("name", name).map_err(|e| place.error(e))?;
        }
        for (key, value) in pins {
            keys.set(&key, &value).map_err(|e| located(&set_by, e))?;
        }
        keys.check().map_err(|e| located(&set_by, e))?;
        Ok(keys)
    }
}

/// Each `-p` adds a processor of the host to the set of its own.
fn add_pin(pins: &mut BTreeMap<String, String>, key: String, value: &str) {
    let set = pins.entry(key).or_default();
    if !set.is_empty() {
        set.push(',');
    }
    set.push_str(value);
}

fn located(set_by: &BTreeMap<String, Placed>, error: KeyError) -> ReadError {
    match set_by.get(error.key()) {
        Some(place) => place.clone().error(error),
        None => ReadError::Whole(error),
    }
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

fn wrong(number: usize, word: &str, problem: String) -> ReadError {
    ReadError::Word {
        number,
        word: word.to_owned(),
        problem,
    }
}

impl Argument {
    /// Takes the rest of its word for its value, or the next word; returns how many words that were.
    fn take_value(&mut self, rest: &str, following: Option<&String>) -> Option<usize> {
        if !rest.is_empty() {
            self.attached = true;
            self.value = Some(rest.to_owned());
            return Some(0);
        }
        let value = following?.clone();
        self.source.clone_from(&value);
        self.number += 1;
        self.value = Some(value);
        Some(1)
    }

    /// What the option sets.
    fn assignments(&self, release: Release) -> Result<Keys, String> {
        let Some(value) = self.value.as_deref() else {
            return Ok(match OptionSpec::find(self.letter).map(|spec| &spec.form) {
                Some(Form::Flag(key, value)) => vec![((*key).to_owned(), (*value).to_owned())],
                _ => Keys::new(),
            });
        };
        values::of(self.letter, value, release)
    }
}

impl fmt::Display for Arguments {
    /// One line for each option: as written, its meaning, and the keys of FreeBSD 15 that it sets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for option in &self.options {
            write!(f, "-{}", option.letter)?;
            if let Some(value) = &option.value {
                write!(f, " {value}")?;
            }
            let meaning = OptionSpec::find(option.letter).map_or("", |spec| spec.meaning);
            let keys = option.assignments(Release::V15).unwrap_or_default();
            let keys: Vec<String> = keys
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            write!(f, ": {}", option.device().unwrap_or(meaning))?;
            match keys.is_empty() {
                true => writeln!(f)?,
                false => writeln!(f, " ({})", keys.join(", "))?,
            }
        }
        match &self.name {
            Some(name) => writeln!(f, "{name}: name of the VM"),
            None => Ok(()),
        }
    }
}

impl Argument {
    /// What a `-s` puts into its slot, in words.
    fn device(&self) -> Option<&'static str> {
        let keys = self.assignments(Release::V15).ok()?;
        // The place's own device comes first.
        let (_, name) = keys.iter().find(|(key, _)| key.ends_with(".device"))?;
        crate::keys::devices::Model::find(name).map(|model| model.what)
    }
}
