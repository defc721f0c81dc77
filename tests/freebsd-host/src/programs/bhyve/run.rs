//! The second half of bhyve: a node, a guest, and how they end.

use super::ERROR;
use crate::{
    guest::{self, Guest, HARDWARE, Hardware, NO_CONSOLE, Prepared, Ready, TapBusy, directory},
    programs::{bhyvectl, fail, say},
    world::World,
};
use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// Between two looks at the guest, its signals and what bhyvectl(8) wants.
const TICK: Duration = Duration::from_millis(10);

/// The status of systemd-nspawn when its machine reboots (its source, nspawn.c: EXIT_FORCE_RESTART).
const REBOOT: i32 = 133;

/// The file in a VM's directory by which a test ends its guest at once: the status that bhyve is to end with.
const CRASH: &str = "next-exit";

/// Runs the VM of this name, whose arguments have been read.
pub(crate) fn run(world: &World, name: &str) -> ExitCode {
    let place = directory(world, name);
    let lock = match guest::claim(world, name) {
        Ok(Some(lock)) => lock,
        // What its reset of an existing VM meets whose processors run.
        Ok(None) => return fail(ERROR, "vm_reinit: Device busy"),
        Err(error) => return fail(ERROR, format!("bhyve: {error}")),
    };
    let status = machine(world, name, &place);
    drop(lock);
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) => fail(ERROR, format!("bhyve: {error:#}")),
    }
}

fn machine(world: &World, name: &str, place: &Path) -> Result<u8> {
    let text = fs::read(place.join(HARDWARE))?;
    let hardware: Hardware = serde_json::from_slice(&text)?;
    bhyvectl::forget(world, name)?;
    match fs::remove_file(place.join(CRASH)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    bhyvectl::create_node(name)?;
    let mut console = Console::open(hardware.console.as_deref())?;
    let guest = match boot(world, &hardware, &mut console) {
        Ok(guest) => guest,
        Err(error) => {
            let busy = error.downcast::<TapBusy>()?;
            say(format!(
                "{busy}\nDevice emulation initialization error: Device busy"
            ));
            return Ok(ERROR);
        }
    };
    let machine = Machine {
        world,
        name,
        place,
        guest,
        console,
        power: None,
        pressed: false,
    };
    machine.watch()
}

/// Firmware, kernel, init; none if firmware finds nothing.
fn boot(world: &World, hardware: &Hardware, console: &mut Console) -> Result<Option<Guest>> {
    match guest::prepare(world, hardware)? {
        Prepared::Nothing => {
            console.say("BdsDxe: No bootable option or device was found.");
            console.say("UEFI Interactive Shell v2.2");
            console.say("Shell> ");
            Ok(None)
        }
        Prepared::Bootable(ready) => {
            console.boot(hardware, &ready);
            Guest::start(world, hardware, &ready, &console.path).map(Some)
        }
    }
}

/// A VM that is on.
struct Machine<'a> {
    world: &'a World,
    name: &'a str,
    place: &'a Path,
    /// None while firmware waits for a person.
    guest: Option<Guest>,
    console: Console,
    /// SIGTERM, once the guest knows the power button. Before, it ends this process as it ends any.
    power: Option<SignalFd>,
    pressed: bool,
}

impl Machine<'_> {
    /// Until its end; the status is bhyve's.
    fn watch(mut self) -> Result<u8> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.asked()? {
                return Ok(status);
            }
            let begun = self.guest.as_mut().is_some_and(Guest::has_begun);
            if begun && self.power.is_none() {
                self.power = Some(power_button()?);
            }
            if let (Some(power), Some(guest)) = (&self.power, &self.guest)
                && let Ok(Some(_)) = power.read_signal()
                && !self.pressed
            {
                // A second press is ignored while the guest still heeds the first (bhyve's pm.c); nspawn would take
                // it for impatience, and kill the guest.
                self.pressed = true;
                guest.press();
            }
            if let Some(status) = self.guest.as_mut().map(Guest::ended).transpose()?.flatten() {
                return Ok(self.ended(status.code(), started.elapsed()));
            }
            thread::sleep(TICK);
        }
    }

    /// What bhyvectl(8) or a test wants.
    fn asked(&self) -> Result<Option<u8>> {
        if let Ok(text) = fs::read_to_string(self.place.join(CRASH)) {
            let status = text
                .trim()
                .parse()
                .with_context(|| format!("{CRASH}: {text:?}"))?;
            return Ok(Some(status));
        }
        Ok(match bhyvectl::wanted(self.world, self.name)?.as_deref() {
            Some(bhyvectl::POWER_OFF) => Some(1),
            Some(bhyvectl::RESET) => Some(0),
            Some(_) => {
                say("VM destroyed asynchronously");
                Some(ERROR)
            }
            None => None,
        })
    }

    fn ended(&mut self, status: Option<i32>, after: Duration) -> u8 {
        let (words, status) = match status {
            Some(0) => ("reboot: Power down", 1),
            Some(REBOOT) => ("reboot: Restarting system", 0),
            // Its init was killed, or could not be started: to the real one, a triple fault.
            _ => return 3,
        };
        self.console
            .say(&format!("[{:12.6}] {words}", after.as_secs_f64()));
        status
    }
}

fn power_button() -> Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGTERM);
    mask.thread_block()?;
    Ok(SignalFd::with_flags(
        &mask,
        SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
    )?)
}

/// The guest's serial port.
struct Console {
    /// What the guest opens.
    path: PathBuf,
    file: File,
}

impl Console {
    fn open(path: Option<&str>) -> Result<Self> {
        // Of standard output the guest itself has nothing: its words would come out between those of others.
        let (path, shared) = match path {
            None => (NO_CONSOLE, NO_CONSOLE),
            Some("stdio") => ("/dev/stdout", NO_CONSOLE),
            Some(path) => (path, path),
        };
        let mut opening = OpenOptions::new();
        opening.write(true).custom_flags(nix::libc::O_NOCTTY);
        let file = opening.open(path).with_context(|| path.to_owned())?;
        let path = shared.into();
        Ok(Self { path, file })
    }

    /// A line; a serial port that fails is no trouble of the guest's.
    fn say(&mut self, line: &str) {
        while let Err(error) = self.file.write_all(format!("{line}\r\n").as_bytes()) {
            if error.raw_os_error() != Some(Errno::EINTR as i32) {
                break;
            }
        }
    }

    /// What firmware, boot loader and kernel say before init does.
    fn boot(&mut self, hardware: &Hardware, ready: &Ready) {
        for line in [
            "BdsDxe: loading Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x2,0x0)",
            "BdsDxe: starting Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x2,0x0)",
            "Welcome to GRUB!",
            "[    0.000000] Linux version 6.1.0-stand-in (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC",
            "[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1 ro console=ttyS0,115200",
        ] {
            self.say(line);
        }
        for (card, number) in hardware.cards.iter().zip(0..) {
            self.say(&format!(
                "[    0.310000] virtio_net virtio{number} enp0s{}: renamed from eth{number}",
                card.slot
            ));
        }
        for line in &ready.said {
            self.say(line);
        }
    }
}
