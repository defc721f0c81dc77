//! What the values of options set.

use super::devices::{self, Keys};
use crate::{Release, keys::kind::Kind};

/// The keys that option `-letter` with a value sets. `-f`, `-k` and `-r` set none; their values are judged here.
pub(super) fn of(letter: char, value: &str, release: Release) -> Result<Keys, String> {
    if value.is_empty() {
        return Err(format!("the value of -{letter} is empty"));
    }
    match letter {
        'c' => processors(value),
        'f' => firmware_file(value, release),
        'G' => debug_server(value),
        'K' => Ok(one("keyboard.layout", value)),
        'l' => devices::lpc(value, release),
        'm' => Ok(one("memory.size", value)),
        'n' => domain(value),
        'o' => variable(value),
        'p' => pin(value),
        's' => devices::pci(value),
        'U' => Ok(one("uuid", value)),
        _ => nothing(Kind::Path, value, release),
    }
}

/// A value that sets no key, but must be one that is shown and printed back without harm.
fn nothing(kind: Kind, value: &str, release: Release) -> Result<Keys, String> {
    match kind.mismatch(value, release) {
        None => Ok(Keys::new()),
        Some(expected) => Err(format!("not {expected}")),
    }
}

fn one(key: &str, value: &str) -> Keys {
    vec![(key.to_owned(), value.to_owned())]
}

/// `[cpus=]N[,sockets=N][,cores=N][,threads=N]`.
fn processors(value: &str) -> Result<Keys, String> {
    let number = |word: &str| match word.split_once('=') {
        Some((key @ ("cpus" | "sockets" | "cores" | "threads"), n)) => {
            Ok((key.to_owned(), n.to_owned()))
        }
        None => Ok(("cpus".to_owned(), word.to_owned())),
        Some(_) => Err(format!(
            "{word:?} is none of cpus=, sockets=, cores=, threads="
        )),
    };
    value.split(',').map(number).collect()
}

/// `[w][ADDRESS:]PORT`.
fn debug_server(value: &str) -> Result<Keys, String> {
    let rest = value.strip_prefix('w');
    let mut keys = match rest {
        Some(_) => one("gdb.wait", "true"),
        None => Keys::new(),
    };
    let rest = rest.unwrap_or(value);
    let port = match rest.rsplit_once(':') {
        Some((address, port)) => {
            keys.extend(one("gdb.address", address));
            port
        }
        None => rest,
    };
    keys.extend(one("gdb.port", port));
    Ok(keys)
}

/// `id=N[,size=SIZE][,cpus=SET][,domain_policy=POLICY]`; a set holds commas of its own.
fn domain(value: &str) -> Result<Keys, String> {
    let mut id = None;
    let mut keys: Vec<(&str, String)> = Vec::new();
    for word in value.split(',') {
        match word.split_once('=') {
            Some(("id", n)) => id = Some(n),
            Some((key @ ("size" | "cpus" | "domain_policy"), text)) => {
                keys.push((key, text.to_owned()));
            }
            None if matches!(keys.last(), Some(("cpus", _))) => {
                if let Some((_, set)) = keys.last_mut() {
                    set.push(',');
                    set.push_str(word);
                }
            }
            _ => {
                return Err(format!(
                    "{word:?} is none of id=, size=, cpus=, domain_policy="
                ));
            }
        }
    }
    let id = id.ok_or("no id=, which says which domain it is")?;
    let named = keys.into_iter();
    Ok(named
        .map(|(key, text)| (format!("domains.{id}.{key}"), text))
        .collect())
}

fn variable(value: &str) -> Result<Keys, String> {
    match value.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok(one(key, value)),
        _ => Err("not KEY=VALUE".to_owned()),
    }
}

fn pin(value: &str) -> Result<Keys, String> {
    match value.split_once(':') {
        Some((vcpu, host)) => Ok(one(&format!("vcpu.{vcpu}.cpuset"), host)),
        None => Err("not VCPU:HOSTCPU".to_owned()),
    }
}

/// `NAME,string=TEXT` or `NAME,file=PATH`.
fn firmware_file(value: &str, release: Release) -> Result<Keys, String> {
    let content = value.split_once(',').map(|(_, content)| content);
    match content.and_then(|content| content.split_once('=')) {
        Some(("string", text)) => nothing(Kind::Text, text, release),
        Some(("file", path)) => nothing(Kind::Path, path, release),
        _ => Err("not NAME,string=TEXT or NAME,file=PATH".to_owned()),
    }
}
