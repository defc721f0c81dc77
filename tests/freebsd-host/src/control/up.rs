//! Making a host and starting it.

use super::{MARK, Place, bridge_filter, enter, service};
use crate::{cgroup, kernel, programs::names, world::World};
use anyhow::{Context, Result, bail, ensure};
use std::{
    env, fs, io,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The environment of every program on the host. POSIXLY_CORRECT: no options behind operands, as in FreeBSD.
pub(super) const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin",
    ),
    ("HOME", "/root"),
    ("USER", "root"),
    ("POSIXLY_CORRECT", "1"),
];

/// Programs of this machine that behave as FreeBSD's do when they are called as POSIX has it. No other is there.
const FROM_THE_MACHINE: [&str; 58] = [
    "[", "awk", "basename", "cat", "chmod", "chown", "cksum", "cmp", "comm", "cp", "cut", "date",
    "dd", "df", "diff", "dirname", "echo", "env", "expr", "false", "find", "grep", "head",
    "hostname", "id", "install", "kill", "link", "ln", "ls", "mkdir", "mkfifo", "mktemp", "mv",
    "nice", "nohup", "od", "paste", "printf", "pwd", "readlink", "rm", "rmdir", "sed", "sleep",
    "sort", "stty", "tail", "tee", "test", "timeout", "touch", "tr", "true", "truncate", "tty",
    "wc", "xargs",
];

/// Directories of the host's root, besides those with something in them.
const DIRECTORIES: [(&str, u32); 20] = [
    ("boot", 0o755),
    ("dev", 0o755),
    ("etc/ssh", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root/.ssh", 0o700),
    ("run/sshd", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("usr/lib", 0o755),
    ("usr/lib64", 0o755),
    ("usr/libexec", 0o755),
    ("usr/local/share/uefi-firmware", 0o755),
    ("usr/share", 0o755),
    ("var/db", 0o755),
    ("var/log", 0o755),
    ("var/run", 0o755),
    ("zroot", 0o755),
];

const ETC: [(&str, &str); 6] = [
    (
        "passwd",
        "root:*:0:0:Charlie &:/root:/bin/sh\nsshd:*:22:22:Secure Shell Daemon:/var/empty:/usr/sbin/nologin\n\
        nobody:*:65534:65534:Unprivileged user:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "group",
        "wheel:*:0:root\ntty:*:4:\nsshd:*:22:\nnobody:*:65534:\n",
    ),
    (
        "nsswitch.conf",
        "group: files\nhosts: files\npasswd: files\n",
    ),
    ("hosts", "::1 localhost\n127.0.0.1 localhost\n"),
    ("resolv.conf", "nameserver 192.0.2.1\n"),
    (
        "rc.conf",
        "hostname=\"bhyve-host\"\nsshd_enable=\"YES\"\nzfs_enable=\"YES\"\n",
    ),
];

const SSHD_CONFIG: &str = "\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
MaxSessions 100
MaxStartups 100
Subsystem sftp internal-sftp
";

/// What a host says while it starts, in its directory.
pub(super) const LOG: &str = "up.log";

/// Makes the directory of a host, starts it, and returns once programs can be run in it.
pub(super) fn up(dir: &Path, key: &Path, version: &str) -> Result<()> {
    let key = fs::read_to_string(key).with_context(|| format!("{}", key.display()))?;
    bhyve_vm::parse_version(version)?;
    fs::create_dir_all(dir)?;
    let empty = fs::read_dir(dir)?.next().is_none();
    ensure!(
        empty,
        "{} is not empty; remove it with `down`",
        dir.display()
    );
    fs::write(dir.join(MARK), "")?;
    let place = Place::existing(dir)?;
    fill(&place, &key, version)?;
    start(&place)
}

/// Starts a host that has its files, and returns once it takes commands.
pub(super) fn start(place: &Place) -> Result<()> {
    bridge_filter::load()?;
    at_boot(&World::of(&place.root()))?;
    let log = place.dir.join(LOG);
    fs::write(&log, "")?;
    let log = fs::File::options().append(true).open(log)?;
    let mut boot = Command::new(env::current_exe()?);
    boot.args([Path::new("boot"), &place.dir]);
    if service::is_used() {
        boot = service::that_is(place, &boot);
    }
    let boot = boot
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()?;
    ensure!(boot.success(), "{}", said(place));
    let ready = World::of(&place.root()).path(kernel::SOCKET);
    let limit = Instant::now() + Duration::from_secs(60);
    while !(ready.exists() && enter::init(place).is_ok()) {
        let ended = cgroup::processes(&place.group())?.is_empty();
        if ended || Instant::now() > limit {
            bail!("the host does not come up: {}", said(place));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn said(place: &Place) -> String {
    fs::read_to_string(place.dir.join(LOG)).unwrap_or_default()
}

/// Joins the host's control group and becomes what makes the namespaces.
pub(super) fn boot(dir: &Path) -> Result<()> {
    let place = Place::existing(dir)?;
    let group = place.group();
    let mut command = if service::is_used() {
        // It ends with this process.
        Command::new("unshare")
    } else {
        cgroup::make(&group)?;
        // Out of reach of the terminal's signals.
        let mut command = Command::new("setsid");
        command.args(["--fork", "unshare"]);
        command
    };
    cgroup::join(&group)?;
    command.args(["--mount", "--propagation", "private"]);
    command.args(["--pid", "--fork", "--kill-child=SIGKILL"]);
    command.args(["--net", "--uts", "--ipc", "--", "/bin/sh"]);
    let error = command
        .args([place.dir.join("setup.sh"), place.root()])
        .exec();
    Err(error).context("setsid(1) and unshare(1) of util-linux")
}

fn fill(place: &Place, key: &str, version: &str) -> Result<()> {
    let root = place.root();
    for (name, mode) in DIRECTORIES {
        let path = root.join(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link))?;
    }
    for (name, text) in ETC {
        fs::write(root.join("etc").join(name), text)?;
    }
    fs::copy("/etc/ld.so.cache", root.join("etc/ld.so.cache"))?;
    if let Ok(zone) = fs::read("/etc/localtime") {
        fs::write(root.join("etc/localtime"), zone)?;
    }
    for (name, bytes) in [("CODE", 2 << 20), ("VARS", 128 << 10)] {
        let path = root.join(format!(
            "usr/local/share/uefi-firmware/BHYVE_UEFI_{name}.fd"
        ));
        fs::File::create(path)?.set_len(bytes)?;
    }
    fs::write(place.dir.join("setup.sh"), include_str!("setup.sh"))?;
    world(place, version)?;
    ssh(place, key)
}

/// The stand-ins, and what they know from the start.
fn world(place: &Place, version: &str) -> Result<()> {
    let root = place.root();
    let world = World::of(&root);
    for name in ["usr", "links", "vm", "volumes", "files"] {
        fs::create_dir_all(world.path(name))?;
    }
    fs::write(world.path("version"), format!("{version}\n"))?;
    programs(&root, &world)?;
    // Made here, where /etc is the machine's.
    nspawn_vm::parts::make_skeleton(&world.path("skeleton"))?;
    Ok(())
}

/// What the host's programs know when it boots: nothing that its kernel would have forgotten.
fn at_boot(world: &World) -> Result<()> {
    for name in [kernel::SOCKET, "interfaces.json", "pf.json"] {
        match fs::remove_file(world.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    // What sysctl(8) is to say instead of what its table has.
    let version = fs::read_to_string(world.path("version"))?;
    let level = bhyve_vm::parse_version(&version)?;
    let facts = serde_json::json!({
        "kern.osrelease": version.trim_end(),
        "kern.osreldate": format!("{}0{}000", level.major, level.minor),
    });
    fs::write(world.path("sysctl.json"), facts.to_string())?;
    Ok(fs::write(world.path("modules"), "zfs\nif_tuntap\n")?)
}

/// This program under all its names, and the machine's own beside it.
fn programs(root: &Path, world: &World) -> Result<()> {
    fs::copy(env::current_exe()?, world.path("program"))?;
    let inside = World::here();
    for name in [kernel::INIT, kernel::INTERNET, "freebsd-host-net"] {
        symlink("../program", world.path("links").join(name))?;
    }
    // One place is as good as the other: /sbin and /bin are links to them.
    for place in ["bin", "sbin"] {
        for name in names() {
            symlink(
                inside.path("program"),
                root.join("usr").join(place).join(name),
            )?;
        }
    }
    for name in FROM_THE_MACHINE.into_iter().chain(["sshd"]) {
        // As the machine has it behind its links: its /etc/alternatives is not there.
        let place = if name == "sshd" { "sbin" } else { "bin" };
        let path =
            fs::canonicalize(format!("/usr/{place}/{name}")).with_context(|| name.to_owned())?;
        symlink(
            inside.root().join(path.strip_prefix("/")?),
            root.join("usr").join(place).join(name),
        )?;
    }
    Ok(())
}

/// The host's key, who may log in, and what a client needs to do so.
fn ssh(place: &Place, key: &str) -> Result<()> {
    let root = place.root();
    let host_key = root.join("etc/ssh/ssh_host_ed25519_key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "freebsd", "-f"])
        .arg(&host_key)
        .status()?;
    ensure!(made.success(), "ssh-keygen: {made}");
    fs::write(root.join("etc/ssh/sshd_config"), sshd_config())?;
    let keys = root.join("root/.ssh/authorized_keys");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root.join("root/.ssh"))?;
    fs::write(keys, key)?;
    let public = fs::read_to_string(host_key.with_extension("pub"))?;
    let (dir, program) = (place.dir.display(), env::current_exe()?);
    fs::write(place.dir.join("known_hosts"), format!("freebsd {public}"))?;
    let config = format!(
        "Host freebsd\n  User root\n  HostKeyAlias freebsd\n  UserKnownHostsFile {dir}/known_hosts\n  \
        ProxyCommand {} enter {dir}\n",
        program.display()
    );
    fs::write(place.dir.join("ssh_config"), config)?;
    Ok(())
}

fn sshd_config() -> String {
    let variables = ENVIRONMENT.map(|(name, value)| format!(" {name}={value}"));
    format!("{SSHD_CONFIG}SetEnv{}\n", variables.concat())
}
