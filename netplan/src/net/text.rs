//! The text form of a [`Net`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use super::{Family, Net};
use crate::decimal::decimal;

/// Why a text or a pair of address and length is not a [`Net`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetError {
    /// The text is not an address, a slash and a length.
    #[error("{text:?} is not a network: write ADDRESS/LENGTH, like 10.77.0.0/16 or fd5c::/48")]
    Syntax {
        /// The text as given.
        text: String,
    },
    /// The length is longer than an address of this family.
    #[error("prefix length {prefix_len} is longer than the {} bits of an {family} address: write 0 to {}", family.bits(), family.bits())]
    Length {
        /// The length as given.
        prefix_len: u8,
        /// The family of the address it was given with.
        family: Family,
    },
    /// Bits behind the prefix are set.
    #[error("{address}/{prefix_len} has bits set behind its prefix: write {mended}")]
    HostBits {
        /// The address as given.
        address: IpAddr,
        /// The length as given.
        prefix_len: u8,
        /// The network that contains the address.
        mended: Net,
    },
    /// An IPv4 network in IPv6 notation; see the text form of [`Net`].
    #[error("{address}/{prefix_len} is an IPv4 network in IPv6 notation: write {mended}")]
    Mapped {
        /// The address as given.
        address: IpAddr,
        /// The length as given.
        prefix_len: u8,
        /// The IPv4 network that is meant.
        mended: Net,
    },
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let syntax = || NetError::Syntax {
            text: text.to_owned(),
        };
        let (address, len) = text.split_once('/').ok_or_else(syntax)?;
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let prefix_len = decimal(len).ok_or_else(syntax)?;
        refuse_mapped(address, prefix_len)?;
        Self::new(address, prefix_len)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.width() {
            None => fmt::Display::fmt(&self.0, f),
            // `pad` on the finished text, so that the width is that of the whole.
            Some(_) => f.pad(&self.0.to_string()),
        }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<String> for Net {
    type Error = NetError;

    fn try_from(text: String) -> Result<Self, NetError> {
        text.parse()
    }
}

impl From<Net> for String {
    fn from(net: Net) -> Self {
        net.to_string()
    }
}

/// The length of `::ffff:0:0/96`, in which IPv6 writes IPv4 addresses (RFC 4291, 2.5.5.2).
const MAPPED: u8 = 96;

/// Two texts for one network would make comparisons of texts lie, and no packet with a mapped
/// address may appear on a link. The block itself passes: FreeBSD has a reject route for it.
fn refuse_mapped(address: IpAddr, prefix_len: u8) -> Result<(), NetError> {
    let IpAddr::V6(v6) = address else {
        return Ok(());
    };
    let Some(v4) = v6.to_ipv4_mapped() else {
        return Ok(());
    };
    if prefix_len <= MAPPED || prefix_len > Family::V6.bits() {
        return Ok(());
    }
    Err(NetError::Mapped {
        address,
        prefix_len,
        mended: Net::containing(v4.into(), prefix_len - MAPPED)?,
    })
}
