//! Why there is no seed.

use super::{GuestPath, UserName};

/// A [`Seed`](super::Seed) of which no files can be made. Holds nothing of a file's contents or of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Nobody could log in, and nobody could find out why.
    #[error("users: none has an SSH key, so nobody can log in; give at least one user a key")]
    NobodyCanLogIn,
    /// Two users of one name.
    #[error("users: {name} is there twice; give one entry all the keys")]
    UserTwice {
        /// The name.
        name: UserName,
    },
    /// Two files at one place.
    #[error("write_files: {path} is there twice; leave one of them out")]
    FileTwice {
        /// The place.
        path: GuestPath,
    },
    /// More than the image has room for.
    #[error(
        "user-data and network-config have more than {limit_bytes} bytes; \
        copy large files over SSH once the guest is up"
    )]
    TooLarge {
        /// What there is room for.
        limit_bytes: usize,
    },
}
