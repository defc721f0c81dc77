//! What is asked for: the only types that are read from outside.

mod console;

pub use console::Console;

use crate::{
    BridgeName, DiskSerial, HostPath, InvalidValue, MacAddress, Slot, TapName, Uuid, VmName,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
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
    /// Where its serial ports go, com1 first: four at most. The guest's kernel line names one (`console=ttyS0`).
    #[serde(default = "Console::usual")]
    pub consoles: Vec<Console>,
    /// Whether it has a source of random numbers, without which a fresh guest waits long for its first key.
    #[serde(default = "yes")]
    pub random: bool,
    /// When a VM that ended is started again.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How it is stopped.
    #[serde(default)]
    pub stop: StopPolicy,
    /// Its turn when several are started: lower numbers first, equal ones together; the reverse when they stop.
    #[serde(default)]
    pub start_order: u16,
    /// Further keys of bhyve_config(5), such as `pci.enable_bars` for old firmware on FreeBSD 15. They are checked
    /// like all others and may not change what this specification says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

impl VmSpec {
    /// The most memory, in MiB: 256 TiB, the 48 bits of address that page tables of four levels map
    /// (Intel SDM volume 3, "EPT Translation Mechanism").
    pub const MAX_MEMORY_MIB: u32 = 1 << 28;
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

/// How long each step of a stop waits for the guest before the next, harder one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopPolicy {
    /// From the first press of the power button to the second, in seconds: a busy guest misses the first.
    pub press_again_s: u32,
    /// From the second press to the power being cut, in seconds.
    pub grace_s: u32,
    /// From cutting the power to killing bhyve, in seconds.
    pub kill_after_s: u32,
}

impl Default for StopPolicy {
    /// 2, 90 and 5 seconds: systemd gives a service 90 seconds to stop.
    fn default() -> Self {
        Self {
            press_again_s: 2,
            grace_s: 90,
            kill_after_s: 5,
        }
    }
}
