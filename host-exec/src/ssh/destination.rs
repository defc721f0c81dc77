//! The checked words that reach the command line of `ssh`.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::Ipv6Addr,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where `ssh` goes: `[USER@]HOST[:PORT]`, an IPv6 address with a port in brackets; also written as the URI
/// `ssh://[USER@]HOST[:PORT][/]` that ssh(1) takes, without a password or a path.
///
/// The host may be an alias of the user's `ssh_config(5)`. What is left out is left to that configuration.
///
/// ```
/// let there: host_exec::SshDestination = "root@[2001:db8::1]:2222".parse()?;
/// assert_eq!((there.user(), there.host(), there.port()), (Some("root"), "2001:db8::1", Some(2222)));
/// assert!("-oProxyCommand=reboot".parse::<host_exec::SshDestination>().is_err());
/// # Ok::<(), host_exec::InvalidSshDestination>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshDestination {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// Why a text is not an [`SshDestination`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SSH destination {text:?} {problem}; write [USER@]HOST[:PORT] or ssh://[USER@]HOST[:PORT]")]
pub struct InvalidSshDestination {
    text: String,
    problem: &'static str,
}

impl SshDestination {
    /// The user to log in as, if it is said.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host name, alias or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port, if it is said.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The word for the command line: user and host.
    pub(super) fn word(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }
}

impl FromStr for SshDestination {
    type Err = InvalidSshDestination;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |problem| InvalidSshDestination {
            text: without_password(text),
            problem,
        };
        let word = match text.strip_prefix("ssh://") {
            Some(uri) => authority(uri).map_err(invalid)?,
            None => text,
        };
        let (user, rest) = match word.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, word),
        };
        let (host, port) = split_port(rest);
        if !user.is_none_or(is_word) {
            return Err(invalid("has a user that is no plain word"));
        }
        if !(is_word(host) || host.parse::<Ipv6Addr>().is_ok()) {
            return Err(invalid("has no plain host name or address"));
        }
        let port = match port.map(str::parse) {
            None => None,
            Some(Ok(port @ 1..)) => Some(port),
            Some(_) => return Err(invalid("has a port that is not 1 to 65535")),
        };
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}

/// What stands between `ssh://` and the path; an IPv6 address in it needs its brackets (RFC 3986, 3.2.2).
fn authority(uri: &str) -> Result<&str, &'static str> {
    let authority = uri.strip_suffix('/').unwrap_or(uri);
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if authority.contains('/') {
        return Err("has a path, which leads nowhere over SSH");
    }
    if user.contains(':') {
        return Err("has a password, which everybody on this machine could read; use a key");
    }
    if !host.starts_with('[') && host.matches(':').count() > 1 {
        return Err("has an IPv6 address without brackets");
    }
    Ok(authority)
}

/// The text as an error may show it.
fn without_password(text: &str) -> String {
    let (scheme, rest) = match text.strip_prefix("ssh://") {
        Some(rest) => ("ssh://", rest),
        None => ("", text),
    };
    match rest.rsplit_once('@') {
        Some((login, host)) if login.contains(':') => {
            let (user, _) = login.split_once(':').unwrap_or_default();
            format!("{scheme}{user}:...@{host}")
        }
        _ => text.to_owned(),
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, after)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        // What stands after the bracket is nothing or a port; anything else makes a port that is no number.
        return (
            host,
            (!after.is_empty()).then(|| after.strip_prefix(':').unwrap_or("")),
        );
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Letters, digits and `-_.`, not beginning like an option: no character that `ssh` or a shell would expand.
fn is_word(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !text.is_empty() && text.len() <= 255 && !text.starts_with('-') && text.bytes().all(legal)
}

impl TryFrom<String> for SshDestination {
    type Error = InvalidSshDestination;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SshDestination> for String {
    fn from(destination: SshDestination) -> Self {
        destination.to_string()
    }
}

impl fmt::Display for SshDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match (self.port, self.host.contains(':')) {
            (None, _) => f.write_str(&self.host),
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// The directory of the sockets over which several `ssh` share one connection.
///
/// It is made with mode 0700 if it is missing. One that others may write to is refused when it is used: who can
/// open such a socket has the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlDirectory(PathBuf);

/// Why a path is not a [`ControlDirectory`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("directory for SSH control sockets {} {problem}", .path.display())]
pub struct InvalidControlDirectory {
    path: PathBuf,
    problem: &'static str,
}

impl ControlDirectory {
    /// The longest path, in bytes: a unix socket has room for 103 (`sun_path` of macOS and FreeBSD; Linux 107),
    /// of which 17 are for our name and its `/`, and 17 for the suffix of the name under which `ssh` binds it first.
    pub const MAX_LEN: usize = 103 - 17 - 17;

    /// Checks a path.
    ///
    /// # Errors
    ///
    /// It is relative, too long for a unix socket, or holds characters that `ssh` would expand.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, InvalidControlDirectory> {
        let path = path.into();
        let bytes = path.as_os_str().as_encoded_bytes();
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/-_.+,:@".contains(b);
        let problem = if !path.is_absolute() {
            "must be absolute"
        } else if bytes.len() > Self::MAX_LEN {
            "is longer than 69 bytes, so that a unix socket in it has no room; take a shorter one"
        } else if !bytes.iter().all(plain) {
            "may hold only letters, digits and any of '/-_.+,:@'"
        } else {
            return Ok(Self(path));
        };
        Err(InvalidControlDirectory { path, problem })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}
