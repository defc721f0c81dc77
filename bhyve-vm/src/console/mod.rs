//! What a guest says on its serial port: how far it has come, and why it comes no further.
//!
//! The log is `console` of a [`Supervision`](crate::Supervision): the words of all runs, each begun by a line
//! `--- boot N ---` of the supervisor's. A guest can write what it likes, so all of this is evidence about the
//! guest, never about the host. To type into the guest, write to the same side of the null-modem device; to
//! read it beside the recorder would take bytes from the log.

use std::fmt;

/// How far a boot has come by its console, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It has said nothing.
    Silent,
    /// It has said something that is no sign of the others.
    Talking,
    /// UEFI handed over to a boot loader.
    Firmware,
    /// The kernel runs.
    Kernel,
    /// The init system of the guest's own root runs.
    Init,
    /// cloud-init is at work.
    CloudInit,
    /// A login prompt, or cloud-init is done.
    Login,
}

/// Why a boot comes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// The firmware found nothing to boot, and offers its shell.
    EfiShell,
    /// The firmware could not load a boot entry.
    BootEntry,
    /// The boot loader is at a loss.
    BootLoader,
    /// The kernel found no root file system.
    NoRoot,
    /// The kernel panicked.
    Panic,
    /// systemd wants a person.
    EmergencyMode,
    /// The root file system is read-only: bhyve opens a disk so when it cannot write to it, and says nothing.
    ReadOnlyRoot,
    /// The kernel killed a process for lack of memory.
    OutOfMemory,
    /// The disk returned errors.
    DiskErrors,
    /// cloud-init found no seed.
    NoSeed,
}

impl Trouble {
    /// Whether the boot is over with it: it will not become ready without a person.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::OutOfMemory | Self::DiskErrors | Self::BootEntry)
    }
}

/// A line of the console with what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub trouble: Trouble,
    /// The line, without its colours.
    pub line: String,
}

/// What the console tells of the last run in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleState {
    /// The number of the run, if its beginning is still in the log.
    pub boot: Option<u32>,
    /// The furthest stage.
    pub stage: Stage,
    /// What went wrong, in the order of the log; each kind once, with its first line.
    pub troubles: Vec<Finding>,
}

/// A stage is reached by any line that holds its text.
const STAGES: [(&str, Stage); 14] = [
    ("BdsDxe: loading Boot", Stage::Firmware),
    ("BdsDxe: starting Boot", Stage::Firmware),
    ("Welcome to GRUB", Stage::Firmware),
    ("GNU GRUB", Stage::Firmware),
    ("Linux version ", Stage::Kernel),
    ("Command line: ", Stage::Kernel),
    ("---<<BOOT>>---", Stage::Kernel),
    ("Welcome to ", Stage::Init),
    ("systemd[1]: ", Stage::Init),
    ("OpenRC ", Stage::Init),
    ("Cloud-init v.", Stage::CloudInit),
    ("cloud-init[", Stage::CloudInit),
    (" login: ", Stage::Login),
    ("Datasource DataSource", Stage::CloudInit),
];

const TROUBLES: [(&str, Trouble); 17] = [
    ("UEFI Interactive Shell", Trouble::EfiShell),
    ("Shell> ", Trouble::EfiShell),
    ("No bootable device", Trouble::EfiShell),
    ("BdsDxe: failed to load Boot", Trouble::BootEntry),
    ("BdsDxe: failed to start Boot", Trouble::BootEntry),
    ("grub rescue>", Trouble::BootLoader),
    ("error: no such device", Trouble::BootLoader),
    ("Unable to mount root fs", Trouble::NoRoot),
    ("Gave up waiting for root", Trouble::NoRoot),
    ("Kernel panic - not syncing", Trouble::Panic),
    ("emergency mode", Trouble::EmergencyMode),
    ("Give root password for maintenance", Trouble::EmergencyMode),
    (
        "is write-protected, mounting read-only",
        Trouble::ReadOnlyRoot,
    ),
    ("Out of memory: Killed process", Trouble::OutOfMemory),
    ("blk_update_request: I/O error", Trouble::DiskErrors),
    ("I/O error, dev vd", Trouble::DiskErrors),
    ("Used fallback datasource", Trouble::NoSeed),
];

/// Reads a console log, or its end.
///
/// ```
/// use bhyve_vm::{Stage, Trouble, read_console};
///
/// let log = "\n--- boot 2 ---\nBdsDxe: loading Boot0001\r\nShell> ";
/// let state = read_console(log.as_bytes());
/// assert_eq!((state.boot, state.stage), (Some(2), Stage::Firmware));
/// assert_eq!(state.troubles[0].trouble, Trouble::EfiShell);
/// ```
pub fn read_console(log: &[u8]) -> ConsoleState {
    let text = plain(log);
    let mut state = ConsoleState {
        boot: None,
        stage: Stage::Silent,
        troubles: Vec::new(),
    };
    for line in text.lines().map(str::trim_end) {
        if let Some(boot) = marker(line) {
            state = ConsoleState {
                boot: Some(boot),
                stage: Stage::Silent,
                troubles: Vec::new(),
            };
        } else if !line.is_empty() {
            state.read(line);
        }
    }
    state
}

impl ConsoleState {
    fn read(&mut self, line: &str) {
        // A prompt stands at the end of a line, where the blank after it is cut off.
        let line_end = format!("{line} ");
        let found = STAGES.iter().filter(|(text, _)| line_end.contains(text));
        let stage = found.map(|(_, stage)| *stage).max();
        let finished = line.contains("Cloud-init v.") && line.contains(" finished at ");
        let stage = if finished { Some(Stage::Login) } else { stage };
        self.stage = self.stage.max(stage.unwrap_or(Stage::Talking));
        for (text, trouble) in TROUBLES {
            let known = self.troubles.iter().any(|found| found.trouble == trouble);
            if line_end.contains(text) && !known {
                self.troubles.push(Finding {
                    trouble,
                    line: line.to_owned(),
                });
            }
        }
    }
}

fn marker(line: &str) -> Option<u32> {
    line.strip_prefix("--- boot ")?
        .strip_suffix(" ---")?
        .parse()
        .ok()
}

/// The text without what only moves a cursor or colours it (ECMA-48, 5.4), carriage returns and other controls.
pub(crate) fn plain(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                // Parameters, then one byte that ends it.
                while chars
                    .next_if(|c| ('\u{20}'..='\u{3f}').contains(c))
                    .is_some()
                {}
                chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
            }
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "silent",
            Self::Talking => "talking",
            Self::Firmware => "in its firmware",
            Self::Kernel => "in its kernel",
            Self::Init => "starting services",
            Self::CloudInit => "in cloud-init",
            Self::Login => "ready for a login",
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EfiShell => {
                "the firmware found nothing to boot; check that the disk holds an EFI image"
            }
            Self::BootEntry => "the firmware could not load a boot entry",
            Self::BootLoader => "the boot loader does not find its files",
            Self::NoRoot => "the kernel found no root file system; it may lack the disk's driver",
            Self::Panic => "the kernel panicked",
            Self::EmergencyMode => "systemd is in emergency mode",
            Self::ReadOnlyRoot => "a disk is read-only; check that bhyve may write to it",
            Self::OutOfMemory => "the guest is out of memory",
            Self::DiskErrors => "a disk returns errors; check the pool of the host",
            Self::NoSeed => {
                "cloud-init found no seed; check that it is attached as a disk labelled cidata"
            }
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.trouble, self.line)
    }
}
