//! Which device sits in which PCI slot.

use crate::{
    Disk, DiskSerial, HostPath, InvalidValue, MacAddress, Nic, SectorSizes, SpecError, TapName,
    VmSpec, keys::devices::split,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

/// A slot of PCI bus 0, function 0: 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Slot(u8);

impl Slot {
    /// The highest slot (PCI Local Bus 3.0: 5 bits of device number).
    pub const MAX: u8 = 31;

    const HOSTBRIDGE: Self = Self(0);
    const RANDOM: Self = Self(1);
    /// After the disks, so that the guest's first disk is `vda`.
    const SEED: Self = Self(15);
    const LPC: Self = Self(31);

    /// Disks and network cards have a range each, so that adding one of a kind moves none of the other:
    /// the guest's interface names depend on the slot.
    const DISKS: RangeInclusive<u8> = 2..=14;
    const NICS: RangeInclusive<u8> = 16..=27;

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Slot {
    type Error = InvalidValue;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number <= Self::MAX {
            return Ok(Self(number));
        }
        Err(InvalidValue {
            field: "PCI slot",
            value: number.to_string(),
            rule: "must be 0 to 31",
        })
    }
}

impl From<Slot> for u8 {
    fn from(slot: Slot) -> Self {
        slot.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A device with all that bhyve is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The bridge between processor and PCI bus, which every VM has.
    Hostbridge,
    /// A source of random numbers, without which a fresh guest waits long for its first key.
    Random,
    /// A disk.
    Block {
        /// What holds it.
        path: HostPath,
        /// How the guest finds it; none for the seed, which is found by its label.
        serial: Option<DiskSerial>,
        /// Its sectors; none leaves them to bhyve.
        sectors: Option<SectorSizes>,
        /// Whether the guest may only read it.
        read_only: bool,
    },
    /// A network card.
    Net {
        /// The host's end.
        tap: TapName,
        /// The guest's address.
        mac: MacAddress,
    },
    /// The bridge to the old devices: serial ports and firmware.
    Lpc,
}

/// The devices of a VM by slot: the fixed ones, those with a stored slot, then the others in order.
pub(crate) fn assign(spec: &VmSpec) -> Result<BTreeMap<Slot, Device>, SpecError> {
    let mut slots = Slots::of_others(spec);
    slots.put(Slot::HOSTBRIDGE, Device::Hostbridge, "hostbridge".into())?;
    if spec.random {
        slots.put(Slot::RANDOM, Device::Random, "random source".into())?;
    }
    slots.put(Slot::LPC, Device::Lpc, "lpc".into())?;
    if let Some(path) = &spec.seed {
        slots.put(Slot::SEED, seed(path), "seed".into())?;
    }
    let disks = || {
        spec.disks
            .iter()
            .enumerate()
            .map(|(i, d)| (format!("disks[{i}]"), d.slot, block(d)))
    };
    let nics = || {
        spec.nics
            .iter()
            .enumerate()
            .map(|(i, n)| (format!("nics[{i}]"), n.slot, net(n)))
    };
    for (label, slot, device) in disks().chain(nics()) {
        if let Some(slot) = slot {
            slots.put(slot, device, label)?;
        }
    }
    for (label, slot, device) in disks() {
        if slot.is_none() {
            slots.put_in(Slot::DISKS, device, label)?;
        }
    }
    for (label, slot, device) in nics() {
        if slot.is_none() {
            slots.put_in(Slot::NICS, device, label)?;
        }
    }
    Ok(slots
        .taken
        .into_iter()
        .map(|(slot, (device, _))| (slot, device))
        .collect())
}

fn seed(path: &HostPath) -> Device {
    Device::Block {
        path: path.clone(),
        serial: None,
        sectors: None,
        read_only: true,
    }
}

pub(crate) fn block(disk: &Disk) -> Device {
    Device::Block {
        path: disk.path.clone(),
        serial: Some(disk.serial.clone()),
        sectors: Some(disk.sectors),
        read_only: disk.read_only,
    }
}

pub(crate) fn net(nic: &Nic) -> Device {
    Device::Net {
        tap: nic.tap.clone(),
        mac: nic.mac.clone(),
    }
}

/// Slots in use, with the words by which an error names their holder.
struct Slots {
    taken: BTreeMap<Slot, (Device, String)>,
    /// Those of devices that only the extra keys name.
    others: BTreeMap<Slot, String>,
}

impl Slots {
    fn of_others(spec: &VmSpec) -> Self {
        let place = |key: &String| match split(key)? {
            (place, "device") if (place.bus, place.function) == (0, 0) => {
                Some((Slot(place.slot), format!("extra key {key}")))
            }
            _ => None,
        };
        Self {
            taken: BTreeMap::new(),
            others: spec.extra.keys().filter_map(place).collect(),
        }
    }

    fn holder(&self, slot: Slot) -> Option<&String> {
        let ours = self.taken.get(&slot).map(|(_, label)| label);
        ours.or_else(|| self.others.get(&slot))
    }

    fn put(&mut self, slot: Slot, device: Device, label: String) -> Result<(), SpecError> {
        if let Some(holder) = self.holder(slot) {
            return Err(SpecError::SlotInUse {
                slot,
                holder: holder.clone(),
                wanted_by: label,
            });
        }
        self.taken.insert(slot, (device, label));
        Ok(())
    }

    fn put_in(
        &mut self,
        range: RangeInclusive<u8>,
        device: Device,
        label: String,
    ) -> Result<(), SpecError> {
        let free = range
            .clone()
            .map(Slot)
            .find(|slot| self.holder(*slot).is_none());
        match free {
            Some(slot) => self.put(slot, device, label),
            None => Err(SpecError::NoSlotLeft {
                range,
                wanted_by: label,
            }),
        }
    }
}
