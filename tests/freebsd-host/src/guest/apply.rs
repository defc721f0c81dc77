//! What cloud-init does at the first boot of an instance, done to the disk before the guest looks at it.

use super::{
    disk::RootDisk,
    network::NetworkConfig,
    seed::{Seed, User, UserData},
};
use anyhow::{Context, Result, ensure};

/// The file by which cloud-init knows whether it has seen an instance.
const INSTANCE: &str = "/var/lib/cloud/data/instance-id";
/// What is kept of the network for the later boots of an instance.
const NETWORK: &str = "/var/lib/cloud/data/network-config.json";

const SSHD_CONFIG: &str = "\
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
MaxSessions 100
MaxStartups 100
Subsystem sftp internal-sftp
";

/// Does what a seed asks for, unless this disk has seen its instance; whether it has been done now.
pub(super) fn seed(disk: &RootDisk, seed: &Seed) -> Result<bool> {
    let known = disk.read(INSTANCE).unwrap_or_default();
    if known.trim_end() == seed.instance_id {
        return Ok(false);
    }
    let user_data = &seed.user_data;
    identity(disk, &user_data.hostname)?;
    login(disk, user_data)?;
    for user in &user_data.users {
        self::user(disk, user).with_context(|| format!("users: {}", user.name))?;
    }
    for file in &user_data.write_files {
        let written = disk.write(&file.path, file.mode()?, &file.bytes()?);
        written.with_context(|| format!("write_files: {}", file.path))?;
    }
    let servers = seed.network.resolv_conf();
    disk.write("/etc/resolv.conf", 0o644, servers.as_bytes())?;
    disk.write(NETWORK, 0o644, &serde_json::to_vec(&seed.network)?)?;
    // Last: what is interrupted before is done again.
    let instance = format!("{}\n", seed.instance_id);
    disk.write(INSTANCE, 0o644, instance.as_bytes())?;
    Ok(true)
}

/// sshd(8) with its key.
fn login(disk: &RootDisk, user_data: &UserData) -> Result<()> {
    let root = match user_data.disable_root {
        true => "no",
        false => "prohibit-password",
    };
    let config = format!("{SSHD_CONFIG}PermitRootLogin {root}\n");
    disk.write("/etc/ssh/sshd_config", 0o644, config.as_bytes())?;
    let Some(keys) = &user_data.ssh_keys else {
        return Ok(());
    };
    let (path, private) = ("/etc/ssh/ssh_host_ed25519_key", &keys.ed25519_private);
    disk.write(path, 0o600, private.as_bytes())?;
    let public = format!("{}\n", keys.ed25519_public);
    disk.write(&format!("{path}.pub"), 0o644, public.as_bytes())
}

/// The network of the last instance.
pub(super) fn network(disk: &RootDisk) -> Result<NetworkConfig> {
    match disk.read(NETWORK) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(_) => Ok(NetworkConfig::default()),
    }
}

fn identity(disk: &RootDisk, name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "hostname: there is none");
    disk.write("/etc/hostname", 0o644, format!("{name}\n").as_bytes())?;
    let hosts = format!(
        "127.0.1.1 {name}\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
    );
    disk.write("/etc/hosts", 0o644, hosts.as_bytes())
}

/// An account with a locked password, a home and keys.
fn user(disk: &RootDisk, user: &User) -> Result<()> {
    let name = user.name.as_str();
    let (home, number) = if name == "root" {
        ("/root".to_owned(), 0)
    } else {
        (format!("/home/{name}"), account(disk, name)?)
    };
    let keys: String = user
        .ssh_authorized_keys
        .iter()
        .map(|key| format!("{key}\n"))
        .collect();
    if !keys.is_empty() {
        disk.write(
            &format!("{home}/.ssh/authorized_keys"),
            0o600,
            keys.as_bytes(),
        )?;
        disk.own(&home, number)?;
    }
    if let Some(rule) = user.sudo.as_ref().filter(|_| name != "root") {
        let line = format!("{name} {rule}\n");
        disk.write(&format!("/etc/sudoers.d/{name}"), 0o440, line.as_bytes())?;
    }
    Ok(())
}

/// The number of an account, which is made if there is none of this name.
fn account(disk: &RootDisk, name: &str) -> Result<u32> {
    let passwd = disk.read("/etc/passwd")?;
    let number_of = |line: &str| {
        line.split(':')
            .nth(2)
            .and_then(|number| number.parse::<u32>().ok())
    };
    let known = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    if let Some(number) = known.and_then(number_of) {
        return Ok(number);
    }
    let taken = passwd
        .lines()
        .filter_map(number_of)
        .filter(|number| (1000..60_000).contains(number));
    let number = taken.max().map_or(1000, |number| number + 1);
    for (file, mode, line) in [
        (
            "/etc/passwd",
            0o644,
            format!("{name}:x:{number}:{number}::/home/{name}:/bin/bash\n"),
        ),
        ("/etc/group", 0o644, format!("{name}:x:{number}:\n")),
        (
            "/etc/shadow",
            0o640,
            format!("{name}:*:19000:0:99999:7:::\n"),
        ),
    ] {
        let before = disk.read(file)?;
        disk.write(file, mode, format!("{before}{line}").as_bytes())?;
    }
    Ok(number)
}
