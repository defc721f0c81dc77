//! From words to keys to hardware.

use crate::{
    guest::{Card, Drive, Hardware},
    programs::version,
    world::World,
};
use bhyve_vm::{Arguments, KeyTree, ReadError, parse_config_file};
use std::{collections::BTreeMap, fs};

/// The first line of the real one's.
pub(super) const USAGE: &str = "Usage: bhyve [-AaCDeHhPSuWwxY]";

/// Whether a value of bhyve_config(5) says yes.
pub(super) fn is_true(value: &str) -> bool {
    ["true", "on", "yes", "1"].contains(&value.to_ascii_lowercase().as_str())
}

/// The keys of words and of the files that they name.
pub(super) fn read(world: &World, words: &[String]) -> Result<KeyTree, (u8, String)> {
    let release = version::release(world);
    let arguments = Arguments::parse(words).map_err(|error| refused(words, error))?;
    let mut keys = arguments
        .keys(release)
        .map_err(|error| refused(words, error))?;
    for file in arguments.config_files() {
        let text = fs::read_to_string(file).map_err(|error| {
            (
                4,
                format!(
                    "bhyve: Failed to open configuration file {file}: {}",
                    crate::programs::strerror(&error)
                ),
            )
        })?;
        let more = parse_config_file(&text, release)
            .map_err(|error| (4, format!("bhyve: {file} {error}")))?;
        for (key, value) in more.iter() {
            keys.set(&key, value)
                .map_err(|error| (4, format!("bhyve: {file}: {error}")))?;
        }
    }
    keys.check()
        .map_err(|error| (4, format!("bhyve: {error}")))?;
    Ok(keys)
}

/// The status depends on the option, as bhyve's own readers have it.
fn refused(words: &[String], error: ReadError) -> (u8, String) {
    let text = format!("bhyve: {error}");
    let ReadError::Word { number, word, .. } = &error else {
        return (4, text);
    };
    let before = number.checked_sub(2).and_then(|index| words.get(index));
    let letter = |word: &String| {
        word.strip_prefix('-')
            .and_then(|letters| letters.chars().last())
    };
    let option = if word.starts_with('-') {
        None
    } else {
        before.and_then(letter)
    };
    match option {
        Some('s' | 'k') => (4, text),
        Some('c' | 'l' | 'o' | 'p' | 'f' | 'n') => (64, text),
        _ => (1, format!("{text}\n{USAGE}")),
    }
}

/// The keys of one device, without their slot.
type Device = BTreeMap<String, String>;

/// The devices by bus, slot and function.
fn devices(keys: &KeyTree) -> BTreeMap<(u8, u8, u8), Device> {
    let mut devices: BTreeMap<_, Device> = BTreeMap::new();
    for (key, value) in keys.iter() {
        let parts: Vec<&str> = key.splitn(5, '.').collect();
        if let ["pci", bus, slot, function, rest] = parts[..]
            && let (Ok(bus), Ok(slot), Ok(function)) = (bus.parse(), slot.parse(), function.parse())
        {
            let device = devices.entry((bus, slot, function)).or_default();
            device.insert(rest.to_owned(), value.to_owned());
        }
    }
    devices
}

/// What the keys describe, as far as a guest of namespaces has it.
pub(super) fn hardware(keys: &KeyTree) -> Result<Hardware, String> {
    let mut hardware = Hardware {
        name: keys.get("name").ok_or("bhyve: no VM name")?.to_owned(),
        uuid: keys.get("uuid").unwrap_or_default().to_owned(),
        console: keys.get("lpc.com1.path").map(str::to_owned),
        ..Hardware::default()
    };
    for ((_, slot, _), device) in devices(keys) {
        let get = |key: &str| device.get(key).cloned().unwrap_or_default();
        let (model, backend) = (get("device"), get("backend"));
        match model.as_str() {
            "virtio-blk" | "nvme" => hardware.disks.push(Drive {
                path: get("path").into(),
                read_only: is_true(&get("ro")),
            }),
            "virtio-net" if backend.starts_with("tap") => {
                let (mac, tap) = (get("mac"), backend);
                hardware.cards.push(Card { slot, mac, tap });
            }
            "hostbridge" | "lpc" | "virtio-rnd" => {}
            _ => {
                return Err(format!(
                    "bhyve: the stand-in has no device {model} {backend}"
                ));
            }
        }
    }
    match hardware.cards.iter().find(|card| card.mac.is_empty()) {
        Some(Card { tap, .. }) => Err(format!(
            "bhyve: the stand-in invents no MAC address for {tap}"
        )),
        None => Ok(hardware),
    }
}
