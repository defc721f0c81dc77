//! Strict readers of what [`argv`](crate::argv) and [`config_file`](crate::config_file) print, and of nothing else.
//!
//! They are written from bhyve's rules, not from our printers, so that each finds the other's mistakes.

use crate::{
    KeyError, KeyTree, Release,
    print::{FLAGS, firmware_keys},
};

/// A line or word that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A line of a file has no key or no value; bhyve would stop with status 4.
    #[error("line {line}: {text:?} is not KEY=VALUE")]
    NotAPair {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A line of a file sets what it may not.
    #[error("line {line}: {source}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The cause.
        source: KeyError,
    },
    /// A word of an argument list is not understood.
    #[error("argument {number}, {word:?}: {problem}")]
    Word {
        /// Counted from 1, without the program's name.
        number: usize,
        /// The word.
        word: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads a `-k` file for a host of `release`.
///
/// As bhyve does: a line is skipped if it is empty or its first byte is `#`, cut at the first `=`, and never
/// trimmed. Stricter than bhyve in all that it would silently accept: unknown keys, keys set twice, `%`.
///
/// # Errors
///
/// The first line that is not ours. A missing key is *not* an error.
pub fn parse_config_file(text: &str, release: Release) -> Result<KeyTree, ReadError> {
    let mut keys = KeyTree::new(release);
    // Not `lines()`: that would take away the '\r' that bhyve keeps as a part of the value.
    for (i, text) in text.split('\n').enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let line = i + 1;
        let pair = text
            .split_once('=')
            .filter(|(key, value)| !key.is_empty() && !value.is_empty());
        let Some((key, value)) = pair else {
            return Err(ReadError::NotAPair {
                line,
                text: text.to_owned(),
            });
        };
        keys.set(key, value)
            .map_err(|source| ReadError::Line { line, source })?;
    }
    Ok(keys)
}

/// Reads an argument list, without the program's name, into the key tree that bhyve makes of it.
///
/// # Errors
///
/// The first word that is not ours.
pub fn parse_argv(words: &[String], release: Release) -> Result<KeyTree, ReadError> {
    let mut reader = ArgvReader {
        keys: KeyTree::new(release),
    };
    let mut rest = words.iter().enumerate();
    while let Some((i, word)) = rest.next() {
        let at = |word: &str, problem: String| ReadError::Word {
            number: i + 1,
            word: word.to_owned(),
            problem,
        };
        if let Some((_, key, value)) = FLAGS.iter().find(|(flag, ..)| flag == word) {
            reader.set(key, value).map_err(|p| at(word, p))?;
        } else if ["-c", "-m", "-U", "-s", "-l"].contains(&word.as_str()) {
            let Some((_, value)) = rest.next() else {
                return Err(at(word, "its value is missing".into()));
            };
            reader.option(word, value).map_err(|p| at(value, p))?;
        } else if i + 1 == words.len() && !word.starts_with('-') {
            reader.set("name", word).map_err(|p| at(word, p))?;
        } else {
            return Err(at(word, "not an option that this crate prints".into()));
        }
    }
    Ok(reader.keys)
}

struct ArgvReader {
    keys: KeyTree,
}

impl ArgvReader {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        self.keys.set(key, value).map_err(|e| e.to_string())
    }

    fn option(&mut self, letter: &str, value: &str) -> Result<(), String> {
        match letter {
            "-c" => self.cpus(value),
            "-m" => self.set("memory.size", value),
            "-U" => self.set("uuid", value),
            "-s" => self.slot(value),
            _ => self.lpc(value),
        }
    }

    fn cpus(&mut self, value: &str) -> Result<(), String> {
        for pair in value.split(',') {
            match pair.split_once('=') {
                Some((key @ ("cpus" | "sockets" | "cores" | "threads"), n)) => self.set(key, n)?,
                _ => {
                    return Err(format!(
                        "{pair:?} is none of cpus=, sockets=, cores=, threads="
                    ));
                }
            }
        }
        Ok(())
    }

    fn slot(&mut self, value: &str) -> Result<(), String> {
        let mut words = value.split(',');
        let place = words.next().unwrap_or_default();
        let Some(slot) = place.strip_suffix(":0") else {
            return Err(format!("{place:?} is not SLOT:0"));
        };
        let device = words.next().unwrap_or_default();
        let key = |name: &str| format!("pci.0.{slot}.0.{name}");
        self.set(&key("device"), device)?;
        // The first word of a disk is its path, of a network card its backend.
        let first = match device {
            "virtio-blk" => Some("path"),
            "virtio-net" => Some("backend"),
            _ => None,
        };
        if let Some(name) = first {
            let value = words
                .next()
                .ok_or_else(|| format!("{device} has no {name}"))?;
            self.set(&key(name), value)?;
        }
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => self.set(&key(name), value)?,
                None => self.set(&key(word), "true")?,
            }
        }
        Ok(())
    }

    fn lpc(&mut self, value: &str) -> Result<(), String> {
        let (bootrom, bootvars) = firmware_keys(self.keys.release());
        match value.split(',').collect::<Vec<_>>()[..] {
            ["bootrom", code, vars] => {
                self.set(bootrom, code)?;
                self.set(bootvars, vars)
            }
            ["com1", path] => self.set("lpc.com1.path", path),
            _ => Err("neither bootrom,CODE,VARS nor com1,PATH".into()),
        }
    }
}
