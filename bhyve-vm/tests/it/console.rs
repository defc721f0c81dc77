//! What a console tells, on texts as firmware, Linux and cloud-init print them.

use bhyve_vm::{Stage, Trouble, read_console};

fn troubles(log: &str) -> Vec<Trouble> {
    let state = read_console(log.as_bytes());
    state.troubles.iter().map(|found| found.trouble).collect()
}

#[test]
fn stages_come_in_order_and_never_go_back() {
    let lines = [
        ("", Stage::Silent),
        ("\u{1b}[2J\u{1b}[01;01H", Stage::Silent),
        ("\u{1b}[0mUEFI v2.70 (BHYVE, 0x00010000)", Stage::Talking),
        (
            "BdsDxe: loading Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x3,0x0)",
            Stage::Firmware,
        ),
        (
            "[    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org)",
            Stage::Kernel,
        ),
        ("[    1.5] ACPI: something else", Stage::Kernel),
        (
            "Welcome to \u{1b}[1mDebian GNU/Linux 12 (bookworm)\u{1b}[0m!",
            Stage::Init,
        ),
        (
            "[    8.1] cloud-init[412]: Cloud-init v. 22.4.2 running 'init' at Mon, 01 Dec 2025. Up 8.1 seconds.",
            Stage::CloudInit,
        ),
        (
            "[   20.3] cloud-init[588]: Cloud-init v. 22.4.2 finished at Mon, 01 Dec 2025. Datasource DataSourceNoCloud.",
            Stage::Login,
        ),
        ("[   21.0] systemd[1]: something late", Stage::Login),
        ("etcd-0 login: ", Stage::Login),
    ];
    let mut log = String::from("--- boot 3 ---\n");
    for (line, stage) in lines {
        log += line;
        log += "\r\n";
        let state = read_console(log.as_bytes());
        assert_eq!((state.boot, state.stage), (Some(3), stage), "{line}");
        assert_eq!(state.troubles, [], "{line}");
    }
    // A run of its own.
    log += "\n--- boot 4 ---\n";
    assert_eq!(read_console(log.as_bytes()).stage, Stage::Silent);
}

#[test]
fn known_failures() {
    for (line, trouble) in [
        ("Shell> ", Trouble::EfiShell),
        ("\u{1b}[1;33mUEFI Interactive Shell v2.2", Trouble::EfiShell),
        (
            "BdsDxe: failed to load Boot0001 \"UEFI\" from PciRoot(0x0): Not Found",
            Trouble::BootEntry,
        ),
        ("grub rescue> ", Trouble::BootLoader),
        (
            "Gave up waiting for root file system device.  Common problems:",
            Trouble::NoRoot,
        ),
        (
            "[    2.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
            Trouble::Panic,
        ),
        (
            "You are in emergency mode. After logging in, type \"journalctl -xb\"",
            Trouble::EmergencyMode,
        ),
        (
            "mount: /: /dev/vda1 is write-protected, mounting read-only.",
            Trouble::ReadOnlyRoot,
        ),
        (
            "[  99.0] Out of memory: Killed process 812 (etcd)",
            Trouble::OutOfMemory,
        ),
        (
            "[  50.2] blk_update_request: I/O error, dev vda, sector 2048",
            Trouble::DiskErrors,
        ),
        ("Used fallback datasource", Trouble::NoSeed),
    ] {
        assert_eq!(troubles(line), [trouble], "{line}");
    }
    assert_eq!(
        troubles(
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\nShell>"
        ),
        [Trouble::NoRoot, Trouble::Panic, Trouble::EfiShell]
    );
    assert!(Trouble::Panic.is_final() && !Trouble::OutOfMemory.is_final());
    let state = read_console(b"\x1b[31mShell> \x1b[0m\r\nShell> \r\n");
    assert_eq!(state.troubles.len(), 1);
    assert_eq!(
        state.troubles[0].to_string(),
        "the firmware found nothing to boot; check that the disk holds an EFI image: \"Shell>\""
    );
}

#[test]
fn any_bytes_are_read() {
    let noise: Vec<u8> = (0..=255).cycle().take(4096).collect();
    assert_eq!(read_console(&noise).stage, Stage::Talking);
    assert_eq!(read_console(b"\x1b[").stage, Stage::Silent);
    assert_eq!(read_console(b"--- boot 99999999999 ---\n").boot, None);
}
