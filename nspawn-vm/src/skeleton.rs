//! The lowest layer of a machine's root: a clean `/etc` and empty mount points, out of the host's own files.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::Path,
};

/// What a machine needs of the host's `/etc`: users, name services, the loader, PAM. Nothing that enables a
/// service, mounts a disk or configures a network.
const FROM_ETC: [&str; 23] = [
    "passwd",
    "group",
    "shadow",
    "gshadow",
    "nsswitch.conf",
    "protocols",
    "services",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "pam.d",
    "pam.conf",
    "security",
    "login.defs",
    "shells",
    "profile",
    "dbus-1",
    "iproute2",
    "host.conf",
    "localtime",
    "ssl/certs/ca-certificates.crt",
    "ethertypes",
];

/// Units of the distribution that have nothing to do in a machine without hardware, or would change the host.
const MASKED: [&str; 38] = [
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-udev-settle.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-sysctl.service",
    "systemd-modules-load.service",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "systemd-binfmt.service",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "systemd-firstboot.service",
    "systemd-random-seed.service",
    "systemd-pstore.service",
    "systemd-repart.service",
    "systemd-remount-fs.service",
    "getty.target",
    "console-getty.service",
    "systemd-ask-password-wall.path",
    "systemd-ask-password-console.path",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-pcrmachine.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-sysusers.service",
    "systemd-journald-audit.socket",
    "nftables.service",
    "ldconfig.service",
    "systemd-machine-id-commit.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
];

const DIRECTORIES: [(&str, u32); 20] = [
    ("dev", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("srv", 0o755),
    ("home", 0o755),
    ("root", 0o700),
    ("etc/systemd/system", 0o755),
    ("etc/systemd/system.conf.d", 0o755),
    ("etc/systemd/journald.conf.d", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/cache", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
    ("media", 0o755),
];

/// The journal is kept over reboots, and the kernel's messages belong to the host.
const JOURNALD: &str = "[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\nSystemMaxUse=64M\n";
/// On cgroup v1 the scopes of pods wait out the whole stop time-out at every power-off.
const SYSTEM: &str = "[Manager]\nDefaultTimeoutStopSec=2s\n";

/// Makes the skeleton at `to`, whole or not at all: under another name first, then renamed.
pub(crate) fn make(to: &Path) -> io::Result<()> {
    let new = to.with_extension("new");
    match fs::remove_dir_all(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fill(&new)?;
    fs::rename(&new, to)
}

fn fill(root: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(root)?;
    for (dir, mode) in DIRECTORIES {
        fs::create_dir_all(root.join(dir))?;
        fs::set_permissions(root.join(dir), fs::Permissions::from_mode(mode))?;
    }
    // Merged /usr (every Debian since 12, Ubuntu since 20.04): the links are copied as the host has them.
    for link in ["bin", "sbin", "lib", "lib64", "lib32", "libx32"] {
        if let Ok(target) = fs::read_link(Path::new("/").join(link)) {
            symlink(target, root.join(link))?;
        }
    }
    symlink("/run", root.join("var/run"))?;
    symlink("/run/lock", root.join("var/lock"))?;
    let etc = root.join("etc");
    for name in FROM_ETC {
        copy(&Path::new("/etc").join(name), &etc.join(name))?;
    }
    for unit in MASKED {
        symlink("/dev/null", etc.join("systemd/system").join(unit))?;
    }
    symlink(
        "/usr/lib/systemd/system/multi-user.target",
        etc.join("systemd/system/default.target"),
    )?;
    // A copy, not the usual link: nspawn looks for it before /usr is bound.
    fs::write(etc.join("os-release"), fs::read("/etc/os-release")?)?;
    fs::write(etc.join("fstab"), "")?;
    fs::write(etc.join("systemd/journald.conf.d/lab.conf"), JOURNALD)?;
    fs::write(etc.join("systemd/system.conf.d/lab.conf"), SYSTEM)?;
    let preinit = root.join("preinit");
    fs::write(&preinit, include_str!("scripts/preinit.sh"))?;
    fs::set_permissions(&preinit, fs::Permissions::from_mode(0o755))
}

/// Copies a file, a link as a link, or a directory with all below it. What is not there is not copied.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(from) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if metadata.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if metadata.is_file() {
        // Created with the final mode: shadow and gshadow are readable by root only from their first byte.
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
