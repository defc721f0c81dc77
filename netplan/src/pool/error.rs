//! Why a pool refuses.

use thiserror::Error;

use crate::net::Net;

/// Why nothing was allocated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// The length is shorter than the pool's own, or longer than an address.
    #[error("a /{prefix_len} cannot come out of {pool}: ask for /{} to /{}", pool.prefix_len(), pool.family().bits())]
    Length {
        /// The length asked for.
        prefix_len: u8,
        /// The pool's network.
        pool: Net,
    },
    /// No free block is large enough.
    #[error("no free /{prefix_len} in {pool}: {}", largest_text(*largest_free))]
    Exhausted {
        /// The length asked for.
        prefix_len: u8,
        /// The pool's network.
        pool: Net,
        /// The largest free network, the lowest of that length.
        largest_free: Option<Net>,
    },
}

fn largest_text(largest_free: Option<Net>) -> String {
    largest_free.map_or_else(
        || "nothing is free".to_owned(),
        |net| format!("the largest free network is {net}"),
    )
}

/// Why a network could not be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The network is not inside the pool.
    #[error("{net} does not lie in {pool}")]
    Outside {
        /// The network asked for.
        net: Net,
        /// The pool's network.
        pool: Net,
    },
    /// Some of it is allocated already.
    #[error("{net} overlaps {taken}, which is allocated; {}", nearest_text(*nearest_free))]
    Taken {
        /// The network asked for.
        net: Net,
        /// The first allocation that it shares an address with.
        taken: Net,
        /// The free network of the same length that is nearest in either direction; the higher
        /// one of two at the same distance.
        nearest_free: Option<Net>,
    },
}

pub(crate) fn nearest_text(nearest_free: Option<Net>) -> String {
    nearest_free.map_or_else(
        || "no network of this length is free".to_owned(),
        |net| format!("the nearest free one of this length is {net}"),
    )
}

/// Why a network could not be released: it was not allocated, as this very network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{net} is not allocated in {pool}{}", overlap_text(*overlap))]
pub struct ReleaseError {
    /// The network to be released.
    pub net: Net,
    /// The pool's network.
    pub pool: Net,
    /// The first allocation that shares an address with it.
    pub overlap: Option<Net>,
}

fn overlap_text(overlap: Option<Net>) -> String {
    overlap.map_or_else(String::new, |net| format!("; {net} is"))
}
