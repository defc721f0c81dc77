//! [`HostPool`]: the addresses of the hosts in one segment.

mod band;
mod error;

use core::net::IpAddr;

pub use band::{Band, BandError};
pub use error::{BandAllocateError, HostClaimError, HostReleaseError};

use crate::net::Net;
use crate::pool::{AllocateError, ClaimError, Fit, Pool};
use crate::reserved::{Reserved, reserved};

/// The host addresses of one network: a [`Pool`] of single addresses in which the [`reserved`]
/// ones are taken from the start.
///
/// A pool may have bands: each class of hosts has its addresses from a range of its own, so that
/// an address tells the class, and no class uses up the addresses of another. A claim of an
/// address that is known already works everywhere, in a band, in another one or between them.
///
/// ```
/// use netplan::{Band, HostPool};
///
/// let bands = [Band::new("etcd", 10, 12), Band::new("control-plane", 30, 49)];
/// let mut hosts = HostPool::with_bands("10.77.0.0/24".parse()?, bands)?;
/// hosts.claim("10.77.0.11".parse()?)?; // The router, say: it was there before the band.
/// assert_eq!(hosts.allocate_in("etcd")?.to_string(), "10.77.0.10");
/// assert_eq!(hosts.allocate_in_near("control-plane", 35)?.to_string(), "10.77.0.35");
/// assert_eq!(hosts.allocate_in("etcd")?.to_string(), "10.77.0.12");
/// assert_eq!(
///     hosts.allocate_in("etcd").unwrap_err().to_string(),
///     "no free address in band etcd of 10.77.0.0/24: \
///      all 3 from 10.77.0.10 to 10.77.0.12 are taken or reserved; widen the band",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostPool {
    pool: Pool,
    reserved: Vec<Reserved>,
    bands: Vec<Band>,
}

impl HostPool {
    /// A pool with every host address of `segment` free, and without bands.
    #[must_use]
    pub fn new(segment: Net) -> Self {
        let mut pool = Pool::new(segment);
        let reserved = reserved(segment);
        for reserved in &reserved {
            pool.claim(reserved.net)
                .expect("the reserved ranges of a segment are disjoint");
        }
        Self {
            pool,
            reserved,
            bands: Vec::new(),
        }
    }

    /// A pool with every host address of `segment` free, and with these bands.
    ///
    /// A band may hold reserved addresses: no host gets them.
    ///
    /// # Errors
    /// When a band is empty or not inside the segment, or two share host numbers or a name.
    pub fn with_bands(
        segment: Net,
        bands: impl IntoIterator<Item = Band>,
    ) -> Result<Self, BandError> {
        let bands: Vec<Band> = bands.into_iter().collect();
        band::check(segment, &bands)?;
        Ok(Self {
            bands,
            ..Self::new(segment)
        })
    }

    /// The network whose addresses these are.
    #[must_use]
    pub fn segment(&self) -> Net {
        self.pool.net()
    }

    /// The bands in the order in which they were given.
    #[must_use]
    pub fn bands(&self) -> &[Band] {
        &self.bands
    }

    /// The band in which the address lies.
    #[must_use]
    pub fn band_of(&self, address: IpAddr) -> Option<&Band> {
        let number = self.number_of(address)?;
        let holds =
            |band: &&Band| (u128::from(band.first)..=u128::from(band.last)).contains(&number);
        self.bands.iter().find(holds)
    }

    /// The addresses that hosts have, in order.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        let reserved = |net: &Net| self.reserved.iter().any(|reserved| reserved.net == *net);
        let hosts = self.pool.iter().filter(move |net| !reserved(net));
        hosts.map(Net::address)
    }

    /// How many hosts have an address.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pool.len() - self.reserved.len()
    }

    /// Whether no host has an address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a host could have this address: [`HostPool::claim`] would take it.
    #[must_use]
    pub fn is_free(&self, address: IpAddr) -> bool {
        self.pool.is_free(Net::host(address))
    }

    /// How many hosts could still have an address, in all bands and between them.
    #[must_use]
    pub fn count_free(&self) -> u128 {
        self.pool.count_free(self.segment().family().bits())
    }

    /// Allocates an address, in a band or not; [`Fit::Near`] counts from the network's first
    /// address.
    ///
    /// # Errors
    /// When no host address is free.
    pub fn allocate(&mut self, fit: Fit) -> Result<IpAddr, AllocateError> {
        let bits = self.segment().family().bits();
        self.pool.allocate(bits, fit).map(Net::address)
    }

    /// Allocates the lowest free address of a band.
    ///
    /// # Errors
    /// When there is no such band, or all of it is allocated or reserved.
    pub fn allocate_in(&mut self, band: &str) -> Result<IpAddr, BandAllocateError> {
        let first = self.band(band)?.first;
        self.allocate_in_near(band, first)
    }

    /// Allocates the address with this host number, or else the next free one behind it in the
    /// band, starting over at the band's end. A number outside the band stands for its first.
    ///
    /// # Errors
    /// When there is no such band, or all of it is allocated or reserved.
    pub fn allocate_in_near(
        &mut self,
        band: &str,
        number: u64,
    ) -> Result<IpAddr, BandAllocateError> {
        let band = self.band(band)?;
        let inside = (band.first..=band.last).contains(&number);
        let number = if inside { number } else { band.first };
        let found = self
            .free_between(number, band.last)
            .or_else(|| self.free_between(band.first, band.last))
            .ok_or_else(|| BandAllocateError::Exhausted {
                band: band.clone(),
                segment: self.segment(),
            })?;
        self.pool
            .claim(found)
            .expect("an address that was found free can be claimed");
        Ok(found.address())
    }

    /// Takes exactly this address, in whatever band it lies.
    ///
    /// # Errors
    /// When it is not in the network, reserved, or taken.
    pub fn claim(&mut self, address: IpAddr) -> Result<(), HostClaimError> {
        let segment = self.segment();
        match self.pool.claim(Net::host(address)) {
            Ok(()) => Ok(()),
            Err(ClaimError::Outside { .. }) => Err(HostClaimError::Outside { address, segment }),
            Err(ClaimError::Taken { nearest_free, .. }) => {
                let nearest_free = nearest_free.map(Net::address);
                Err(match self.reason(address) {
                    Some(reason) => HostClaimError::Reserved {
                        address,
                        segment,
                        reason,
                        nearest_free,
                    },
                    None => HostClaimError::Taken {
                        address,
                        segment,
                        nearest_free,
                    },
                })
            }
        }
    }

    /// Gives back the address of a host.
    ///
    /// # Errors
    /// When no host has it; a reserved address is never given back.
    pub fn release(&mut self, address: IpAddr) -> Result<(), HostReleaseError> {
        let segment = self.segment();
        if let Some(reason) = self.reason(address) {
            return Err(HostReleaseError::Reserved {
                address,
                segment,
                reason,
            });
        }
        self.pool
            .release(Net::host(address))
            .map_err(|_| HostReleaseError::NotAllocated { address, segment })
    }

    /// The underlying pool of /32 or /128.
    pub(crate) fn into_pool(self) -> Pool {
        self.pool
    }

    fn band(&self, name: &str) -> Result<&Band, BandAllocateError> {
        let found = self.bands.iter().find(|band| band.name == name);
        found.ok_or_else(|| BandAllocateError::Unknown {
            name: name.to_owned(),
            segment: self.segment(),
            known: self.bands.iter().map(|band| band.name.clone()).collect(),
        })
    }

    /// The first free address whose host number is in this range.
    fn free_between(&self, first: u64, last: u64) -> Option<Net> {
        let first = self.segment().nth(u128::from(first))?;
        let found = self.pool.next_free(Net::host(first))?;
        (self.number_of(found.address())? <= u128::from(last)).then_some(found)
    }

    fn number_of(&self, address: IpAddr) -> Option<u128> {
        let segment = self.segment();
        let inside = segment.contains(address);
        inside.then(|| Net::host(address).bits() - segment.bits())
    }

    /// What the address is reserved for.
    fn reason(&self, address: IpAddr) -> Option<&'static str> {
        let mut all = self.reserved.iter();
        all.find(|reserved| reserved.net.contains(address))
            .map(|reserved| reserved.reason)
    }
}
