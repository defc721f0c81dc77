//! The checked form of a specification, from which everything is printed.

mod twins;

pub use twins::refuse_shared;

use crate::{
    Device, Firmware, KeyError, KeyTree, Release, Slot, Topology, Uuid, VmName, VmSpec, print,
    slots,
};
use std::{collections::BTreeMap, num::NonZeroU32, ops::RangeInclusive};

/// A VM whose devices have their slots and contradict each other nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTree {
    pub(crate) name: VmName,
    pub(crate) uuid: Uuid,
    pub(crate) cpus: Topology,
    pub(crate) memory_mib: NonZeroU32,
    pub(crate) firmware: Firmware,
    /// What the serial ports are connected with, com1 first.
    pub(crate) consoles: Vec<String>,
    pub(crate) devices: BTreeMap<Slot, Device>,
    pub(crate) extra: BTreeMap<String, String>,
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
    /// More memory than a guest can address.
    #[error(
        "memory_mib: {memory_mib} MiB are more than {} MiB, all that a guest can address",
        VmSpec::MAX_MEMORY_MIB
    )]
    TooMuchMemory {
        /// The memory.
        memory_mib: u32,
    },
    /// More serial ports than a PC has.
    #[error("consoles: {consoles} serial ports are more than 4 (com1 to com4)")]
    TooManyConsoles {
        /// How many.
        consoles: usize,
    },
    /// A file that is not what the field is for.
    #[error("firmware.{field} {path}: {problem}")]
    Firmware {
        /// `code` or `vars_template`.
        field: &'static str,
        /// The file.
        path: String,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
    /// An extra key that bhyve does not know, or that changes what the specification says.
    #[error("extra: {cause}{}", extra_remedy(cause))]
    Extra {
        /// What is wrong with the key.
        cause: KeyError,
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
        /// `file`, `serial`, `MAC address` or `tap interface`; between VMs also `name` and `UUID`.
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
    /// A slot, a file, a serial, a MAC address or a tap used twice; too many devices, processors or serial ports, too
    /// much memory; a firmware file that is not one; an extra key that no release knows or that is set already.
    /// Whether the host has what is named is *not* known here.
    pub fn new(spec: &VmSpec) -> Result<Self, SpecError> {
        refuse_excess(spec)?;
        refuse_firmware(&spec.firmware)?;
        twins::within(spec)?;
        let consoles = spec.consoles.iter().zip(1..);
        let tree = Self {
            name: spec.name.clone(),
            uuid: spec.uuid.clone(),
            cpus: spec.cpus,
            memory_mib: spec.memory_mib,
            firmware: spec.firmware.clone(),
            consoles: consoles
                .map(|(c, number)| c.backend(&spec.name, number))
                .collect(),
            devices: slots::assign(spec)?,
            extra: spec.extra.clone(),
        };
        // An extra key may belong to one release only; which one the host has is not known yet.
        match (tree.supports(Release::V15), tree.supports(Release::V14)) {
            (Err(cause), Err(_)) => Err(SpecError::Extra { cause }),
            _ => Ok(tree),
        }
    }

    /// Whether bhyve of a release has all keys of this VM. Only extra keys can be foreign to one.
    ///
    /// # Errors
    ///
    /// The first key that it lacks, with what to write instead.
    pub fn supports(&self, release: Release) -> Result<(), KeyError> {
        let mut keys: KeyTree = print::keys_without_extra(self, release);
        for (key, value) in &self.extra {
            keys.set(key, value)?;
        }
        keys.check()
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

impl VmSpec {
    /// The same specification with the slot of each disk and network card stored in it, so that none moves when others
    /// are added or removed before it.
    ///
    /// ```
    /// # use bhyve_vm::VmSpec;
    /// # let spec: VmSpec = toml::from_str(include_str!("../tests/data/etcd-0.toml"))?;
    /// assert_eq!(spec.disks[0].slot, None);
    /// let stored = spec.with_slots()?;
    /// assert_eq!(stored.disks[0].slot.map(u8::from), Some(2));
    /// assert_eq!(stored.clone().with_slots()?, stored);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DeviceTree::new`].
    pub fn with_slots(mut self) -> Result<Self, SpecError> {
        let tree = DeviceTree::new(&self)?;
        let slot_of = |wanted: &Device| {
            let mut all = tree.devices.iter();
            all.find(|(_, device)| *device == wanted)
                .map(|(slot, _)| *slot)
        };
        for disk in &mut self.disks {
            disk.slot = slot_of(&slots::block(disk));
        }
        for nic in &mut self.nics {
            nic.slot = slot_of(&slots::net(nic));
        }
        Ok(self)
    }
}

fn refuse_excess(spec: &VmSpec) -> Result<(), SpecError> {
    let (cpus, memory_mib) = (spec.cpus.cpus(), spec.memory_mib.get());
    if cpus > DeviceTree::MAX_CPUS {
        return Err(SpecError::TooManyCpus { cpus });
    }
    if memory_mib > VmSpec::MAX_MEMORY_MIB {
        return Err(SpecError::TooMuchMemory { memory_mib });
    }
    match spec.consoles.len() {
        0..=4 => Ok(()),
        consoles => Err(SpecError::TooManyConsoles { consoles }),
    }
}

/// The files of the package `edk2-bhyve` that are easily taken for each other. A file of another name is somebody's
/// own build, of which nothing is known here.
fn refuse_firmware(firmware: &Firmware) -> Result<(), SpecError> {
    let file = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let (code, vars) = (firmware.code.as_str(), firmware.vars_template.as_str());
    let refused = |field, path: &str, problem| {
        let path = path.to_owned();
        Err(SpecError::Firmware {
            field,
            path,
            problem,
        })
    };
    match file(code).as_str() {
        "BHYVE_UEFI.fd" => refused(
            "code",
            code,
            "holds code and variables in one, so that variables of the VM's own would not fit; take BHYVE_UEFI_CODE.fd",
        ),
        "BHYVE_UEFI_CSM.fd" => refused(
            "code",
            code,
            "is the old build for systems without UEFI and keeps no variables; take BHYVE_UEFI_CODE.fd",
        ),
        "BHYVE_UEFI_VARS.fd" => refused("code", code, "holds variables; take BHYVE_UEFI_CODE.fd"),
        _ if file(vars) == "BHYVE_UEFI_CODE.fd" => {
            refused("vars_template", vars, "holds code; take BHYVE_UEFI_VARS.fd")
        }
        _ => Ok(()),
    }
}

fn extra_remedy(error: &KeyError) -> &'static str {
    match error {
        KeyError::Twice { .. } => ": the specification says it already",
        _ => "",
    }
}
