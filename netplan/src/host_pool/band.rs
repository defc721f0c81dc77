//! [`Band`]: the part of a segment from which one class of hosts has its addresses.

use core::fmt;

use thiserror::Error;

use crate::net::Net;

/// A named range of host numbers; the number of a host is the distance of its address from the
/// first one of the segment, so 10 is `10.77.0.10` in `10.77.0.0/24`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// What the band is for: the class of hosts.
    pub name: String,
    /// The first host number.
    pub first: u64,
    /// The last host number, itself in the band.
    pub last: u64,
}

impl Band {
    /// The band from `first` to `last`; [`HostPool::with_bands`](crate::HostPool::with_bands)
    /// checks it.
    #[must_use]
    pub fn new(name: impl Into<String>, first: u64, last: u64) -> Self {
        Self {
            name: name.into(),
            first,
            last,
        }
    }

    /// How many host numbers there are, reserved ones included.
    #[must_use]
    pub fn size(&self) -> u128 {
        (u128::from(self.last) + 1).saturating_sub(u128::from(self.first))
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// The name and the host numbers.
impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} to {})", self.name, self.first, self.last)
    }
}

/// Why a segment cannot have these bands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BandError {
    /// A band ends before it begins.
    #[error("band {band} of {segment} is empty: its last host number is below its first")]
    Empty {
        /// The band.
        band: Band,
        /// The segment.
        segment: Net,
    },
    /// A band has numbers that no address of the segment has.
    #[error("band {band} does not lie in {segment}: its host numbers end at {}", last_number(*segment))]
    Outside {
        /// The band.
        band: Band,
        /// The segment.
        segment: Net,
    },
    /// Two bands share host numbers.
    #[error("bands {first} and {second} of {segment} overlap")]
    Overlap {
        /// The one that was given first.
        first: Band,
        /// The other one.
        second: Band,
        /// The segment.
        segment: Net,
    },
    /// Two bands have the same name.
    #[error("bands {first} and {second} of {segment} have the same name")]
    SameName {
        /// The one that was given first.
        first: Band,
        /// The other one.
        second: Band,
        /// The segment.
        segment: Net,
    },
}

/// The host number of the last address.
fn last_number(segment: Net) -> u128 {
    segment.address_count().map_or(u128::MAX, |count| count - 1)
}

/// Checks that the bands lie in the segment, and that they share neither numbers nor names.
pub(super) fn check(segment: Net, bands: &[Band]) -> Result<(), BandError> {
    for (at, second) in bands.iter().enumerate() {
        let band = second.clone();
        if band.first > band.last {
            return Err(BandError::Empty { band, segment });
        }
        if u128::from(band.last) > last_number(segment) {
            return Err(BandError::Outside { band, segment });
        }
        let before = &bands[..at];
        if let Some(first) = before.iter().find(|first| first.overlaps(second)) {
            return Err(BandError::Overlap {
                first: first.clone(),
                second: band,
                segment,
            });
        }
        if let Some(first) = before.iter().find(|first| first.name == second.name) {
            return Err(BandError::SameName {
                first: first.clone(),
                second: band,
                segment,
            });
        }
    }
    Ok(())
}
