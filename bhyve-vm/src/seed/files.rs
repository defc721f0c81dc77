//! The three files of a seed, and the digest by which cloud-init knows one from another.

use super::{Seed, SeedError, SeedImage, fat, user_data::user_data};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, fmt};
use zeroize::Zeroizing;

/// What user-data and network-config may have together, in bytes.
///
/// cloud-init has no limit for disks. This one is far above what a configuration needs, and small enough for the
/// image to be sent whole.
pub const LARGEST_SEED_BYTES: usize = 1 << 20;

/// The digest of a seed: 64 hexadecimal digits.
///
/// cloud-init keeps the one it has seen last. With another it takes the machine for a new one: it writes the
/// host keys, users and files again. It is made of secrets too, none of which can be guessed from it unless a file
/// of [`Seed::files`](Seed#structfield.files) is a short password.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId([u8; 32]);

impl InstanceId {
    fn of(texts: [&str; 3]) -> Self {
        let mut hasher = Sha256::new();
        for text in texts {
            // Lengths first, so that no text can pass over into the next.
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        Self(hasher.finalize().into())
    }

    /// The first four bytes, as the serial number of a file system.
    pub(super) fn serial(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The files of a seed. Their texts are cleared when dropped and not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SeedFiles {
    instance_id: InstanceId,
    user_data: Zeroizing<String>,
    meta_data: String,
    network_config: String,
}

impl Seed {
    /// The files that cloud-init reads.
    ///
    /// # Errors
    ///
    /// Nobody could log in, a user or a path is there twice, or all is more than [`LARGEST_SEED_BYTES`].
    pub fn files(&self) -> Result<SeedFiles, SeedError> {
        self.check()?;
        let network_config = self.network.as_str().to_owned();
        let room = LARGEST_SEED_BYTES.checked_sub(network_config.len());
        let user_data = room.and_then(|room| user_data(self, room));
        let user_data = user_data.ok_or(SeedError::TooLarge {
            limit_bytes: LARGEST_SEED_BYTES,
        })?;
        let host_name = self.host_name.as_str();
        let instance_id = InstanceId::of([host_name, &user_data, &network_config]);
        // Both values are of characters that need no escape.
        let meta_data =
            format!("instance-id: \"{instance_id}\"\nlocal-hostname: \"{host_name}\"\n");
        Ok(SeedFiles {
            instance_id,
            user_data,
            meta_data,
            network_config,
        })
    }

    fn check(&self) -> Result<(), SeedError> {
        let mut names = BTreeSet::new();
        if let Some(user) = self.users.iter().find(|user| !names.insert(&user.name)) {
            return Err(SeedError::UserTwice {
                name: user.name.clone(),
            });
        }
        if self.users.iter().all(|user| user.keys.is_empty()) {
            return Err(SeedError::NobodyCanLogIn);
        }
        let mut paths = BTreeSet::new();
        match self.files.iter().find(|file| !paths.insert(&file.path)) {
            Some(file) => Err(SeedError::FileTwice {
                path: file.path.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl SeedFiles {
    /// The digest of the other two files and the host name.
    pub fn instance_id(&self) -> &InstanceId {
        &self.instance_id
    }

    /// `user-data`, with the private host key in it.
    pub fn user_data(&self) -> &str {
        &self.user_data
    }

    /// `meta-data`: the instance and the host name.
    pub fn meta_data(&self) -> &str {
        &self.meta_data
    }

    /// `network-config`, as it was given.
    pub fn network_config(&self) -> &str {
        &self.network_config
    }

    /// The disk image that holds them.
    pub fn image(&self) -> SeedImage {
        fat::image(
            &self.instance_id,
            [
                ("user-data", &self.user_data),
                ("meta-data", &self.meta_data),
                ("network-config", &self.network_config),
            ],
        )
    }
}

impl fmt::Debug for SeedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.instance_id.to_string();
        f.debug_struct("SeedFiles")
            .field("instance_id", &id)
            .finish_non_exhaustive()
    }
}
