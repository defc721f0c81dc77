//! Booting a guest, and ending it.

use super::{
    Hardware, apply, directory, disk, disk::RootDisk, network::NetworkConfig, programs_disk, seed,
};
use crate::{cgroup, net, world::World};
use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use nspawn_vm::parts;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::symlink, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

/// The file in a VM's directory with what unshare(1), mount(8) and others say of its guest's namespaces.
const HELPERS: &str = "helpers.log";

/// What is the console of a guest that has none.
pub(crate) const NO_CONSOLE: &str = "/dev/null";

/// How a boot begins.
pub(crate) enum Prepared {
    /// The disk is ready to be booted.
    Bootable(Box<Ready>),
    /// Firmware finds nothing to boot.
    Nothing,
}

/// A guest that can be started, and what its console tells before systemd does.
pub(crate) struct Ready {
    disk: RootDisk,
    network: NetworkConfig,
    programs: Option<PathBuf>,
    /// What cloud-init says.
    pub(crate) said: Vec<String>,
}

/// Looks at the disks as firmware and cloud-init do.
pub(crate) fn prepare(world: &World, hardware: &Hardware) -> Result<Prepared> {
    let root = hardware.disks.iter().find(|disk| !disk.read_only);
    let Some(root) = root else {
        return Ok(Prepared::Nothing);
    };
    if !disk::is_bootable(&root.path)? {
        return Ok(Prepared::Nothing);
    }
    let disk = RootDisk::open(world, &root.path)?;
    image(&disk, hardware)?;
    let programs = programs_disk::find(world, &hardware.disks)?;
    let said = match cloud_init(&disk, hardware) {
        Ok(line) => line,
        // It boots all the same, and nobody can log in: that is how a real guest takes it.
        Err(error) => format!("cloud-init[412]: {error:#}"),
    };
    let network = apply::network(&disk)?;
    Ok(Prepared::Bootable(Box::new(Ready {
        disk,
        network,
        programs,
        said: vec![said],
    })))
}

/// What a cloud image has before its first boot, and the skeleton has not.
fn image(disk: &RootDisk, hardware: &Hardware) -> Result<()> {
    const DONE: &str = "/etc/machine-id";
    disk.directory(Path::new(programs_disk::TARGET))?;
    if disk.read(DONE).is_ok() {
        return Ok(());
    }
    disk.write("/etc/resolv.conf", 0o644, b"")?;
    disk.write("/etc/hostname", 0o644, b"localhost\n")?;
    disk.directory(Path::new("/etc/systemd/system/multi-user.target.wants"))?;
    let wants = disk
        .place
        .join("upper/etc/systemd/system/multi-user.target.wants");
    for unit in ["ssh.service", "console-getty.service"] {
        let target = format!("/usr/lib/systemd/system/{unit}");
        match symlink(target, wants.join(unit)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    // The skeleton masks the login prompt.
    let prompt = fs::read("/var/db/freebsd-host/usr/lib/systemd/system/console-getty.service")?;
    disk.write("/etc/systemd/system/console-getty.service", 0o644, &prompt)?;
    disk.write(
        DONE,
        0o444,
        format!("{}\n", machine_id(hardware)).as_bytes(),
    )
}

fn machine_id(hardware: &Hardware) -> String {
    let digest = Sha256::digest(format!("machine-id {} {}", hardware.name, hardware.uuid));
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn cloud_init(disk: &RootDisk, hardware: &Hardware) -> Result<String> {
    let Some(seed) = seed::find(&hardware.disks)? else {
        return Ok("cloud-init[412]: Used fallback datasource".to_owned());
    };
    seed.network.check(&hardware.cards)?;
    let version = "Cloud-init v. 22.4.2";
    Ok(if apply::seed(disk, &seed)? {
        format!(
            "{version} running 'init', first boot of instance {}",
            seed.instance_id
        )
    } else {
        format!(
            "{version} running 'init', instance {} is known",
            seed.instance_id
        )
    })
}

/// A guest that runs.
pub(crate) struct Guest {
    /// unshare(1), which ends with the guest and as the guest ends.
    helper: Child,
    /// systemd-nspawn, process 1 of the VM's own pid namespace.
    nspawn: Pid,
    notes: UnixDatagram,
    begun: bool,
    taps: Vec<String>,
    world: World,
}

impl Guest {
    /// Boots: `console` is the terminal that is the guest's com1.
    pub(crate) fn start(
        world: &World,
        hardware: &Hardware,
        ready: &Ready,
        console: &Path,
    ) -> Result<Self> {
        let socket = directory(world, &hardware.name).join("notify");
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let notes = UnixDatagram::bind(&socket)?;
        notes.set_nonblocking(true)?;
        let mut helper = spawn(world, hardware, ready, console, &socket)?;
        let output = helper.stdout.take().context("standard output is a pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(
            line == "ready\n",
            "the guest's namespaces cannot be made: {}",
            helper.wait()?
        );
        let nspawn = child_of(Pid::from_raw(helper.id().try_into()?))?;
        let mut guest = Self {
            helper,
            nspawn,
            notes,
            begun: false,
            taps: Vec::new(),
            world: world.clone(),
        };
        guest.plug(hardware, &ready.network)?;
        let mut input = guest
            .helper
            .stdin
            .take()
            .context("standard input is a pipe")?;
        input.write_all(b"go\n")?;
        Ok(guest)
    }

    /// Puts the cards in, with the addresses that cloud-init has given them.
    fn plug(&mut self, hardware: &Hardware, network: &NetworkConfig) -> Result<()> {
        let pid = u32::try_from(self.nspawn.as_raw())?;
        for card in &hardware.cards {
            let name = network.name_of(card);
            net::open_tap(&self.world, &card.tap, pid, &name, &card.mac).map_err(|cause| {
                TapBusy {
                    tap: card.tap.clone(),
                    cause,
                }
            })?;
            self.taps.push(card.tap.clone());
        }
        for name in network.deaf(&hardware.cards) {
            let script = "echo 0 >\"/proc/sys/net/ipv6/conf/$1/accept_ra\"";
            self.inside(&["dash", "-c", script, "sh", &name], "")?;
        }
        self.inside(&["ip", "-batch", "-"], &network.commands(&hardware.cards))
    }

    /// Runs a program of the machine in the guest's network namespace.
    fn inside(&self, words: &[&str], input: &str) -> Result<()> {
        let [program, arguments @ ..] = words else {
            bail!("no program")
        };
        let mut child = Command::new(self.world.machine_program("nsenter"))
            .arg(format!("--net=/proc/{}/ns/net", self.nspawn))
            .arg("--")
            .arg(self.world.machine_program(program))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .context("standard input is a pipe")?
            .write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{program} in the guest's network: {said}"
        );
        Ok(())
    }

    /// Whether its init has come to life: from then on it knows the power button. To be asked again and again: nspawn
    /// stands still, and the console with it, once some ten of its notes are unread (`max_dgram_qlen` in the kernel's
    /// ip-sysctl.rst).
    pub(crate) fn has_begun(&mut self) -> bool {
        let mut bytes = [0; 4096];
        while let Ok(count) = self.notes.recv(&mut bytes) {
            let note = String::from_utf8_lossy(&bytes[..count]);
            self.begun |= note.contains("X_NSPAWN_LEADER_PID=");
        }
        self.begun
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.helper.try_wait()
    }

    /// Presses its power button: its init is told what nspawn would tell it at a SIGTERM. nspawn itself ends the guest
    /// at the second one, and a real guest that shuts down already takes no notice of it.
    pub(crate) fn press(&self) {
        let Ok(init) = child_of(self.nspawn) else {
            // It has ended in this moment.
            return;
        };
        let mut tell = Command::new(self.world.machine_program("kill"));
        tell.args(["-s", "RTMIN+3", &init.to_string()]);
        let _ = tell.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl Drop for Guest {
    /// Its processes end with it, and its taps are closed.
    fn drop(&mut self) {
        let _ = kill(self.nspawn, Signal::SIGKILL);
        let _ = self.helper.wait();
        for tap in &self.taps {
            let _ = net::close_tap(&self.world, tap);
        }
    }
}

/// A tap that bhyve cannot open.
#[derive(Debug)]
pub(crate) struct TapBusy {
    tap: String,
    cause: String,
}

impl std::fmt::Display for TapBusy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "tap_init: open of tap device /dev/{} failed: {}",
            self.tap, self.cause
        )
    }
}

impl std::error::Error for TapBusy {}

fn spawn(
    world: &World,
    hardware: &Hardware,
    ready: &Ready,
    console: &Path,
    socket: &Path,
) -> Result<Child> {
    let program = |name| world.machine_program(name);
    let mut command = Command::new(program("setpriv"));
    // What this process is killed by kills all of the guest.
    command.args(["--pdeathsig", "KILL", "--"]);
    command.arg(program("unshare"));
    command.args(["--mount", "--net", "--pid", "--fork"]);
    command.args(["--kill-child=SIGKILL", "--"]);
    command.arg(program("dash"));
    command.args(["-c", include_str!("boot.sh"), "boot.sh"]);
    command.args([&ready.disk.place, &world.path("skeleton")]);
    command.arg(console).arg(groups(&hardware.name)?);
    command.args(words(world, hardware, ready, console));
    let path = format!("{0}/usr/sbin:{0}/usr/bin", world.root().display());
    command
        .env_clear()
        .envs(parts::environment(cgroup::kind()))
        .env("PATH", path)
        .env("TERM", "vt100")
        .env("NOTIFY_SOCKET", socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What the real bhyve could not say is none of its words.
        .stderr(fs::File::create(socket.with_file_name(HELPERS))?);
    Ok(command.spawn()?)
}

/// The control groups of the guest, as boot.sh takes them. This process stays out: systemd-nspawn of version 2 makes
/// groups below the one that it is in, and hands all controllers on, which it can where it is alone.
fn groups(vm: &str) -> Result<String> {
    let places = cgroup::make_for_guest(vm)?;
    let places: Vec<_> = places.iter().map(|place| place.to_string_lossy()).collect();
    Ok(places.join(" "))
}

/// systemd-nspawn with its arguments.
fn words(world: &World, hardware: &Hardware, ready: &Ready, console: &Path) -> Vec<String> {
    let mut read = vec![(world.path("usr"), PathBuf::from("/usr"))];
    let programs = ready.programs.clone();
    read.extend(programs.map(|here| (here, programs_disk::TARGET.into())));
    let has_input = console != Path::new(NO_CONSOLE);
    let container = parts::Container {
        directory: &ready.disk.place.join("root"),
        name: &hardware.name,
        id: &machine_id(hardware),
        network: Path::new("/proc/self/ns/net"),
        console: if has_input {
            "interactive"
        } else {
            "read-only"
        },
        read,
        written: ready.disk.real(),
    };
    let mut words = container.words();
    words.insert(1, "--notify-ready=yes".to_owned());
    words
}

/// The one child of a process.
fn child_of(pid: Pid) -> Result<Pid> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let first = children
        .split_whitespace()
        .next()
        .with_context(|| format!("process {pid} has no child"))?;
    Ok(Pid::from_raw(first.parse()?))
}
