//! Addresses of hosts inside one network.

use std::net::IpAddr;

use crate::net::Net;
use crate::pool::{AllocateError, ClaimError, Fit, Pool};
use crate::reserved::reserved;

/// The host addresses of one network: a [`Pool`] of single addresses in which the [`reserved`]
/// ones are taken from the start.
#[derive(Clone, Debug)]
pub struct HostPool {
    pool: Pool,
}

impl HostPool {
    /// A pool with every host address of `segment` free.
    #[must_use]
    pub fn new(segment: Net) -> Self {
        let mut pool = Pool::new(segment);
        for reserved in reserved(segment) {
            pool.claim(reserved.net)
                .expect("the reserved ranges of a segment are disjoint");
        }
        Self { pool }
    }

    /// Allocates an address; [`Fit::Near`] counts from the network's first address.
    ///
    /// # Errors
    /// When no host address is free.
    pub fn allocate(&mut self, fit: Fit) -> Result<IpAddr, AllocateError> {
        let bits = self.pool.net().family().bits();
        self.pool.allocate(bits, fit).map(Net::address)
    }

    /// Takes exactly this address.
    ///
    /// # Errors
    /// When it is not in the network, reserved, or taken.
    pub fn claim(&mut self, address: IpAddr) -> Result<(), ClaimError> {
        self.pool.claim(Net::host(address))
    }

    /// The underlying pool of /32 or /128.
    pub(crate) fn into_pool(self) -> Pool {
        self.pool
    }
}
