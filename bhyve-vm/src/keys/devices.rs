//! The PCI devices that bhyve emulates, with their keys (bhyve_config(5), "DEVICE SETTINGS").

use super::{
    KeyError,
    catalogue::{AHCI_TYPE, NET_TYPE, NVME_DSM, NVME_SECTOR, USB, VGA, matches},
    kind::Kind,
};
use Kind::{
    Backend, Bool, Count, Integer, Listen, Mac, Number, OneOf, Path, Register, Sectors, Short, Tty,
    Word,
};

/// A key of a device, `N` standing for any number.
type Entry = (&'static str, Kind);

/// What bhyve emulates under one name.
pub(crate) struct Model {
    /// The value of the key `device`.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) what: &'static str,
    keys: &'static [&'static [Entry]],
    /// Sets of keys, one of which must be there whole; none if nothing is needed.
    pub(crate) needs: &'static [&'static [&'static str]],
}

const BLOCK: &[Entry] = &[
    ("path", Path),
    ("nocache", Bool),
    ("nodelete", Bool),
    ("sync", Bool),
    ("direct", Bool),
    ("ro", Bool),
    ("sectorsize", Sectors),
    ("bootindex", Number),
];
const NET: &[Entry] = &[
    ("backend", Backend),
    ("type", OneOf(NET_TYPE)),
    ("mac", Mac),
    ("path", Word),
    ("peerhook", Word),
    ("socket", Word),
    ("hook", Word),
    ("hostfwd", Word),
    ("open", Bool),
    ("bootindex", Number),
];
const AHCI: &[Entry] = &[
    ("port.N.type", OneOf(AHCI_TYPE)),
    ("port.N.nmrr", Number),
    ("port.N.ser", Short(20)),
    ("port.N.rev", Short(8)),
    ("port.N.model", Short(40)),
    ("port.N.path", Path),
    ("port.N.nocache", Bool),
    ("port.N.nodelete", Bool),
    ("port.N.sync", Bool),
    ("port.N.direct", Bool),
    ("port.N.ro", Bool),
    ("port.N.sectorsize", Sectors),
    ("port.N.bootindex", Number),
];
const NVME: &[Entry] = &[
    ("maxq", Count),
    ("qsz", Count),
    ("ioslots", Count),
    ("sectsz", OneOf(NVME_SECTOR)),
    ("ser", Short(20)),
    ("eui64", Integer),
    ("dsm", OneOf(NVME_DSM)),
    ("ram", Count),
];
const FBUF: &[Entry] = &[
    ("tcp", Listen),
    ("rfb", Listen),
    ("w", Count),
    ("h", Count),
    ("vga", OneOf(VGA)),
    ("wait", Bool),
    ("password", Word),
];
const HOSTBRIDGE: &[Entry] = &[("pcireg.vendor", Register), ("pcireg.device", Register)];
const PASSTHRU: &[Entry] = &[
    ("bus", Number),
    ("slot", Number),
    ("func", Number),
    ("pptdev", Word),
    ("rom", Path),
    ("bootindex", Number),
];
const PORTS: &[Entry] = &[("port.N.name", Word), ("port.N.path", Path)];
const SHARE: &[Entry] = &[("sharename", Word), ("path", Path), ("ro", Bool)];
const SCSI: &[Entry] = &[("dev", Path), ("iid", Number), ("bootindex", Number)];
const SERIAL: &[Entry] = &[("ser", Short(20)), ("serial", Short(20))];

/// In the order of the alphabet.
pub(crate) const MODELS: &[Model] = &[
    model("ahci", "SATA controller", &[AHCI], &[]),
    model("e1000", "emulated Intel network card", &[NET], &[]),
    model("fbuf", "frame buffer for VNC", &[FBUF], &[]),
    model(
        "hda",
        "sound card",
        &[&[("play", Path), ("rec", Path)]],
        &[],
    ),
    model("hostbridge", "host bridge", &[HOSTBRIDGE], &[]),
    model("lpc", "LPC bridge", &[], &[]),
    model("nvme", "NVMe disk", &[BLOCK, NVME], &[&["path"], &["ram"]]),
    model(
        "passthru",
        "device of the host",
        &[PASSTHRU],
        &[&["bus", "slot", "func"], &["pptdev"]],
    ),
    model("uart", "PCI serial port", &[&[("path", Tty)]], &[]),
    model(
        "virtio-9p",
        "shared directory",
        &[SHARE],
        &[&["sharename", "path"]],
    ),
    model("virtio-blk", "virtio disk", &[BLOCK, SERIAL], &[&["path"]]),
    model("virtio-console", "virtio console", &[PORTS], &[]),
    model(
        "virtio-input",
        "input device of the host",
        &[&[("path", Path)]],
        &[&["path"]],
    ),
    model(
        "virtio-net",
        "virtio network card",
        &[NET, &[("mtu", Count)]],
        &[],
    ),
    model("virtio-rnd", "source of random numbers", &[], &[]),
    model("virtio-scsi", "SCSI target of the host", &[SCSI], &[]),
    model(
        "xhci",
        "USB controller",
        &[&[("slot.N.device", OneOf(USB))]],
        &[],
    ),
];

const fn model(
    name: &'static str,
    what: &'static str,
    keys: &'static [&'static [Entry]],
    needs: &'static [&'static [&'static str]],
) -> Model {
    Model {
        name,
        what,
        keys,
        needs,
    }
}

impl Model {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    pub(crate) fn kind_of(&self, key: &str) -> Option<Kind> {
        let mut entries = self.keys.iter().copied().flatten();
        entries
            .find(|(pattern, _)| matches(pattern, key))
            .map(|(_, kind)| *kind)
    }

    /// The error for a key that this device does not have.
    pub(crate) fn lacks(&self, key: String) -> KeyError {
        KeyError::NotOfDevice {
            key,
            device: self.name,
            known: self.known(),
        }
    }

    fn known(&self) -> String {
        let names: Vec<&str> = self
            .keys
            .iter()
            .copied()
            .flatten()
            .map(|(key, _)| *key)
            .collect();
        if names.is_empty() {
            return "none".to_owned();
        }
        names.join(", ")
    }

    /// The names of all devices, for an error.
    pub(crate) fn names() -> String {
        MODELS.iter().map(|m| m.name).collect::<Vec<_>>().join(", ")
    }
}

/// `pci.BUS.SLOT.FUNCTION` of a key, and the rest of it.
pub(crate) fn split(key: &str) -> Option<(Place, &str)> {
    let mut parts = key.strip_prefix("pci.")?.splitn(4, '.');
    let mut number = |most: u8| {
        let number = super::kind::decimal(parts.next()?)?;
        u8::try_from(number).ok().filter(|n| *n <= most)
    };
    let place = Place {
        bus: number(255)?,
        slot: number(31)?,
        function: number(7)?,
    };
    Some((place, parts.next()?))
}

/// Where a PCI device sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) bus: u8,
    pub(crate) slot: u8,
    pub(crate) function: u8,
}

impl Place {
    /// A key of the device there.
    pub(crate) fn key(self, name: &str) -> String {
        format!("pci.{}.{}.{}.{name}", self.bus, self.slot, self.function)
    }
}
