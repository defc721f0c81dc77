//! What is legal and rarely meant.

use crate::tuning::{ADVISED_QUOTA_BYTES, ADVISED_REQUEST_BYTES};
use std::fmt;

/// Something legal that is rarely meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecLint {
    /// An even number of members survives no more losses than the odd number below it.
    EvenSize {
        /// How many members there are.
        members: usize,
    },
    /// A store may grow beyond what etcd's authors advise (etcd.io, "System limits").
    LargeQuota {
        /// The quota in bytes.
        bytes: u64,
    },
    /// A request may be larger than etcd's authors advise.
    LargeRequests {
        /// The limit in bytes.
        bytes: u32,
    },
}

impl fmt::Display for SpecLint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EvenSize { members } => write!(
                f,
                "{members} members survive no more losses than {}; take an odd number",
                members - 1
            ),
            Self::LargeQuota { bytes } => write!(
                f,
                "quota_backend_bytes {bytes} is more than the advised {ADVISED_QUOTA_BYTES}; a member that \
                 comes back has to be sent all of it"
            ),
            Self::LargeRequests { bytes } => write!(
                f,
                "max_request_bytes {bytes} is more than the advised {ADVISED_REQUEST_BYTES}; one such request \
                 holds up all others"
            ),
        }
    }
}
