//! The addresses of a network that hosts may have.

use std::net::IpAddr;

use super::{Family, Net, address_from_bits, bits_of};
use crate::reserved::reserved;

impl Net {
    /// The addresses that hosts may have in this network, in order: all but the
    /// [`reserved`] ones. [`Iterator::nth`] takes no time per address skipped.
    ///
    /// ```
    /// let net: netplan::Net = "10.77.0.0/30".parse()?;
    /// let texts: Vec<String> = net.hosts().map(|address| address.to_string()).collect();
    /// assert_eq!(texts, ["10.77.0.1", "10.77.0.2"]);
    /// # Ok::<(), netplan::NetError>(())
    /// ```
    #[must_use]
    pub fn hosts(self) -> Hosts {
        let mut ranges = Vec::new();
        let mut next = Some(self.bits());
        let mut gaps: Vec<Net> = reserved(self).iter().map(|reserved| reserved.net).collect();
        gaps.sort_unstable();
        for gap in gaps {
            let free = next.filter(|first| *first < gap.bits());
            ranges.extend(free.map(|first| (first, gap.bits() - 1)));
            next = bits_of(gap.last_address()).checked_add(1);
        }
        let last = bits_of(self.last_address());
        ranges.extend(
            next.filter(|first| *first <= last)
                .map(|first| (first, last)),
        );
        ranges.reverse();
        Hosts {
            family: self.family(),
            ranges,
        }
    }

    /// The number of addresses that hosts may have: 254 in an IPv4 /24, 2 in a /31. It always
    /// fits, because `::/0` has reserved addresses.
    ///
    /// ```
    /// let net: netplan::Net = "fd5c::/64".parse()?;
    /// // Without the subnet-router anycast address, IANA's Ethernet block and the top 128.
    /// assert_eq!(net.host_count(), (1 << 64) - 1 - (1 << 24) - 128);
    /// # Ok::<(), netplan::NetError>(())
    /// ```
    #[must_use]
    pub fn host_count(self) -> u128 {
        let spans = self.hosts().ranges.into_iter();
        spans.map(|(first, last)| last - first + 1).sum()
    }
}

/// The host addresses of a network; made by [`Net::hosts`].
#[derive(Clone, Debug)]
pub struct Hosts {
    family: Family,
    /// What is left, first and last address both included; the lowest range is at the end.
    ranges: Vec<(u128, u128)>,
}

impl Iterator for Hosts {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        self.nth(0)
    }

    fn nth(&mut self, n: usize) -> Option<IpAddr> {
        let mut skip = n as u128;
        while let Some((first, last)) = self.ranges.pop() {
            let more = last - first;
            if skip <= more {
                let bits = first + skip;
                if skip < more {
                    self.ranges.push((bits + 1, last));
                }
                return Some(address_from_bits(self.family, bits));
            }
            skip -= more + 1;
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count: u128 = self
            .ranges
            .iter()
            .map(|(first, last)| last - first + 1)
            .sum();
        match usize::try_from(count) {
            Ok(count) => (count, Some(count)),
            Err(_) => (usize::MAX, None),
        }
    }
}
