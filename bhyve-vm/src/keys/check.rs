//! What the keys of a whole tree must be to each other, for bhyve to start with them.

use super::{
    KeyError, KeyTree, Release,
    devices::{Model, Place, split},
    kind::Kind,
};
use std::collections::{BTreeMap, BTreeSet};

/// The devices of a tree: for each place its keys without `pci.B.S.F.`, and their values.
type Devices<'t> = BTreeMap<Place, BTreeMap<String, &'t str>>;

pub(super) fn whole(tree: &KeyTree) -> Result<(), KeyError> {
    let mut devices = Devices::new();
    for (key, value) in tree.iter() {
        if let Some((place, name)) = split(&key) {
            devices
                .entry(place)
                .or_default()
                .insert(name.to_owned(), value);
        }
    }
    for (place, keys) in &devices {
        device(*place, keys, tree.release())?;
    }
    places(&devices)?;
    lpc(tree, &devices)?;
    processors(tree)?;
    domains(tree)?;
    let passthru = devices
        .iter()
        .find(|(_, keys)| keys.get("device") == Some(&"passthru"));
    match passthru {
        Some((place, _)) if !truth(tree.get("memory.wired")) => Err(unmet(
            place.key("device"),
            "passthru needs memory.wired=true (-S): the device writes to fixed memory",
        )),
        _ => Ok(()),
    }
}

/// The keys of one device are its own, of their kinds, and enough.
fn device(place: Place, keys: &BTreeMap<String, &str>, release: Release) -> Result<(), KeyError> {
    let Some(name) = keys.get("device") else {
        let key = keys
            .keys()
            .next()
            .map_or_else(String::new, |name| place.key(name));
        return Err(KeyError::NoDevice {
            key,
            missing: place.key("device"),
        });
    };
    let Some(model) = Model::find(name) else {
        return Err(KeyError::Device {
            key: place.key("device"),
            value: (*name).to_owned(),
            known: Model::names(),
        });
    };
    for (name, value) in keys.iter().filter(|(name, _)| *name != "device") {
        let key = place.key(name);
        let Some(kind) = model.kind_of(name) else {
            return Err(model.lacks(key));
        };
        // Any name is a backend whose type is said: a renamed tap.
        let kind = match kind {
            Kind::Backend if keys.contains_key("type") => Kind::Word,
            kind => kind,
        };
        kind.judge_value(key, value, release)?;
    }
    let there = |set: &&[&str]| set.iter().all(|name| keys.contains_key(*name));
    if !model.needs.is_empty() && !model.needs.iter().any(there) {
        let sets: Vec<String> = model.needs.iter().map(|set| set.join(" with ")).collect();
        return Err(unmet(
            place.key("device"),
            format!("{} needs {}", model.name, sets.join(", or ")),
        ));
    }
    Ok(())
}

/// A slot in use has a function 0 (PCI Local Bus 3.0, 3.2.2.3.4), else the guest never looks at the others.
fn places(devices: &Devices<'_>) -> Result<(), KeyError> {
    for place in devices.keys() {
        let first = Place {
            function: 0,
            ..*place
        };
        if !devices.contains_key(&first) {
            return Err(unmet(
                place.key("device"),
                format!(
                    "slot {}:{} has no function 0, so no guest finds its others",
                    place.bus, place.slot
                ),
            ));
        }
    }
    Ok(())
}

fn lpc(tree: &KeyTree, devices: &Devices<'_>) -> Result<(), KeyError> {
    let bridges: Vec<Place> = devices
        .iter()
        .filter(|(_, keys)| keys.get("device") == Some(&"lpc"))
        .map(|(place, _)| *place)
        .collect();
    let port = tree
        .iter()
        .map(|(key, _)| key)
        .find(|key| key.starts_with("lpc.com"));
    match (bridges.as_slice(), port) {
        ([], Some(key)) => Err(unmet(key, "a serial port needs the device lpc (-s 31,lpc)")),
        ([first, second, ..], _) => Err(unmet(
            second.key("device"),
            format!(
                "a VM has one lpc, and slot {}:{} is it",
                first.bus, first.slot
            ),
        )),
        ([bridge], _) if bridge.bus != 0 => {
            Err(unmet(bridge.key("device"), "lpc can only be on bus 0"))
        }
        _ => Ok(()),
    }
}

/// bhyve's own sum (bhyverun.c): sockets default to all processors, cores and threads to one.
fn processors(tree: &KeyTree) -> Result<(), KeyError> {
    let number = |key| tree.get(key).and_then(|text| text.parse::<u64>().ok());
    let cpus = number("cpus").unwrap_or(1);
    let (sockets, cores, threads) = (
        number("sockets").unwrap_or(cpus),
        number("cores").unwrap_or(1),
        number("threads").unwrap_or(1),
    );
    let product = sockets
        .checked_mul(cores)
        .and_then(|n| n.checked_mul(threads));
    if number("cpus").is_some() && product != Some(cpus) {
        return Err(unmet(
            "cpus".to_owned(),
            format!(
                "{cpus} processors are not {sockets} sockets x {cores} cores x {threads} threads; give all four"
            ),
        ));
    }
    Ok(())
}

fn domains(tree: &KeyTree) -> Result<(), KeyError> {
    let keys: Vec<String> = tree
        .iter()
        .map(|(key, _)| key)
        .filter(|key| key.starts_with("domains."))
        .collect();
    let Some(key) = keys.last() else {
        return Ok(());
    };
    let numbers: BTreeSet<&str> = keys
        .iter()
        .filter_map(|key| key.split('.').nth(1))
        .collect();
    if numbers.len() > 8 {
        return Err(unmet(key.clone(), "a VM has at most 8 memory domains"));
    }
    if tree.get("bootrom").is_none() {
        return Err(unmet(
            key.clone(),
            "memory domains need a boot ROM (-l bootrom,CODE)",
        ));
    }
    Ok(())
}

fn truth(value: Option<&str>) -> bool {
    value.is_some_and(|value| {
        ["true", "on", "yes", "1"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(value))
    })
}

fn unmet(key: String, rule: impl Into<String>) -> KeyError {
    KeyError::Unmet {
        key,
        rule: rule.into(),
    }
}
