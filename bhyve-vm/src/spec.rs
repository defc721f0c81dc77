//! What is asked for: the only types that are read from outside.

use crate::{
    BridgeName, DiskSerial, HostPath, InvalidValue, MacAddress, Slot, TapName, Uuid, VmName,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    num::{NonZeroU8, NonZeroU32},
    str::FromStr,
};

/// One virtual machine.
///
/// Each value is legal by itself; what contradicts another is found by [`DeviceTree::new`](crate::DeviceTree::new).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmSpec {
    /// Its name; also the name of its node `/dev/vmm/NAME`.
    pub name: VmName,
    /// Its identity as the guest sees it.
    pub uuid: Uuid,
    /// Its processors.
    pub cpus: Topology,
    /// Its memory, in MiB. The host takes it as the guest touches it; nothing is reserved.
    pub memory_mib: NonZeroU32,
    /// What runs before the guest's system.
    pub firmware: Firmware,
    /// Its disks; the guest sees them as `vda`, `vdb`, ... in the order of their slots, the seed after them.
    pub disks: Vec<Disk>,
    /// Its network cards.
    pub nics: Vec<Nic>,
    /// The cloud-init seed (NoCloud), attached as a read-only disk.
    ///
    /// Not as a CD: the kernels of some cloud images have no driver for bhyve's.
    #[serde(default)]
    pub seed: Option<HostPath>,
    /// Where its first serial port goes.
    #[serde(default)]
    pub console: Console,
    /// When a VM that ended is started again.
    #[serde(default)]
    pub restart: RestartPolicy,
}

/// How the processors are shown to the guest. Their number is the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Packages.
    pub sockets: NonZeroU8,
    /// Cores per package.
    pub cores: NonZeroU8,
    /// Threads per core.
    pub threads: NonZeroU8,
}

impl Topology {
    /// One package with `cores` cores of one thread each: what a guest schedules best on.
    pub const fn cores(cores: NonZeroU8) -> Self {
        Self {
            sockets: NonZeroU8::MIN,
            cores,
            threads: NonZeroU8::MIN,
        }
    }

    /// The number of virtual processors.
    pub fn cpus(self) -> u32 {
        [self.sockets, self.cores, self.threads]
            .map(|n| u32::from(n.get()))
            .iter()
            .product()
    }
}

/// UEFI firmware: the package's code, and variables of this VM's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// The code, shared by all VMs, such as [`Firmware::EDK2_CODE`].
    pub code: HostPath,
    /// The package's variables, copied once when the VM is made, such as [`Firmware::EDK2_VARS`].
    pub vars_template: HostPath,
    /// This VM's copy of the variables. The guest writes into it, so it must not be the package's template.
    pub vars: HostPath,
}

impl Firmware {
    /// Where the FreeBSD package `edk2-bhyve` puts the code.
    pub const EDK2_CODE: &str = "/usr/local/share/uefi-firmware/BHYVE_UEFI_CODE.fd";
    /// Where it puts the template of the variables.
    pub const EDK2_VARS: &str = "/usr/local/share/uefi-firmware/BHYVE_UEFI_VARS.fd";
}

/// A virtio disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// The file or the volume that holds it. bhyve does not lock it: no other VM may have it.
    pub path: HostPath,
    /// How the guest finds it.
    pub serial: DiskSerial,
    /// Its sectors.
    #[serde(default)]
    pub sectors: SectorSizes,
    /// Whether the guest may only read it.
    #[serde(default)]
    pub read_only: bool,
    /// Its slot, where it was stored; else the first free one for disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
}

/// A virtio network card on a tap interface, which is a member of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The address that the guest sees.
    pub mac: MacAddress,
    /// The host's end.
    pub tap: TapName,
    /// The bridge that the host's end belongs to.
    pub bridge: BridgeName,
    /// Its slot, where it was stored; else the first free one for network cards. The guest names the interface
    /// after it (`enp0s16` in slot 16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
}

/// Logical and physical sector size in bytes, written `512/4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SectorSizes {
    logical: u32,
    physical: u32,
}

impl Default for SectorSizes {
    /// 512/4096: cloud images are partitioned for 512 bytes, and today's disks write 4096 at once.
    fn default() -> Self {
        Self {
            logical: 512,
            physical: 4096,
        }
    }
}

impl FromStr for SectorSizes {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = |part: &str| {
            let size: u32 = part.parse().ok()?;
            // The limits are block_if.c's; the text must be what we print, so no sign and no leading zero.
            (size >= 512 && size.is_power_of_two() && size.to_string() == part).then_some(size)
        };
        let sizes = text
            .split_once('/')
            .and_then(|(l, p)| Some((size(l)?, size(p)?)));
        match sizes {
            Some((logical, physical)) if logical <= physical => Ok(Self { logical, physical }),
            _ => Err(InvalidValue {
                field: "sector size",
                value: text.to_owned(),
                rule: "must be LOGICAL/PHYSICAL, powers of two from 512, the first not above the second",
            }),
        }
    }
}

impl TryFrom<String> for SectorSizes {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SectorSizes> for String {
    fn from(sizes: SectorSizes) -> Self {
        sizes.to_string()
    }
}

impl fmt::Display for SectorSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.logical, self.physical)
    }
}

/// Where the first serial port of a VM goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Console {
    /// To the null-modem device named after the VM, `/dev/nmdm-NAMEA`; a reader opens the same with `B`.
    #[default]
    Nmdm,
    /// Nowhere: the VM has no serial port.
    None,
}

/// How often a VM is started again before it counts as broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartPolicy {
    /// At most so many restarts ...
    pub restarts: u32,
    /// ... within so many seconds.
    pub within_s: u32,
    /// The pause before the first restart after a crash, in seconds; it doubles with each further one.
    /// A reboot that the guest asked for has no pause.
    pub pause_s: u32,
}

impl Default for RestartPolicy {
    /// Five within ten minutes, a second apart at first: a guest that reboots for an upgrade passes, a storm does not.
    fn default() -> Self {
        Self {
            restarts: 5,
            within_s: 600,
            pause_s: 1,
        }
    }
}
