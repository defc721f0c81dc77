//! A `NoCloud` seed, read as strictly as its guest deserves: what is not known is refused, so that a wrong seed fails.
//!
//! Written from cloud-init's documentation, not from the printer in `bhyve-vm`, so that each finds the other's mistakes.

use super::{Drive, fat::Fat, network::NetworkConfig};
use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_norway::Value;

/// The label of its file system; cloud-init takes either case.
const LABEL: &str = "CIDATA";

/// What a guest is told.
#[derive(Debug)]
pub(super) struct Seed {
    pub(super) instance_id: String,
    pub(super) user_data: UserData,
    pub(super) network: NetworkConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaData {
    #[serde(rename = "instance-id")]
    instance_id: String,
    #[serde(rename = "local-hostname")]
    local_hostname: Option<String>,
}

/// What is done of cloud-init's modules. The fields that are read as [`Value`] are judged in [`UserData::refuse_other`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserData {
    #[serde(default)]
    pub(super) hostname: String,
    #[serde(default)]
    preserve_hostname: bool,
    locale: Option<bool>,
    #[serde(default)]
    package_update: bool,
    #[serde(default)]
    package_upgrade: bool,
    /// A disk that is a directory is as large as it can be.
    #[serde(rename = "manage_etc_hosts")]
    _manage_etc_hosts: Option<bool>,
    #[serde(rename = "growpart")]
    _growpart: Option<GrowPart>,
    #[serde(rename = "resize_rootfs")]
    _resize_rootfs: Option<bool>,
    #[serde(default)]
    ssh_pwauth: bool,
    #[serde(rename = "ssh_deletekeys")]
    _ssh_deletekeys: Option<bool>,
    #[serde(default = "yes")]
    pub(super) disable_root: bool,
    pub(super) ssh_keys: Option<SshKeys>,
    #[serde(default)]
    pub(super) users: Vec<User>,
    /// There is one clock for all.
    #[serde(rename = "ntp")]
    _ntp: Option<Value>,
    #[serde(default)]
    pub(super) write_files: Vec<WrittenFile>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrowPart {
    #[serde(rename = "mode")]
    _mode: String,
    #[serde(rename = "devices")]
    _devices: Vec<String>,
    #[serde(rename = "ignore_growroot_disabled")]
    _ignore_growroot_disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SshKeys {
    pub(super) ed25519_private: String,
    pub(super) ed25519_public: String,
}

impl std::fmt::Debug for SshKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshKeys")
            .field("public", &self.ed25519_public)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) name: String,
    #[serde(default = "yes")]
    lock_passwd: bool,
    #[serde(default)]
    pub(super) ssh_authorized_keys: Vec<String>,
    pub(super) sudo: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFile {
    pub(super) path: String,
    #[serde(default = "root")]
    owner: String,
    #[serde(default = "usual")]
    permissions: String,
    encoding: Option<String>,
    #[serde(default)]
    content: String,
}

fn root() -> String {
    "root:root".to_owned()
}

fn usual() -> String {
    "0644".to_owned()
}

impl std::fmt::Debug for WrittenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WrittenFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl WrittenFile {
    /// Its permission bits.
    pub(super) fn mode(&self) -> Result<u32> {
        let bits = u32::from_str_radix(&self.permissions, 8).ok();
        let bits = bits.filter(|bits| *bits <= 0o7777);
        bits.with_context(|| {
            format!(
                "write_files: {}: permissions {:?}",
                self.path, self.permissions
            )
        })
    }

    /// Its contents.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        match self.encoding.as_deref() {
            None | Some("text/plain") => Ok(self.content.clone().into_bytes()),
            // cloud-init's three names for it.
            Some("b64" | "base64") => {
                let decoded = STANDARD.decode(&self.content).ok();
                decoded.with_context(|| format!("write_files: {}: not base64", self.path))
            }
            Some(other) => bail!(
                "write_files: {}: encoding {other:?} is not played",
                self.path
            ),
        }
    }
}

/// The seed on one of the disks; none if no disk has its label.
pub(super) fn find(disks: &[Drive]) -> Result<Option<Seed>> {
    for disk in disks {
        let Some(fat) = Fat::open(&disk.path)? else {
            continue;
        };
        if fat.label()?.eq_ignore_ascii_case(LABEL) {
            return read(&fat).map(Some);
        }
    }
    Ok(None)
}

fn read(fat: &Fat) -> Result<Seed> {
    let meta: MetaData = serde_norway::from_str(&fat.text("meta-data")?).context("meta-data")?;
    let text = fat.text("user-data")?;
    let mut user_data = user_data(&text).context("user-data")?;
    if user_data.hostname.is_empty() {
        user_data.hostname = meta.local_hostname.unwrap_or_default();
    }
    let network = serde_norway::from_str(&fat.text("network-config")?).context("network-config")?;
    Ok(Seed {
        instance_id: meta.instance_id,
        user_data,
        network,
    })
}

fn user_data(text: &str) -> Result<UserData> {
    // Without this line cloud-init takes the text for nothing that it knows, and ignores it.
    ensure!(
        text.starts_with("#cloud-config\n"),
        "does not begin with #cloud-config"
    );
    let user_data: UserData = serde_norway::from_str(text)?;
    user_data.refuse_other()?;
    Ok(user_data)
}

impl UserData {
    /// What would be asked of cloud-init and is not done here.
    fn refuse_other(&self) -> Result<()> {
        ensure!(
            !self.package_update && !self.package_upgrade,
            "packages: there is no archive in reach"
        );
        ensure!(
            !self.preserve_hostname,
            "preserve_hostname: the guest would have no name of its own"
        );
        ensure!(self.locale != Some(true), "locale: true is no locale");
        ensure!(!self.ssh_pwauth, "ssh_pwauth: nobody here has a password");
        for user in &self.users {
            ensure!(
                user.lock_passwd,
                "users: {}: nobody here has a password",
                user.name
            );
        }
        for file in &self.write_files {
            ensure!(
                file.owner == "root:root",
                "write_files: {}: owner {} is not played",
                file.path,
                file.owner
            );
            file.mode()?;
            file.bytes()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = include_str!("../../../../bhyve-vm/tests/data/seed/etcd-0.user-data");

    #[test]
    fn what_bhyve_vm_prints_is_read() {
        let read = user_data(PRINTED).unwrap();
        assert_eq!(read.hostname, "etcd-0");
        assert!(!read.disable_root);
        let users: Vec<&str> = read.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(users, ["root", "op"]);
        let blob = &read.write_files[1];
        assert_eq!(
            (blob.mode().unwrap(), blob.bytes().unwrap()),
            (0o600, vec![0xff, 0, 1])
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (from, to, says) in [
            ("#cloud-config\n", "", "does not begin"),
            (
                "ssh_pwauth: false",
                "ssh_pwauth: true",
                "nobody here has a password",
            ),
            (
                "package_update: false",
                "package_update: true",
                "no archive",
            ),
            ("hostname:", "host_name:", "unknown field `host_name`"),
            (
                "encoding: \"b64\"",
                "encoding: \"gz\"",
                "\"gz\" is not played",
            ),
            ("\"0600\"", "\"0900\"", "permissions \"0900\""),
            (
                "resize_rootfs: true",
                "runcmd: [\"true\"]",
                "unknown field `runcmd`",
            ),
        ] {
            let text = PRINTED.replacen(from, to, 1);
            assert_ne!(text, PRINTED);
            let error = format!("{:#}", user_data(&text).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
