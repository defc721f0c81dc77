//! What a guest is told at its first boot.

use super::{HostKey, NetworkConfig, SshPublicKey};
use crate::InvalidValue;
use crate::names::checked_text;
use host_exec::{Contents, HostName, Mode};
use std::{fmt, net::IpAddr, str::FromStr};

/// All that a guest is told. [`Seed::files`] makes of it what cloud-init reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The guest's host name.
    pub host_name: HostName,
    /// The key of the guest's `sshd`; it has no other.
    pub host_key: HostKey,
    /// Who may log in.
    pub users: Vec<User>,
    /// Where the guest gets the time from. There is no paravirtual clock under bhyve, and with more virtual
    /// processors than the host has cores a guest's clock drifts. With none nothing is configured.
    pub ntp_servers: Vec<NtpServer>,
    /// The program that asks them.
    pub ntp_client: NtpClient,
    /// Files written at the first boot, owned by root.
    pub files: Vec<GuestFile>,
    /// Addresses and routes.
    pub network: NetworkConfig,
}

impl Seed {
    /// A seed without users, time servers or files.
    pub fn new(host_name: HostName, host_key: HostKey, network: NetworkConfig) -> Self {
        Self {
            host_name,
            host_key,
            users: Vec::new(),
            ntp_servers: Vec::new(),
            ntp_client: NtpClient::Chrony,
            files: Vec::new(),
            network,
        }
    }

    /// The same with one more user.
    #[must_use]
    pub fn with_user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }
}

/// A user of the guest. Logs in with a key only: the password is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: UserName,
    /// The keys with which to log in.
    pub keys: Vec<SshPublicKey>,
    /// Whether it may become root without a password. Means nothing for root.
    pub sudo: bool,
}

impl User {
    /// root, with one key. Images keep root from logging in over SSH; a seed with this user allows it.
    pub fn root(key: SshPublicKey) -> Self {
        Self {
            name: UserName(UserName::ROOT.to_owned()),
            keys: vec![key],
            sudo: false,
        }
    }
}

/// The program that keeps the guest's clock right.
///
/// cloud-init installs one that is not there, which takes a network with a package archive: name one that the
/// image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NtpClient {
    /// chrony, which also copes with a clock that runs too fast or too slow by much.
    #[default]
    Chrony,
    /// systemd-timesyncd, which Debian's own cloud images have.
    Timesyncd,
    /// The first that the image has, of those that its distribution prefers.
    Auto,
}

impl NtpClient {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Chrony => "chrony",
            Self::Timesyncd => "systemd-timesyncd",
            Self::Auto => "auto",
        }
    }
}

/// A file that is written at the guest's first boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestFile {
    /// Where.
    pub path: GuestPath,
    /// Permission bits.
    pub mode: Mode,
    /// The whole contents. Both kinds end up in the seed; secret ones are cleared from memory.
    pub contents: Contents,
}

checked_text! {
    /// The name of a user (useradd(8), "CAVEATS"): at most 32 characters.
    UserName, "user name", broken_user_name
}

checked_text! {
    /// A server of the time: an address or a DNS name.
    NtpServer, "NTP server", broken_ntp_server
}

checked_text! {
    /// An absolute path in the guest.
    GuestPath, "path in the guest", broken_guest_path
}

impl UserName {
    const ROOT: &str = "root";

    pub(super) fn is_root(&self) -> bool {
        self.0 == Self::ROOT
    }
}

fn broken_user_name(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let good = (1..=32).contains(&text.len())
        && text.bytes().all(legal)
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    (!good).then_some("must have 1 to 32 of a-z, 0-9, '-' and '_', a letter or '_' first")
}

fn broken_ntp_server(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let good = text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label));
    (!good).then_some("must be an IP address or a DNS name")
}

fn broken_guest_path(text: &str) -> Option<&'static str> {
    if !text.starts_with('/') || text.ends_with('/') {
        Some("must be absolute and name a file")
    } else if text.len() > 1023 {
        Some("must have at most 1023 bytes")
    } else if text.chars().any(char::is_control) {
        Some("must not hold control characters")
    } else if text.split('/').any(|part| part == "..") {
        Some("must not hold '..'")
    } else {
        None
    }
}
