//! The keys with which this machine and the guests know each other, before they have met.

use bhyve_vm::seed::{HostKey, InvalidKey, SshPublicKey};
use host_exec::{Command, File, Host, HostName, RunError, files};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The key with which `lab` logs in to guests.
const CLIENT: &str = "id";

/// Keys of a lab: its own, and one per guest.
#[derive(Debug)]
pub(crate) struct Keys {
    /// What guests let in.
    pub(crate) client: SshPublicKey,
    /// What each guest shows.
    pub(crate) guests: BTreeMap<HostName, HostKey>,
}

/// Keys that could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// ssh-keygen(1) failed.
    #[error("cannot make a key of SSH; install the client of OpenSSH")]
    Keygen(#[from] RunError),
    /// The system refuses.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Not a key.
    #[error("{} is damaged; remove it, and `lab up` makes another: the guest then gets a new seed", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: InvalidKey,
    },
}

/// Where the keys of a lab are.
#[derive(Debug, Clone)]
pub(crate) struct KeyFiles {
    directory: PathBuf,
}

impl KeyFiles {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The private key with which `lab` logs in.
    pub(crate) fn client(&self) -> PathBuf {
        self.directory.join(CLIENT)
    }

    /// The host keys of all guests.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    fn guest(&self, name: &HostName) -> PathBuf {
        self.directory.join(format!("host-{name}"))
    }

    /// Those that are not there yet.
    pub(crate) fn missing<'n>(&self, guests: impl Iterator<Item = &'n HostName>) -> Vec<PathBuf> {
        let guests = guests.map(|name| self.guest(name));
        let all = std::iter::once(self.client()).chain(guests);
        all.filter(|path| !path.exists()).collect()
    }

    /// Makes what is missing.
    pub(crate) async fn make(&self, missing: &[PathBuf], here: &dyn Host) -> Result<(), KeysError> {
        for path in missing {
            make(path, here).await?;
        }
        Ok(())
    }

    /// All keys, which have been made.
    pub(crate) fn read<'n>(
        &self,
        guests: impl Iterator<Item = &'n HostName>,
    ) -> Result<Keys, KeysError> {
        let public = public(&self.client());
        let text = read(&public)?;
        let client = text.trim().parse();
        let client = client.map_err(|source| KeysError::Damaged {
            path: public,
            source,
        })?;
        let guests = guests.map(|name| {
            let path = self.guest(name);
            let key = HostKey::from_openssh(read(&path)?);
            let key = key.map_err(|source| KeysError::Damaged { path, source })?;
            Ok((name.clone(), key))
        });
        Ok(Keys {
            client,
            guests: guests.collect::<Result<_, KeysError>>()?,
        })
    }

    /// Writes down which key each guest shows at its addresses. Others that were written down stay, as long as nobody else
    /// has their address: with a guest that is on its way out of the lab there is still something to say.
    pub(crate) fn remember_guests<'n>(
        &self,
        keys: &Keys,
        addresses: impl Iterator<Item = (&'n HostName, Vec<IpAddr>)>,
    ) -> Result<(), KeysError> {
        let lines = addresses.filter_map(|(name, addresses)| {
            let key = keys.guests.get(name)?;
            Some(key.public().known_hosts_line(&addresses))
        });
        let mut lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
        let path = self.known_hosts();
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let address = |line: &str| line.split(' ').next().map(str::to_owned);
        let now: BTreeSet<_> = lines.iter().map(|line| address(line)).collect();
        let others = kept.lines().filter(|line| !now.contains(&address(line)));
        lines.extend(others.map(str::to_owned));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if kept == text {
            return Ok(());
        }
        let file = File::secret(&path, text.as_bytes());
        files::write_here(&file).map_err(|source| KeysError::Io { path, source })
    }
}

/// Makes a pair under another name first: it is there once its private half has its own.
async fn make(path: &Path, here: &dyn Host) -> Result<(), KeysError> {
    let new = path.with_extension("new");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KeysError::Io { path, source }
    };
    for left in [new.clone(), public(&new)] {
        match fs::remove_file(&left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&left)(error)),
            _ => {}
        }
    }
    let keygen = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "lab"]);
    here.run(&keygen.arg("-f").arg(new.to_string_lossy()))
        .await?;
    fs::rename(public(&new), public(path)).map_err(io(path))?;
    fs::rename(&new, path).map_err(io(path))
}

/// ssh-keygen(1) puts the public half beside the private one.
fn public(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let text = fs::read_to_string(path);
    text.map(Zeroizing::new).map_err(|source| KeysError::Io {
        path: path.to_owned(),
        source,
    })
}
