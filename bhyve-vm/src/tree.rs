//! The checked form of a specification, from which everything is printed.

use crate::{Console, Device, Firmware, HostPath, Slot, Topology, Uuid, VmName, VmSpec, slots};
use std::{collections::BTreeMap, num::NonZeroU32, ops::RangeInclusive};

/// A VM whose devices have their slots and contradict each other nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTree {
    pub(crate) name: VmName,
    pub(crate) uuid: Uuid,
    pub(crate) cpus: Topology,
    pub(crate) memory_mib: NonZeroU32,
    pub(crate) firmware: Firmware,
    /// What the first serial port is connected with.
    pub(crate) com1: Option<HostPath>,
    pub(crate) devices: BTreeMap<Slot, Device>,
}

/// A specification that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// More processors than bhyve can number.
    #[error(
        "cpus: {cpus} virtual processors (sockets x cores x threads) are more than {}",
        DeviceTree::MAX_CPUS
    )]
    TooManyCpus {
        /// The product.
        cpus: u32,
    },
    /// Two devices want one slot.
    #[error(
        "slot {slot} of {wanted_by} is taken by {holder}; give it another, or none to have one chosen"
    )]
    SlotInUse {
        /// The slot.
        slot: Slot,
        /// What has it.
        holder: String,
        /// What wants it too.
        wanted_by: String,
    },
    /// More devices of a kind than slots.
    #[error("no slot from {} to {} is left for {wanted_by}", .range.start(), .range.end())]
    NoSlotLeft {
        /// The slots for this kind of device.
        range: RangeInclusive<u8>,
        /// What found none.
        wanted_by: String,
    },
    /// Two parts name the same thing, of which only one can have it.
    #[error("{first} and {second} have the same {what}: {value}")]
    Twice {
        /// `file`, `serial`, `MAC address` or `tap interface`.
        what: &'static str,
        /// Their common value.
        value: String,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
}

impl DeviceTree {
    /// The most processors that a VM can have without x2APIC mode, which is never switched on here: 8 bits of
    /// APIC number, of which 255 means all.
    pub const MAX_CPUS: u32 = 255;

    /// Checks a specification and gives each device its slot.
    ///
    /// # Errors
    ///
    /// A slot, a file, a serial, a MAC address or a tap used twice; too many devices or processors.
    /// Whether the host has what is named is *not* known here.
    pub fn new(spec: &VmSpec) -> Result<Self, SpecError> {
        let cpus = spec.cpus.cpus();
        if cpus > Self::MAX_CPUS {
            return Err(SpecError::TooManyCpus { cpus });
        }
        refuse_twins(spec)?;
        Ok(Self {
            name: spec.name.clone(),
            uuid: spec.uuid.clone(),
            cpus: spec.cpus,
            memory_mib: spec.memory_mib,
            firmware: spec.firmware.clone(),
            com1: match spec.console {
                Console::Nmdm => Some(spec.name.console_device()),
                Console::None => None,
            },
            devices: slots::assign(spec)?,
        })
    }

    /// The name of the VM.
    pub fn name(&self) -> &VmName {
        &self.name
    }

    /// The devices by slot.
    pub fn devices(&self) -> &BTreeMap<Slot, Device> {
        &self.devices
    }
}

fn refuse_twins(spec: &VmSpec) -> Result<(), SpecError> {
    let disks = || {
        spec.disks
            .iter()
            .enumerate()
            .map(|(i, disk)| (format!("disks[{i}]"), disk))
    };
    let nics = || {
        spec.nics
            .iter()
            .enumerate()
            .map(|(i, nic)| (format!("nics[{i}]"), nic))
    };
    let firmware = [
        (
            "firmware.vars_template".to_owned(),
            spec.firmware.vars_template.as_str(),
        ),
        ("firmware.code".to_owned(), spec.firmware.code.as_str()),
        ("firmware.vars".to_owned(), spec.firmware.vars.as_str()),
    ];
    let seed = spec
        .seed
        .iter()
        .map(|path| ("seed".to_owned(), path.as_str()));
    let files = firmware
        .into_iter()
        .chain(seed)
        .chain(disks().map(|(l, d)| (l, d.path.as_str())));
    distinct("file", files)?;
    distinct("serial", disks().map(|(l, d)| (l, d.serial.as_str())))?;
    distinct("MAC address", nics().map(|(l, n)| (l, n.mac.as_str())))?;
    distinct("tap interface", nics().map(|(l, n)| (l, n.tap.as_str())))
}

fn distinct<'a>(
    what: &'static str,
    values: impl Iterator<Item = (String, &'a str)>,
) -> Result<(), SpecError> {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (second, value) in values {
        if let Some(first) = seen.insert(value, second.clone()) {
            return Err(SpecError::Twice {
                what,
                value: value.to_owned(),
                first,
                second,
            });
        }
    }
    Ok(())
}
