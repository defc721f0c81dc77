//! What stands behind `-s` and `-l`, taken apart as each device's own code does it.

use crate::{
    Release,
    keys::devices::{Model, Place},
    print::firmware_keys,
};

/// Keys with their values, in the order of the words.
pub(super) type Keys = Vec<(String, String)>;

/// The names of devices that set more than themselves (`pe_alias` in pci_emul.h).
const ALIASES: [&str; 3] = ["ahci-hd", "ahci-cd", "amd_hostbridge"];

/// `-s PLACE,DEVICE[,CONFIGURATION]`.
pub(super) fn pci(value: &str) -> Result<Keys, String> {
    let mut words = value.split(',');
    let place = place(words.next().unwrap_or_default())?;
    let Some(device) = words.next().filter(|word| !word.is_empty()) else {
        return Err(format!("no device after the slot; bhyve has {}", devices()));
    };
    let conf: Vec<&str> = words.collect();
    if conf.contains(&"") {
        return Err("nothing stands between two commas, or after the last".to_owned());
    }
    let (model, keys) = match device {
        "ahci-hd" => ("ahci", sata(&conf, "hd:")?),
        "ahci-cd" => ("ahci", sata(&conf, "cd:")?),
        "amd_hostbridge" => ("hostbridge", amd(&conf)?),
        _ if Model::find(device).is_some() => (device, configuration(device, &conf)?),
        _ => return Err(format!("no device {device:?}; bhyve has {}", devices())),
    };
    let mut all = vec![(place.key("device"), model.to_owned())];
    all.extend(
        keys.into_iter()
            .map(|(name, value)| match name.strip_prefix("/") {
                Some(global) => (global.to_owned(), value),
                None => (place.key(&name), value),
            }),
    );
    Ok(all)
}

fn devices() -> String {
    format!("{}, {}", Model::names(), ALIASES.join(", "))
}

/// `SLOT`, `SLOT:FUNCTION` or `BUS:SLOT:FUNCTION`.
fn place(text: &str) -> Result<Place, String> {
    let number = |text: &str, most: u8| {
        let digits = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u8>().ok().filter(|n| digits && *n <= most)
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (bus, slot, function) = match parts[..] {
        [slot] => ("0", slot, "0"),
        [slot, function] => ("0", slot, function),
        [bus, slot, function] => (bus, slot, function),
        _ => ("", "", ""),
    };
    match (number(bus, 255), number(slot, 31), number(function, 7)) {
        (Some(bus), Some(slot), Some(function)) => Ok(Place {
            bus,
            slot,
            function,
        }),
        _ => Err(format!(
            "{text:?} is not SLOT, SLOT:FUNCTION or BUS:SLOT:FUNCTION (slot 0 to 31, function 0 to 7, bus 0 to 255)"
        )),
    }
}

/// The words behind a device, in the form that this device has.
fn configuration(device: &str, conf: &[&str]) -> Result<Keys, String> {
    match device {
        "virtio-blk" | "uart" | "virtio-input" => first_is("path", conf),
        "virtio-net" | "e1000" => first_is("backend", conf),
        "virtio-scsi" => first_is("dev", conf),
        "nvme" => match conf.split_first() {
            Some((first, rest)) if first.starts_with("ram=") => {
                Ok([pairs(&[first]), pairs(rest)].concat())
            }
            _ => first_is("path", conf),
        },
        "ahci" => sata(conf, ""),
        "virtio-9p" => share(conf),
        "virtio-console" => ports(conf),
        "xhci" => Ok(numbered(conf)),
        "passthru" => passthru(conf),
        "lpc" => lpc_words(conf),
        _ => Ok(pairs(conf)),
    }
}

fn set(key: impl Into<String>, value: &str) -> (String, String) {
    (key.into(), value.to_owned())
}

/// `KEY=VALUE`, or a bare `KEY`, which is true.
fn pairs(conf: &[&str]) -> Keys {
    conf.iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) => set(key, value),
            None => set(*word, "true"),
        })
        .collect()
}

/// The first word is the value of a key that is not written. Nothing at all is a device without a backend.
fn first_is(key: &str, conf: &[&str]) -> Result<Keys, String> {
    let Some((first, rest)) = conf.split_first() else {
        return Ok(Keys::new());
    };
    let mut keys = vec![set(key, first)];
    keys.extend(pairs(rest));
    Ok(keys)
}

/// Ports: each begins with `hd:` or `cd:`; the words up to the next one are its own.
fn sata(conf: &[&str], kind: &str) -> Result<Keys, String> {
    let mut keys = Keys::new();
    let mut port = 0_usize;
    for (i, word) in conf.iter().enumerate() {
        let start = match (i, kind) {
            (0, "hd:" | "cd:") => Some((kind, *word)),
            (_, "") => ["hd:", "cd:"]
                .into_iter()
                .find_map(|kind| Some((kind, word.strip_prefix(kind)?))),
            _ => None,
        };
        match start {
            Some((kind, path)) => {
                port = keys
                    .iter()
                    .filter(|(key, _): &&(String, String)| key.ends_with(".type"))
                    .count();
                keys.push(set(format!("port.{port}.type"), &kind[..2]));
                keys.push(set(format!("port.{port}.path"), path));
            }
            None if keys.is_empty() => {
                return Err(format!("{word:?} is no port: hd:PATH or cd:PATH"));
            }
            None => keys.extend(
                pairs(&[word])
                    .into_iter()
                    .map(|(key, value)| (format!("port.{port}.{key}"), value)),
            ),
        }
    }
    Ok(keys)
}

/// The host bridge with AMD's numbers (pci_hostbridge.c).
fn amd(conf: &[&str]) -> Result<Keys, String> {
    match conf {
        [] => Ok(vec![
            set("pcireg.vendor", "0x1022"),
            set("pcireg.device", "0x7432"),
        ]),
        [word, ..] => Err(format!(
            "amd_hostbridge takes no configuration such as {word:?}"
        )),
    }
}

/// `NAME=PATH[,ro]`.
fn share(conf: &[&str]) -> Result<Keys, String> {
    let mut keys = Keys::new();
    for word in conf {
        match word.split_once('=') {
            Some((name, path)) if keys.iter().all(|(key, _)| key != "path") => {
                keys.extend([set("sharename", name), set("path", path)]);
            }
            None if *word == "ro" => keys.push(set("ro", "true")),
            _ => return Err(format!("{word:?} is not NAME=PATH, once, or ro")),
        }
    }
    Ok(keys)
}

/// `NAME=PATH,...`: at most 16.
fn ports(conf: &[&str]) -> Result<Keys, String> {
    if conf.len() > 16 {
        return Err(format!("{} ports are more than 16", conf.len()));
    }
    let mut keys = Keys::new();
    for (i, word) in conf.iter().enumerate() {
        let Some((name, path)) = word.split_once('=') else {
            return Err(format!("{word:?} is no port: NAME=PATH"));
        };
        keys.push(set(format!("port.{i}.name"), name));
        keys.push(set(format!("port.{i}.path"), path));
    }
    Ok(keys)
}

/// USB devices; their slots begin at 1.
fn numbered(conf: &[&str]) -> Keys {
    conf.iter()
        .zip(1..)
        .map(|(word, slot): (_, usize)| set(format!("slot.{slot}.device"), word))
        .collect()
}

/// `BUS/SLOT/FUNCTION`, `pciBUS:SLOT:FUNCTION`, the same with a domain (`pci0:`), or `pptN`.
fn passthru(conf: &[&str]) -> Result<Keys, String> {
    let Some((first, rest)) = conf.split_first() else {
        return Ok(Keys::new());
    };
    let numbers: Vec<&str> = match first.strip_prefix("pci") {
        Some(text) => text.split(':').collect(),
        None => first.split('/').collect(),
    };
    let mut keys = match numbers[..] {
        [bus, slot, function] | ["0", bus, slot, function] => {
            vec![set("bus", bus), set("slot", slot), set("func", function)]
        }
        _ if first.starts_with("ppt") => vec![set("pptdev", first)],
        _ => {
            return Err(format!(
                "{first:?} is not BUS/SLOT/FUNCTION, pciBUS:SLOT:FUNCTION or pptN"
            ));
        }
    };
    keys.extend(pairs(rest));
    Ok(keys)
}

/// The bridge keeps its settings outside of its place.
fn lpc_words(conf: &[&str]) -> Result<Keys, String> {
    conf.iter()
        .map(|word| match word.split_once('=') {
            Some(("fwcfg", value)) => Ok(set("/lpc.fwcfg", value)),
            _ => Err(format!(
                "{word:?} is not fwcfg=bhyve or fwcfg=qemu, all that lpc takes"
            )),
        })
        .collect()
}

/// `-l DEVICE[,CONFIGURATION]`.
pub(super) fn lpc(value: &str, release: Release) -> Result<Keys, String> {
    let words: Vec<&str> = value.split(',').collect();
    if words.contains(&"") {
        return Err("nothing stands between two commas, or after the last".to_owned());
    }
    // bhyve takes capital letters too (`strcasecmp` in pci_lpc.c).
    let device = words[0].to_ascii_lowercase();
    match (device.as_str(), &words[1..]) {
        ("bootrom", [code, rest @ ..]) => bootrom(code, rest, release),
        (port @ ("com1" | "com2" | "com3" | "com4"), [backend]) => {
            Ok(vec![set(format!("lpc.{port}.path"), backend)])
        }
        ("pc-testdev", []) => Ok(vec![set("lpc.pc-testdev", "true")]),
        ("tpm", [kind, path, rest @ ..]) => {
            let mut keys = vec![set("tpm.type", kind), set("tpm.path", path)];
            keys.extend(pairs(rest).into_iter().map(|(key, value)| (format!("tpm.{key}"), value)));
            Ok(keys)
        }
        _ => Err(
            "not one of bootrom,CODE[,VARS][,fwcfg=TYPE], com1,BACKEND to com4,BACKEND, tpm,TYPE,PATH[,version=2.0], pc-testdev"
                .to_owned(),
        ),
    }
}

fn bootrom(code: &str, rest: &[&str], release: Release) -> Result<Keys, String> {
    let (rom, vars) = firmware_keys(release);
    let mut keys = vec![set(rom, code)];
    for (i, word) in rest.iter().enumerate() {
        match word.split_once('=') {
            Some(("fwcfg", kind)) => keys.push(set("lpc.fwcfg", kind)),
            None if i == 0 => keys.push(set(vars, word)),
            _ => {
                return Err(format!(
                    "{word:?} is not VARS, first, or fwcfg=bhyve, fwcfg=qemu"
                ));
            }
        }
    }
    Ok(keys)
}
