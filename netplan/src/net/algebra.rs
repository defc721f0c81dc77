//! Networks made out of networks: halves, differences, unions.

use std::net::IpAddr;

use thiserror::Error;

use super::{Family, Net, address_from_bits, bits_of};

impl Net {
    /// The network one bit shorter that contains this one; `None` for a /0.
    ///
    /// ```
    /// let net: netplan::Net = "10.77.3.0/24".parse()?;
    /// assert_eq!(net.supernet().map(|net| net.to_string()).as_deref(), Some("10.77.2.0/23"));
    /// # Ok::<(), netplan::NetError>(())
    /// ```
    #[must_use]
    pub fn supernet(self) -> Option<Self> {
        self.0.supernet().map(|net| Self(net.trunc()))
    }

    /// The other half of the supernet; `None` for a /0.
    ///
    /// ```
    /// let net: netplan::Net = "10.77.3.0/24".parse()?;
    /// assert_eq!(net.buddy().map(|net| net.to_string()).as_deref(), Some("10.77.2.0/24"));
    /// # Ok::<(), netplan::NetError>(())
    /// ```
    #[must_use]
    pub fn buddy(self) -> Option<Self> {
        let [lower, upper] = self.supernet()?.halves()?;
        Some(if self == lower { upper } else { lower })
    }

    /// The two networks one bit longer, the lower one first; `None` for a single address.
    ///
    /// ```
    /// let net: netplan::Net = "10.77.0.0/16".parse()?;
    /// let [lower, upper] = net.halves().expect("more than one address");
    /// assert_eq!((lower.to_string(), upper.to_string()), ("10.77.0.0/17".into(), "10.77.128.0/17".into()));
    /// # Ok::<(), netplan::NetError>(())
    /// ```
    #[must_use]
    pub fn halves(self) -> Option<[Self; 2]> {
        if self.is_single() {
            return None;
        }
        let len = self.prefix_len() + 1;
        let upper = self.bits() | 1 << (self.family().bits() - len);
        Some([self.bits(), upper].map(|bits| Self::from_bits(self.family(), bits, len)))
    }

    /// All networks of `prefix_len` in this one, in order. Takes no time per network skipped by
    /// [`Iterator::nth`].
    ///
    /// ```
    /// let net: netplan::Net = "fd5c:1b2a:9e10::/48".parse()?;
    /// let fifth = net.subnets(64)?.nth(4).expect("one of 65536");
    /// assert_eq!(fifth.to_string(), "fd5c:1b2a:9e10:4::/64");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When `prefix_len` is shorter than this network's or longer than an address. Its own
    /// length is not an error: then the network itself is the only one.
    pub fn subnets(self, prefix_len: u8) -> Result<Subnets, SubnetsError> {
        if prefix_len < self.prefix_len() || prefix_len > self.family().bits() {
            return Err(SubnetsError {
                net: self,
                prefix_len,
            });
        }
        let last = Self::containing(self.last_address(), prefix_len)
            .expect("the length was checked against the family");
        Ok(Subnets {
            family: self.family(),
            prefix_len,
            range: Some((self.bits(), last.bits())),
        })
    }

    /// What is left of this network without `other`: the fewest networks, in order.
    ///
    /// All of it when the two share nothing, nothing when `other` covers it, otherwise one
    /// network for each bit by which `other` is longer.
    ///
    /// ```
    /// use netplan::Net;
    ///
    /// let lan: Net = "192.168.0.0/22".parse()?;
    /// let rest = lan.subtract("192.168.1.0/24".parse()?);
    /// let texts: Vec<String> = rest.iter().map(Net::to_string).collect();
    /// assert_eq!(texts, ["192.168.0.0/24", "192.168.2.0/23"]);
    /// # Ok::<(), netplan::NetError>(())
    /// ```
    #[must_use]
    pub fn subtract(self, other: Self) -> Vec<Self> {
        if !self.overlaps(other) {
            return vec![self];
        }
        // The buddies on the way up from the other network; none when it covers this one.
        let mut rest: Vec<Self> = std::iter::successors(Some(other), |net| net.supernet())
            .take_while(|net| net.prefix_len() > self.prefix_len())
            .filter_map(Self::buddy)
            .collect();
        rest.sort_unstable();
        rest
    }

    /// The number of bits behind the prefix: 8 for an IPv4 /24, 64 for an IPv6 /64.
    #[must_use]
    pub fn host_bits(self) -> u8 {
        self.family().bits() - self.prefix_len()
    }

    /// The number of addresses, the reserved ones included; `None` for `::/0`, whose 2^128 no
    /// `u128` holds.
    #[must_use]
    pub fn address_count(self) -> Option<u128> {
        1_u128.checked_shl(u32::from(self.host_bits()))
    }

    /// Whether the network is a single address: a /32 or a /128.
    #[must_use]
    pub fn is_single(self) -> bool {
        self.host_bits() == 0
    }
}

/// The networks of one length in a network; made by [`Net::subnets`].
#[derive(Clone, Debug)]
pub struct Subnets {
    family: Family,
    prefix_len: u8,
    /// The first and the last network that are left, both included: an end behind the last one
    /// of a family would not fit into the number.
    range: Option<(u128, u128)>,
}

impl Subnets {
    /// The distance of two neighbours; `::/0` has none, and its size does not fit.
    fn step(&self) -> Option<u128> {
        1_u128.checked_shl(u32::from(self.family.bits() - self.prefix_len))
    }

    fn at(&self, bits: u128) -> Net {
        Net::from_bits(self.family, bits, self.prefix_len)
    }
}

impl Iterator for Subnets {
    type Item = Net;

    fn next(&mut self) -> Option<Net> {
        let (first, last) = self.range?;
        let step = self.step().filter(|_| first < last);
        self.range = step.map(|step| (first + step, last));
        Some(self.at(first))
    }

    fn nth(&mut self, n: usize) -> Option<Net> {
        let (first, last) = self.range?;
        let skipped = match n {
            0 => Some(0),
            _ => self.step().and_then(|step| step.checked_mul(n as u128)),
        };
        self.range = skipped
            .and_then(|bits| first.checked_add(bits))
            .filter(|first| *first <= last)
            .map(|first| (first, last));
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let Some((first, last)) = self.range else {
            return (0, Some(0));
        };
        let more = self.step().map_or(0, |step| (last - first) / step);
        match usize::try_from(more).ok().and_then(|n| n.checked_add(1)) {
            Some(count) => (count, Some(count)),
            None => (usize::MAX, None),
        }
    }
}

impl DoubleEndedIterator for Subnets {
    fn next_back(&mut self) -> Option<Net> {
        let (first, last) = self.range?;
        let step = self.step().filter(|_| first < last);
        self.range = step.map(|step| (first, last - step));
        Some(self.at(last))
    }
}

/// Why a network has no subnets of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{net} has no subnets of /{prefix_len}: ask for /{} to /{}", net.prefix_len(), net.family().bits())]
pub struct SubnetsError {
    /// The network.
    pub net: Net,
    /// The length as given.
    pub prefix_len: u8,
}

/// The fewest networks that contain the same addresses as `nets`, in order: what others cover is
/// dropped, and buddies become their supernet. Takes the time of one sort.
///
/// ```
/// use netplan::Net;
///
/// let nets = ["10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "fd00::/64"];
/// let nets = nets.map(|text| text.parse::<Net>().expect("a network"));
/// let texts: Vec<String> = netplan::aggregate(nets).iter().map(Net::to_string).collect();
/// assert_eq!(texts, ["10.0.0.0/23", "fd00::/64"]);
/// ```
#[must_use]
pub fn aggregate(nets: impl IntoIterator<Item = Net>) -> Vec<Net> {
    let mut sorted: Vec<Net> = nets.into_iter().collect();
    // A network sorts directly before what it contains, and its buddy next to that.
    sorted.sort_unstable();
    let mut kept: Vec<Net> = Vec::new();
    for net in sorted {
        if kept.last().is_some_and(|last| last.covers(net)) {
            continue;
        }
        let mut net = net;
        while let Some(last) = kept.last().copied()
            && last.buddy() == Some(net)
            && let Some(supernet) = net.supernet()
        {
            kept.pop();
            net = supernet;
        }
        kept.push(net);
    }
    kept
}

/// The fewest networks that contain exactly the addresses from `first` to `last`, both included,
/// in order: at most two per bit of the family.
///
/// ```
/// let rest = netplan::summarize("10.0.0.1".parse()?, "10.0.0.4".parse()?)?;
/// let texts: Vec<String> = rest.iter().map(netplan::Net::to_string).collect();
/// assert_eq!(texts, ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/32"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the two are of different families, or `last` lies before `first`.
pub fn summarize(first: IpAddr, last: IpAddr) -> Result<Vec<Net>, SummarizeError> {
    let family = Family::of(first);
    if family != Family::of(last) || last < first {
        return Err(SummarizeError { first, last });
    }
    let last = bits_of(last);
    let mut nets = Vec::new();
    let mut next = Some(bits_of(first));
    while let Some(bits) = next.filter(|bits| *bits <= last) {
        let mut net = Net::host(address_from_bits(family, bits));
        while let Some(wider) = net.supernet()
            && wider.bits() == bits
            && bits_of(wider.last_address()) <= last
        {
            net = wider;
        }
        next = bits_of(net.last_address()).checked_add(1);
        nets.push(net);
    }
    Ok(nets)
}

/// Why two addresses are not a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{first} to {last} is not a range: give two addresses of one family, the lower one first")]
pub struct SummarizeError {
    /// The first address as given.
    pub first: IpAddr,
    /// The last address as given.
    pub last: IpAddr,
}
