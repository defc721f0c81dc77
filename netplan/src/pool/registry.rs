//! [`Registry`]: a pool that knows whose its allocations are.

use std::collections::BTreeMap;

use thiserror::Error;

use super::error::nearest_text;
use super::{AllocateError, ClaimError, Fit, Pool, ReleaseError};
use crate::net::Net;

/// A [`Pool`] with an owner for each allocation.
///
/// An owner is any value: a name, an identifier. Pool and owners cannot get out of step, since
/// both change here only.
///
/// ```
/// use netplan::{Fit, Registry};
///
/// let mut registry = Registry::new("10.77.0.0/16".parse()?);
/// let kube = registry.allocate(24, Fit::Lowest, "kube")?;
/// registry.claim("10.77.64.0/18".parse()?, "pods")?;
/// assert_eq!(
///     registry.claim("10.77.64.0/24".parse()?, "etcd").unwrap_err().to_string(),
///     "10.77.64.0/24 overlaps 10.77.64.0/18, which belongs to pods; \
///      the nearest free one of this length is 10.77.63.0/24",
/// );
/// assert_eq!(registry.overlaps("10.77.65.7/32".parse()?).map(|(_, owner)| *owner), Some("pods"));
/// assert_eq!(registry.release(kube)?, "kube");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry<T> {
    pool: Pool,
    owners: BTreeMap<Net, T>,
}

/// Why a network could not be claimed for an owner.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OwnedClaimError<T> {
    /// The network is not inside the pool.
    #[error("{net} does not lie in {pool}")]
    Outside {
        /// The network asked for.
        net: Net,
        /// The pool's network.
        pool: Net,
    },
    /// Some of it has an owner already.
    #[error("{net} overlaps {taken}, which belongs to {owner}; {}", nearest_text(*nearest_free))]
    Taken {
        /// The network asked for.
        net: Net,
        /// The first allocation that it shares an address with.
        taken: Net,
        /// Whose that allocation is.
        owner: T,
        /// The free network of the same length that is nearest in either direction.
        nearest_free: Option<Net>,
    },
}

impl<T> Registry<T> {
    /// A registry of all of `net`, with nothing allocated.
    #[must_use]
    pub fn new(net: Net) -> Self {
        Self {
            pool: Pool::new(net),
            owners: BTreeMap::new(),
        }
    }

    /// The pool, for questions about what is free.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Allocates a network of this length for `owner`.
    ///
    /// # Errors
    /// As [`Pool::allocate`]; nothing has changed then.
    pub fn allocate(&mut self, prefix_len: u8, fit: Fit, owner: T) -> Result<Net, AllocateError> {
        let net = self.pool.allocate(prefix_len, fit)?;
        self.owners.insert(net, owner);
        Ok(net)
    }

    /// Allocates exactly this network for `owner`.
    ///
    /// # Errors
    /// When it is not inside the pool or overlaps an allocation, also one of the same owner;
    /// nothing has changed then.
    pub fn claim(&mut self, net: Net, owner: T) -> Result<(), OwnedClaimError<T>>
    where
        T: Clone,
    {
        match self.pool.claim(net) {
            Ok(()) => {
                self.owners.insert(net, owner);
                Ok(())
            }
            Err(ClaimError::Outside { net, pool }) => Err(OwnedClaimError::Outside { net, pool }),
            Err(ClaimError::Taken {
                net,
                taken,
                nearest_free,
            }) => Err(OwnedClaimError::Taken {
                net,
                taken,
                // Every allocation of the pool has an owner.
                owner: self.owners[&taken].clone(),
                nearest_free,
            }),
        }
    }

    /// Gives back a network that was allocated or claimed as this very network, and its owner.
    ///
    /// # Errors
    /// As [`Pool::release`].
    pub fn release(&mut self, net: Net) -> Result<T, ReleaseError> {
        self.pool.release(net)?;
        let owner = self.owners.remove(&net);
        Ok(owner.expect("every allocation of the pool has an owner"))
    }

    /// Whose exactly this network is.
    #[must_use]
    pub fn owner(&self, net: Net) -> Option<&T> {
        self.owners.get(&net)
    }

    /// The first allocation that shares an address with `net`, and its owner.
    #[must_use]
    pub fn overlaps(&self, net: Net) -> Option<(Net, &T)> {
        let allocation = self.pool.overlaps(net)?;
        Some((allocation, self.owners.get(&allocation)?))
    }

    /// All allocations with their owners, by address.
    pub fn iter(&self) -> impl Iterator<Item = (Net, &T)> {
        self.owners.iter().map(|(net, owner)| (*net, owner))
    }
}
