//! What only one can have: within a VM, and between VMs of one host.

use super::SpecError;
use crate::{Console, VmSpec};
use std::collections::BTreeMap;

/// A value with the words by which an error names its holder.
type Held = (String, String);

pub(super) fn within(spec: &VmSpec) -> Result<(), SpecError> {
    let mut files = Vec::from([
        (
            "firmware.vars_template".to_owned(),
            spec.firmware.vars_template.to_string(),
        ),
        ("firmware.code".to_owned(), spec.firmware.code.to_string()),
        ("firmware.vars".to_owned(), spec.firmware.vars.to_string()),
    ]);
    files.extend(
        spec.seed
            .iter()
            .map(|path| ("seed".to_owned(), path.to_string())),
    );
    files.extend(disks(spec, |disk| disk.path.to_string()));
    let paths = spec.extra.iter().filter(|(key, _)| key.ends_with(".path"));
    files.extend(paths.map(|(key, path)| (format!("extra key {key}"), path.clone())));
    distinct("file", files)?;
    distinct("serial", disks(spec, |disk| disk.serial.to_string()))?;
    distinct("console", consoles(spec))?;
    distinct("MAC address", nics(spec, |nic| nic.mac.to_string()))?;
    distinct("tap interface", nics(spec, |nic| nic.tap.to_string()))
}

fn disks(spec: &VmSpec, value: impl Fn(&crate::Disk) -> String) -> Vec<Held> {
    let disks = spec.disks.iter().enumerate();
    disks
        .map(|(i, disk)| (format!("disks[{i}]"), value(disk)))
        .collect()
}

fn nics(spec: &VmSpec, value: impl Fn(&crate::Nic) -> String) -> Vec<Held> {
    let nics = spec.nics.iter().enumerate();
    nics.map(|(i, nic)| (format!("nics[{i}]"), value(nic)))
        .collect()
}

fn consoles(spec: &VmSpec) -> Vec<Held> {
    let consoles = spec.consoles.iter().enumerate();
    let tcp = consoles.filter(|(_, console)| matches!(console, Console::Tcp(_)));
    tcp.map(|(i, console)| (format!("consoles[{i}]"), console.to_string()))
        .collect()
}

fn distinct(what: &'static str, values: Vec<Held>) -> Result<(), SpecError> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (second, value) in values {
        if let Some(first) = seen.insert(value.clone(), second.clone()) {
            return Err(SpecError::Twice {
                what,
                value,
                first,
                second,
            });
        }
    }
    Ok(())
}

/// Whether the VMs of one host leave each other alone: bhyve locks nothing, and two guests that write to one disk
/// destroy it.
///
/// Disks that all their VMs only read may be shared, and so may firmware code and templates.
///
/// ```
/// # use bhyve_vm::{VmSpec, refuse_shared};
/// # let spec: VmSpec = toml::from_str(include_str!("../../tests/data/etcd-0.toml"))?;
/// let mut copy = spec.clone();
/// copy.name = "etcd-1".parse()?;
/// let error = refuse_shared(&[spec, copy]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "etcd-0 and etcd-1 have the same UUID: 8f5c2b7e-0a41-4a52-9d4c-0a1b2c3d4e5f"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The first name, UUID, written file, port, MAC address or tap that two VMs have.
pub fn refuse_shared(specs: &[VmSpec]) -> Result<(), SpecError> {
    distinct(
        "name",
        of_all(specs, |spec| vec![(String::new(), spec.name.to_string())]),
    )?;
    distinct(
        "UUID",
        of_all(specs, |spec| vec![(String::new(), spec.uuid.to_string())]),
    )?;
    written_files(specs)?;
    distinct("console", of_all(specs, consoles))?;
    let macs = |spec: &VmSpec| nics(spec, |nic| nic.mac.to_string());
    distinct("MAC address", of_all(specs, macs))?;
    let taps = |spec: &VmSpec| nics(spec, |nic| nic.tap.to_string());
    distinct("tap interface", of_all(specs, taps))
}

/// The values of each VM, their holders named after it.
fn of_all(specs: &[VmSpec], values: impl Fn(&VmSpec) -> Vec<Held>) -> Vec<Held> {
    let named = |spec: &VmSpec| {
        let name = spec.name.to_string();
        let label = move |part: String| match part.as_str() {
            "" => name.clone(),
            part => format!("{part} of {name}"),
        };
        let values = values(spec).into_iter();
        values
            .map(move |(part, value)| (label(part), value))
            .collect::<Vec<_>>()
    };
    specs.iter().flat_map(named).collect()
}

/// A file that one VM writes belongs to it alone.
fn written_files(specs: &[VmSpec]) -> Result<(), SpecError> {
    let mut owners: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for spec in specs {
        for (part, path, alone) in files_of(spec) {
            let second = format!("{part} of {}", spec.name);
            match owners.get(&path) {
                Some((first, theirs)) if alone || *theirs => {
                    return Err(SpecError::Twice {
                        what: "file",
                        value: path,
                        first: first.clone(),
                        second,
                    });
                }
                Some(_) => {}
                None => {
                    owners.insert(path, (second, alone));
                }
            }
        }
    }
    Ok(())
}

/// The files of a VM with their holders, and whether it needs each for itself.
fn files_of(spec: &VmSpec) -> Vec<(String, String, bool)> {
    let mut files = Vec::from([(
        "firmware.vars".to_owned(),
        spec.firmware.vars.to_string(),
        true,
    )]);
    files.extend(
        spec.seed
            .iter()
            .map(|path| ("seed".to_owned(), path.to_string(), true)),
    );
    let disks = spec.disks.iter().enumerate();
    files.extend(disks.map(|(i, disk)| {
        (
            format!("disks[{i}]"),
            disk.path.to_string(),
            !disk.read_only,
        )
    }));
    files
}
