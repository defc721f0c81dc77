//! The file `user-data`, in the terms of cloud-init's modules.

use super::{GuestFile, NtpServer, Seed, User, yaml::Yaml};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use host_exec::Mode;
use zeroize::Zeroizing;

/// What is the same in every seed.
///
/// `growpart` and `resize_rootfs` are what cloud-init does anyway; said here, an image's own setting does not count.
/// With `manage_etc_hosts` an image has cloud-init write `/etc/hosts` anew at each boot, over what others wrote there.
/// Without `locale: false` cloud-init makes the locale en_US.UTF-8, which takes time and a package that small images lack.
/// The keys that come with an image are the same in all its guests, so they go.
const FIXED: &str = "\
locale: false
package_update: false
package_upgrade: false
manage_etc_hosts: false
growpart:
  mode: auto
  devices: [\"/\"]
  ignore_growroot_disabled: true
resize_rootfs: true
ssh_pwauth: false
ssh_deletekeys: true
";

pub(super) fn user_data(seed: &Seed, limit_bytes: usize) -> Option<Zeroizing<String>> {
    let mut yaml = Yaml::new(limit_bytes);
    yaml.raw("#cloud-config\nhostname: ")
        .quoted(seed.host_name.as_str());
    yaml.raw("preserve_hostname: false\n").raw(FIXED);
    let root = seed.users.iter().any(|user| user.name.is_root());
    yaml.raw(if root {
        "disable_root: false\n"
    } else {
        "disable_root: true\n"
    });
    yaml.raw("ssh_keys:\n  ed25519_private: ")
        .quoted(seed.host_key.private());
    yaml.raw("  ed25519_public: ")
        .quoted(seed.host_key.public().as_str());
    users(&mut yaml, &seed.users);
    ntp(&mut yaml, seed.ntp_client.word(), &seed.ntp_servers);
    write_files(&mut yaml, &seed.files);
    yaml.finish()
}

fn users(yaml: &mut Yaml, users: &[User]) {
    yaml.raw("users:\n");
    for user in users {
        yaml.raw("  - name: ").quoted(user.name.as_str());
        yaml.raw("    lock_passwd: true\n");
        if user.sudo {
            yaml.raw("    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n");
        }
        if !user.keys.is_empty() {
            yaml.raw("    ssh_authorized_keys:\n");
        }
        for key in &user.keys {
            yaml.raw("      - ").quoted(key.as_str());
        }
    }
}

fn ntp(yaml: &mut Yaml, client: &str, servers: &[NtpServer]) {
    if servers.is_empty() {
        return;
    }
    yaml.raw("ntp:\n  enabled: true\n  ntp_client: ")
        .quoted(client);
    // An empty list, or the distribution's pool is asked too.
    yaml.raw("  pools: []\n  servers:\n");
    for server in servers {
        yaml.raw("    - ").quoted(server.as_str());
    }
}

fn write_files(yaml: &mut Yaml, files: &[GuestFile]) {
    if !files.is_empty() {
        yaml.raw("write_files:\n");
    }
    for file in files {
        yaml.raw("  - path: ").quoted(file.path.as_str());
        yaml.raw("    owner: \"root:root\"\n    permissions: ")
            .quoted(&octal(file.mode));
        match std::str::from_utf8(file.contents.bytes()) {
            Ok(text) => yaml.raw("    content: ").quoted(text),
            Err(_) => {
                let text = Zeroizing::new(STANDARD.encode(file.contents.bytes()));
                yaml.raw("    encoding: \"b64\"\n    content: ")
                    .quoted(&text)
            }
        };
    }
}

fn octal(mode: Mode) -> String {
    format!("{:04o}", mode.bits())
}
