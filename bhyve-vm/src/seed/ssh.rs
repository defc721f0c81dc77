//! Keys of SSH: those that may log in, and the one by which a guest is known.

use super::wire::Wire;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{fmt, net::IpAddr, str::FromStr};
use zeroize::Zeroizing;

/// A text that is not the key it should be. Never shows the text: it may be a private key at the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidKey {
    field: &'static str,
    problem: &'static str,
}

/// A public key as `ssh-keygen` writes it to a `.pub` file: type, base64, and a comment if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshPublicKey {
    line: String,
}

/// The types that OpenSSH 9 knows and takes by default. `ssh-dss` is not one of them.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl SshPublicKey {
    /// The line, without an end of line.
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// Type and key without the comment.
    fn key(&self) -> &str {
        let end = self.line.match_indices(' ').nth(1).map(|(at, _)| at);
        end.map_or(self.line.as_str(), |end| &self.line[..end])
    }

    /// A line for a `known_hosts` file, with its end of line: a host with these addresses has this key (sshd(8),
    /// "SSH_KNOWN_HOSTS FILE FORMAT").
    pub fn known_hosts_line(&self, addresses: &[IpAddr]) -> String {
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        format!("{} {}\n", addresses.join(","), self.key())
    }
}

fn public(problem: &'static str) -> InvalidKey {
    InvalidKey {
        field: "SSH public key",
        problem,
    }
}

impl FromStr for SshPublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let line = text.trim_end_matches(['\r', '\n']);
        if line.contains("PRIVATE KEY") {
            return Err(public(
                "is a private key; give the text of the .pub file beside it",
            ));
        }
        if line.chars().any(char::is_control) {
            return Err(public("must be one line, without control characters"));
        }
        let mut words = line.splitn(3, ' ');
        let (kind, key) = (words.next().unwrap_or_default(), words.next());
        if !TYPES.contains(&kind) {
            return Err(public(
                "must begin with its type, such as ssh-ed25519, and no options; ssh-dss is not taken",
            ));
        }
        let blob = key.and_then(|key| STANDARD.decode(key).ok());
        let blob = blob.ok_or(public("must have its key in base64 after the type"))?;
        if Wire(&blob).string() != Some(kind.as_bytes()) {
            return Err(public(
                "holds a key of another type than its first word says",
            ));
        }
        Ok(Self {
            line: line.to_owned(),
        })
    }
}

impl fmt::Display for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// The ed25519 key of a guest's `sshd`, both halves. The private half is shown nowhere and cleared when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey {
    private: Zeroizing<String>,
    public: SshPublicKey,
}

impl HostKey {
    /// Takes the file that `ssh-keygen -t ed25519 -N ""` writes; the public half is in it too.
    ///
    /// Its two copies of the public half have to agree. That they belong to the private one is not computed.
    ///
    /// # Errors
    ///
    /// Not in OpenSSH's form (PEM in the form of PKCS#8 is refused), with a passphrase, of another type, or cut off.
    pub fn from_openssh(private: Zeroizing<String>) -> Result<Self, InvalidKey> {
        let bytes = unarmoured(&private)?;
        let public = ed25519_half(&bytes).map_err(host_key)?;
        let line = format!("ssh-ed25519 {}", STANDARD.encode(public));
        let public = SshPublicKey { line };
        Ok(Self { private, public })
    }

    /// The half for everybody.
    pub fn public(&self) -> &SshPublicKey {
        &self.public
    }

    pub(super) fn private(&self) -> &str {
        &self.private
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = &self.public.line;
        f.debug_struct("HostKey")
            .field("public", public)
            .finish_non_exhaustive()
    }
}

fn host_key(problem: &'static str) -> InvalidKey {
    InvalidKey {
        field: "SSH host key",
        problem,
    }
}

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
const END: &str = "-----END OPENSSH PRIVATE KEY-----\n";

fn unarmoured(text: &str) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    let body = text
        .strip_prefix(BEGIN)
        .and_then(|text| text.strip_suffix(END));
    let body = body.ok_or(host_key(
        "must be a private key in the form of OpenSSH; make one with ssh-keygen -t ed25519 -N ''",
    ))?;
    let mut packed = Zeroizing::new(String::with_capacity(body.len()));
    packed.extend(body.chars().filter(|c| *c != '\n'));
    let mut bytes = Zeroizing::new(vec![0; packed.len()]);
    let length = STANDARD.decode_slice(packed.as_bytes(), &mut bytes);
    let length = length.map_err(|_| host_key("is damaged: its base64 cannot be read"))?;
    bytes.truncate(length);
    Ok(bytes)
}

const CUT_OFF: &str = "is damaged: it ends too early";

/// The public half within a private key (OpenSSH, PROTOCOL.key), in the form of a public key.
fn ed25519_half(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let mut wire = Wire(bytes);
    if wire.bytes(15) != Some(b"openssh-key-v1\0") {
        return Err("is damaged: it does not begin with openssh-key-v1");
    }
    let (cipher, kdf) = (wire.string(), wire.string());
    if (cipher, kdf) != (Some(b"none"), Some(b"none")) {
        return Err("has a passphrase, which sshd cannot ask for; make one with ssh-keygen -N ''");
    }
    wire.string().ok_or(CUT_OFF)?;
    if wire.number() != Some(1) {
        return Err("must be one key");
    }
    let public = wire.string().ok_or(CUT_OFF)?;
    let mut inner = Wire(wire.string().ok_or(CUT_OFF)?);
    let (check, again) = (inner.number(), inner.number());
    if check != again {
        return Err("is damaged: its check numbers differ");
    }
    if inner.string() != Some(b"ssh-ed25519") {
        return Err("is not of type ed25519; make one with ssh-keygen -t ed25519 -N ''");
    }
    let (point, pair) = (
        inner.string().ok_or(CUT_OFF)?,
        inner.string().ok_or(CUT_OFF)?,
    );
    let mut outer = Wire(public);
    let same = outer.string() == Some(b"ssh-ed25519")
        && outer.string() == Some(point)
        && pair.len() == 64
        && pair[32..] == *point;
    same.then_some(public)
        .ok_or("holds two different public halves")
}
