//! Why a pool of host addresses refuses.

use core::net::IpAddr;

use thiserror::Error;

use super::Band;
use crate::net::Net;

/// Why a host could not have the address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostClaimError {
    /// The address is not in the segment.
    #[error("{address} does not lie in {segment}")]
    Outside {
        /// The address asked for.
        address: IpAddr,
        /// The segment.
        segment: Net,
    },
    /// No host may have the address.
    #[error("{address} is reserved in {segment}: {reason}; {}", nearest_text(*nearest_free))]
    Reserved {
        /// The address asked for.
        address: IpAddr,
        /// The segment.
        segment: Net,
        /// What the address is for, with the source.
        reason: &'static str,
        /// The free address that is nearest in either direction.
        nearest_free: Option<IpAddr>,
    },
    /// Another host has the address.
    #[error("{address} is taken in {segment}; {}", nearest_text(*nearest_free))]
    Taken {
        /// The address asked for.
        address: IpAddr,
        /// The segment.
        segment: Net,
        /// The free address that is nearest in either direction; the higher one of two at the
        /// same distance.
        nearest_free: Option<IpAddr>,
    },
}

fn nearest_text(nearest_free: Option<IpAddr>) -> String {
    nearest_free.map_or_else(
        || "no address is free".to_owned(),
        |address| format!("the nearest free one is {address}"),
    )
}

/// Why an address could not be given back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostReleaseError {
    /// No host has the address: it is free, or not in the segment.
    #[error("{address} is not allocated in {segment}")]
    NotAllocated {
        /// The address.
        address: IpAddr,
        /// The segment.
        segment: Net,
    },
    /// The address is reserved for good.
    #[error("{address} is reserved in {segment}: {reason}")]
    Reserved {
        /// The address.
        address: IpAddr,
        /// The segment.
        segment: Net,
        /// What the address is for, with the source.
        reason: &'static str,
    },
}

/// Why a band had no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BandAllocateError {
    /// The segment has no band of this name.
    #[error("{segment} has no band {name}: {}", known_text(known))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The segment.
        segment: Net,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Every address of the band is allocated or reserved.
    #[error("no free address in band {} of {segment}: {}", band.name, full_text(band, *segment))]
    Exhausted {
        /// The band.
        band: Band,
        /// The segment.
        segment: Net,
    },
}

fn known_text(known: &[String]) -> String {
    if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    }
}

fn full_text(band: &Band, segment: Net) -> String {
    let [first, last] = [band.first, band.last].map(|number| {
        let address = segment.nth(u128::from(number));
        address.map_or_else(|| number.to_string(), |address| address.to_string())
    });
    let size = band.size();
    format!("all {size} from {first} to {last} are taken or reserved; widen the band")
}
