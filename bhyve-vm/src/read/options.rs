//! The options of bhyve(8).

/// An option, its meaning, and what it sets if it has no value.
pub(super) struct OptionSpec {
    pub(super) letter: char,
    pub(super) meaning: &'static str,
    pub(super) form: Form,
}

pub(super) enum Form {
    /// No value; sets a key.
    Flag(&'static str, &'static str),
    /// No value; sets nothing.
    Nothing,
    /// A value in the next word or in the rest of this one.
    Value,
}

use Form::{Flag, Nothing, Value};

/// In the order of bhyve(8). `-h` is not among them: it makes no VM.
pub(super) const OPTIONS: &[OptionSpec] = &[
    option('A', "makes ACPI tables", Flag("acpi_tables", "true")),
    option(
        'a',
        "local APICs in xAPIC mode",
        Flag("x86.x2apic", "false"),
    ),
    option(
        'C',
        "guest memory goes into core files",
        Flag("memory.guest_in_core", "true"),
    ),
    option('c', "processors", Value),
    option(
        'D',
        "destroys the VM when the guest powers off",
        Flag("destroy_on_poweroff", "true"),
    ),
    option(
        'e',
        "ends on an access to an unknown I/O port",
        Flag("x86.strictio", "true"),
    ),
    option('f', "gives the firmware a file", Value),
    option('G', "debug server", Value),
    option(
        'H',
        "lets the host run others while the guest idles",
        Flag("x86.vmexit_on_hlt", "true"),
    ),
    option('I', "does nothing any more", Nothing),
    option('K', "keyboard of the VNC client", Value),
    option('k', "reads a file of keys", Value),
    option('l', "device of the LPC bridge", Value),
    option(
        'M',
        "stays as the monitor of the VM",
        Flag("monitor", "true"),
    ),
    option('m', "memory", Value),
    option('n', "memory domain", Value),
    option('o', "sets a key", Value),
    option(
        'P',
        "lets the host run others while the guest spins",
        Flag("x86.vmexit_on_pause", "true"),
    ),
    option('p', "pins a processor", Value),
    option('r', "goes on from a snapshot", Value),
    option(
        'S',
        "wires the guest's memory",
        Flag("memory.wired", "true"),
    ),
    option('s', "PCI device", Value),
    option('U', "identity", Value),
    option('u', "clock in UTC", Flag("rtc.use_localtime", "false")),
    option(
        'W',
        "virtio with MSI instead of MSI-X",
        Flag("virtio_msix", "false"),
    ),
    option(
        'w',
        "ignores unknown model registers",
        Flag("x86.strictmsr", "false"),
    ),
    option(
        'x',
        "local APICs in x2APIC mode",
        Flag("x86.x2apic", "true"),
    ),
    option('Y', "makes no MP table", Flag("x86.mptable", "false")),
];

const fn option(letter: char, meaning: &'static str, form: Form) -> OptionSpec {
    OptionSpec {
        letter,
        meaning,
        form,
    }
}

impl OptionSpec {
    pub(super) fn find(letter: char) -> Option<&'static Self> {
        OPTIONS.iter().find(|option| option.letter == letter)
    }

    /// All letters, for an error.
    pub(super) fn letters() -> String {
        OPTIONS
            .iter()
            .map(|option| format!("-{}", option.letter))
            .collect::<Vec<_>>()
            .join(" ")
    }
}
