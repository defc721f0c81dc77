//! The keys outside of PCI devices (bhyve_config(5)), with the releases that know them.

use super::{Release, kind::Kind};
use Available::{Always, Moved, Since15, Since16};
use Kind::{Bool, Count, Cpuset, Memory, Name, OneOf, Path, Port, Register, Text, Tty, Uuid, Word};

/// Which releases know a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Available {
    Always,
    /// FreeBSD 15 has it; in 14 another key does the same, or none.
    Since15(Option<&'static str>),
    /// FreeBSD 14 has it; in 15 it is an old name of another, taken with a warning.
    Moved(&'static str),
    /// Neither 14 nor 15 has it.
    Since16,
}

/// A key, `N` standing for any number.
pub(crate) type Entry = (&'static str, Kind, Available);

pub(crate) const FWCFG: &[&str] = &["bhyve", "qemu"];
pub(crate) const TPM: &[&str] = &["passthru", "swtpm"];
pub(crate) const TPM_VERSION: &[&str] = &["2.0"];
pub(crate) const AHCI_TYPE: &[&str] = &["hd", "cd"];
pub(crate) const NVME_SECTOR: &[&str] = &["512", "4096", "8192"];
pub(crate) const NVME_DSM: &[&str] = &["auto", "enable", "disable"];
pub(crate) const VGA: &[&str] = &["io", "on", "off"];
pub(crate) const USB: &[&str] = &["tablet"];
pub(crate) const NET_TYPE: &[&str] = &["tap", "vmnet", "netgraph", "netmap", "vale", "slirp"];

/// The closed sets of words, each as an error says it.
pub(crate) const SETS: &[(&[&str], &str)] = &[
    (FWCFG, "one of bhyve, qemu"),
    (TPM, "one of passthru, swtpm"),
    (TPM_VERSION, "2.0, the only version that bhyve knows"),
    (AHCI_TYPE, "one of hd, cd"),
    (NVME_SECTOR, "one of 512, 4096, 8192"),
    (NVME_DSM, "one of auto, enable, disable"),
    (VGA, "one of io, on, off"),
    (USB, "a USB device: tablet"),
    (NET_TYPE, "one of tap, vmnet, netgraph, netmap, vale, slirp"),
];

/// In the order of bhyve_config(5).
pub(crate) const GLOBAL: &[Entry] = &[
    ("name", Name, Always),
    ("cpus", Count, Always),
    ("cores", Count, Always),
    ("threads", Count, Always),
    ("sockets", Count, Always),
    ("monitor", Bool, Since16),
    ("rundir", Path, Since16),
    ("memory.guest_in_core", Bool, Always),
    ("memory.size", Memory, Always),
    ("memory.wired", Bool, Always),
    ("acpi_tables", Bool, Always),
    ("destroy_on_poweroff", Bool, Always),
    ("gdb.address", Word, Always),
    ("gdb.port", Port, Always),
    ("gdb.wait", Bool, Always),
    ("keyboard.layout", Word, Always),
    ("rtc.use_localtime", Bool, Always),
    ("uuid", Uuid, Always),
    ("virtio_msix", Bool, Always),
    ("config.dump", Bool, Always),
    ("bios.vendor", Text, Always),
    ("bios.version", Text, Always),
    ("bios.release_date", Text, Always),
    ("system.family_name", Text, Always),
    ("system.manufacturer", Text, Always),
    ("system.product_name", Text, Always),
    ("system.serial_number", Text, Always),
    ("system.sku", Text, Always),
    ("system.version", Text, Always),
    ("board.manufacturer", Text, Always),
    ("board.product_name", Text, Always),
    ("board.version", Text, Always),
    ("board.serial_number", Text, Always),
    ("board.asset_tag", Text, Always),
    ("board.location", Text, Always),
    ("chassis.manufacturer", Text, Always),
    ("chassis.version", Text, Always),
    ("chassis.serial_number", Text, Always),
    ("chassis.asset_tag", Text, Always),
    ("chassis.sku", Text, Always),
    ("x86.mptable", Bool, Always),
    ("x86.x2apic", Bool, Always),
    ("x86.strictio", Bool, Always),
    ("x86.strictmsr", Bool, Always),
    ("x86.verbosemsr", Bool, Always),
    ("x86.vmexit_on_hlt", Bool, Always),
    ("x86.vmexit_on_pause", Bool, Always),
    ("vcpu.N.cpuset", Cpuset, Always),
    ("domains.N.size", Memory, Since15(None)),
    ("domains.N.cpus", Cpuset, Since15(None)),
    ("domains.N.domain_policy", Word, Since15(None)),
    ("bootrom", Path, Since15(Some("lpc.bootrom"))),
    ("bootvars", Path, Since15(Some("lpc.bootvars"))),
    ("lpc.bootrom", Path, Moved("bootrom")),
    ("lpc.bootvars", Path, Moved("bootvars")),
    ("lpc.com1.path", Tty, Always),
    ("lpc.com2.path", Tty, Always),
    ("lpc.com3.path", Tty, Always),
    ("lpc.com4.path", Tty, Always),
    ("lpc.fwcfg", OneOf(FWCFG), Always),
    ("lpc.pc-testdev", Bool, Always),
    ("lpc.pcireg.vendor", Register, Always),
    ("lpc.pcireg.device", Register, Always),
    ("lpc.pcireg.revid", Register, Always),
    ("lpc.pcireg.subvendor", Register, Always),
    ("lpc.pcireg.subdevice", Register, Always),
    ("tpm.type", OneOf(TPM), Always),
    ("tpm.path", Path, Always),
    ("tpm.version", OneOf(TPM_VERSION), Always),
    ("pci.enable_bars", Bool, Since15(None)),
];

/// The kind of a key outside of PCI devices.
pub(super) fn find(key: &str) -> Option<(Kind, Available)> {
    GLOBAL
        .iter()
        .find(|(pattern, ..)| matches(pattern, key))
        .map(|(_, kind, available)| (*kind, *available))
}

/// Whether a key is one of a pattern, in which `N` stands for a number without leading zeros.
pub(super) fn matches(pattern: &str, key: &str) -> bool {
    let mut parts = key.split('.');
    pattern.split('.').all(|wanted| match parts.next() {
        Some(part) if wanted == "N" => super::kind::decimal(part).is_some(),
        part => part == Some(wanted),
    }) && parts.next().is_none()
}

/// The keys that share the first part of an unknown one, or the first parts of all.
pub(super) fn known_near(key: &str, release: Release) -> String {
    let group = key.split('.').next().unwrap_or_default();
    let in_release = |available: &Available| match available {
        Always => true,
        Since15(_) => release >= Release::V15,
        Moved(_) => release < Release::V15,
        Since16 => false,
    };
    let known = GLOBAL
        .iter()
        .filter(|(.., available)| in_release(available));
    let near: Vec<&str> = known
        .clone()
        .map(|(pattern, ..)| *pattern)
        .filter(|pattern| pattern.split('.').next() == Some(group))
        .collect();
    if !near.is_empty() && group != "pci" {
        return near.join(", ");
    }
    let mut groups: Vec<&str> = Vec::new();
    for first in known.map(|(pattern, ..)| pattern.split('.').next().unwrap_or_default()) {
        if !groups.contains(&first) {
            groups.push(first);
        }
    }
    groups.join(", ")
}
