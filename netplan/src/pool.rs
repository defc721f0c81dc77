//! [`Pool`]: what is allocated out of one network, and what is free.

use thiserror::Error;

use crate::net::{Family, Net};
use crate::trie::{Block, Trie};

/// Which of the free blocks an allocation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The one with the lowest address.
    Lowest,
    /// Block number `n` modulo the number of blocks of that length in the pool, or else the next
    /// free one behind it, starting over at the end.
    ///
    /// With a hash of a stable name as `n`, an allocation keeps its place when others come and go.
    Near(u64),
}

/// The allocations out of one network, of any mix of prefix lengths.
///
/// Registry and free index are one trie, so each operation takes time by the length of the
/// prefix, not by the number of allocations. The state depends on the set of allocations only,
/// never on the order in which they came.
///
/// ```
/// use netplan::{Fit, Net, Pool};
///
/// let mut pool = Pool::new("10.77.0.0/16".parse()?);
/// let first: Net = pool.allocate(24, Fit::Lowest)?;
/// assert_eq!(first.to_string(), "10.77.0.0/24");
/// pool.claim("10.77.128.0/17".parse()?)?;
/// assert_eq!(pool.allocate(17, Fit::Lowest).unwrap_err().to_string(),
///     "no free /17 in 10.77.0.0/16: the largest free network is 10.77.64.0/18");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    net: Net,
    /// See [`skip`].
    skip: u32,
    trie: Tries,
}

#[derive(Clone, Debug)]
enum Tries {
    V4(Trie<u32>),
    V6(Trie<u128>),
}

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
        /// The next free network of the same length.
        nearest_free: Option<Net>,
    },
}

fn nearest_text(nearest_free: Option<Net>) -> String {
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

impl Pool {
    /// A pool of all of `net`, with nothing allocated.
    #[must_use]
    pub fn new(net: Net) -> Self {
        let skip = skip(net);
        let span_bits = u32::from(net.family().bits() - net.prefix_len()) + skip;
        let trie = match net.family() {
            Family::V4 => Tries::V4(Trie::new(span_bits, skip)),
            Family::V6 => Tries::V6(Trie::new(span_bits, skip)),
        };
        Self { net, skip, trie }
    }

    /// The network that this pool gives out.
    #[must_use]
    pub fn net(&self) -> Net {
        self.net
    }

    /// The number of allocations.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.trie {
            Tries::V4(trie) => trie.len(),
            Tries::V6(trie) => trie.len(),
        }
    }

    /// Whether nothing is allocated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Allocates a network of this length.
    ///
    /// # Errors
    /// When the length is impossible for the pool, or no free block is large enough; the pool is
    /// unchanged then.
    pub fn allocate(&mut self, prefix_len: u8, fit: Fit) -> Result<Net, AllocateError> {
        if prefix_len < self.net.prefix_len() || prefix_len > self.net.family().bits() {
            return Err(AllocateError::Length {
                prefix_len,
                pool: self.net,
            });
        }
        let len = u32::from(prefix_len - self.net.prefix_len());
        let found = match fit {
            Fit::Lowest => match &mut self.trie {
                Tries::V4(trie) => trie.allocate_lowest(len + self.skip).map(u128::from),
                Tries::V6(trie) => trie.allocate_lowest(len + self.skip),
            },
            Fit::Near(number) => self.allocate_near(len, number),
        };
        match found {
            Some(offset) => Ok(self.net_at(offset, prefix_len)),
            None => Err(self.exhausted(prefix_len)),
        }
    }

    /// Allocates exactly this network.
    ///
    /// # Errors
    /// When it is not inside the pool or overlaps an allocation; the pool is unchanged then.
    pub fn claim(&mut self, net: Net) -> Result<(), ClaimError> {
        if !self.net.covers(net) {
            return Err(ClaimError::Outside {
                net,
                pool: self.net,
            });
        }
        let (offset, len) = self.block(net);
        let claimed = match &mut self.trie {
            Tries::V4(trie) => trie.claim((narrow(offset), len)),
            Tries::V6(trie) => trie.claim((offset, len)),
        };
        if claimed {
            Ok(())
        } else {
            Err(self.taken(net))
        }
    }

    /// Gives back a network that was allocated or claimed as this very network.
    ///
    /// # Errors
    /// When it was not: a second release, a part of an allocation, or several at once.
    pub fn release(&mut self, net: Net) -> Result<(), ReleaseError> {
        let pool = self.net;
        if !pool.covers(net) {
            return Err(ReleaseError {
                net,
                pool,
                overlap: None,
            });
        }
        let (offset, len) = self.block(net);
        let released = match &mut self.trie {
            Tries::V4(trie) => trie.release((narrow(offset), len)),
            Tries::V6(trie) => trie.release((offset, len)),
        };
        if released {
            Ok(())
        } else {
            Err(ReleaseError {
                net,
                pool,
                overlap: self.overlaps(net),
            })
        }
    }

    /// The first allocation that shares an address with `net`.
    #[must_use]
    pub fn overlaps(&self, net: Net) -> Option<Net> {
        if net.covers(self.net) {
            return self.overlap_block((0, self.skip));
        }
        if !self.net.covers(net) {
            return None;
        }
        self.overlap_block(self.block(net))
    }

    /// The largest free network, the lowest of its length; `None` when nothing is free.
    #[must_use]
    pub fn largest_free(&self) -> Option<Net> {
        let best = match &self.trie {
            Tries::V4(trie) => trie.best(),
            Tries::V6(trie) => trie.best(),
        }?;
        self.find_from(best, 0)
            .map(|offset| self.net_at_block((offset, best)))
    }

    /// All allocations, by address.
    #[must_use]
    pub fn allocated(&self) -> Vec<Net> {
        let mut all = Vec::with_capacity(self.len());
        match &self.trie {
            Tries::V4(trie) => trie.for_each(&mut |(offset, len)| {
                all.push(self.net_at_block((u128::from(offset), len)));
            }),
            Tries::V6(trie) => trie.for_each(&mut |block| all.push(self.net_at_block(block))),
        }
        all
    }

    fn allocate_near(&mut self, len: u32, number: u64) -> Option<u128> {
        let span_bits = u32::from(self.net.family().bits() - self.net.prefix_len());
        let block_bits = span_bits - len;
        let number = if len < 64 {
            u128::from(number) & ((1 << len) - 1)
        } else {
            u128::from(number)
        };
        let len = len + self.skip;
        // A block of 128 bits is the whole of ::/0, and its number is 0.
        let offset = self.find_near(len, number.checked_shl(block_bits).unwrap_or(0))?;
        match &mut self.trie {
            Tries::V4(trie) => trie.claim((narrow(offset), len)),
            Tries::V6(trie) => trie.claim((offset, len)),
        }
        .then_some(offset)
    }

    /// The first free block at or behind the offset, or else the lowest of all.
    fn find_near(&self, len: u32, offset: u128) -> Option<u128> {
        self.find_from(len, offset)
            .or_else(|| self.find_from(len, 0))
    }

    fn find_from(&self, len: u32, offset: u128) -> Option<u128> {
        match &self.trie {
            Tries::V4(trie) => trie.find_from(len, narrow(offset)).map(u128::from),
            Tries::V6(trie) => trie.find_from(len, offset),
        }
    }

    fn overlap_block(&self, (offset, len): Block<u128>) -> Option<Net> {
        let block = match &self.trie {
            Tries::V4(trie) => trie
                .overlap((narrow(offset), len))
                .map(|(offset, len)| (u128::from(offset), len)),
            Tries::V6(trie) => trie.overlap((offset, len)),
        };
        block.map(|block| self.net_at_block(block))
    }

    fn block(&self, net: Net) -> Block<u128> {
        let len = u32::from(net.prefix_len() - self.net.prefix_len());
        (net.bits() - self.net.bits(), len + self.skip)
    }

    fn net_at(&self, offset: u128, prefix_len: u8) -> Net {
        Net::from_bits(self.net.family(), self.net.bits() | offset, prefix_len)
    }

    /// Lengths inside a pool are at most 128, so the low byte is all of them.
    fn net_at_block(&self, (offset, len): Block<u128>) -> Net {
        self.net_at(
            offset,
            self.net.prefix_len() + (len - self.skip).to_le_bytes()[0],
        )
    }

    #[cold]
    fn taken(&self, net: Net) -> ClaimError {
        let (offset, len) = self.block(net);
        let nearest = self.find_near(len, offset);
        ClaimError::Taken {
            net,
            // A claim fails only where something is allocated.
            taken: self.overlaps(net).unwrap_or(net),
            nearest_free: nearest.map(|offset| self.net_at(offset, net.prefix_len())),
        }
    }

    #[cold]
    fn exhausted(&self, prefix_len: u8) -> AllocateError {
        AllocateError::Exhausted {
            prefix_len,
            pool: self.net,
            largest_free: self.largest_free(),
        }
    }
}

/// How many bits the root of the trie reaches above the pool, so that its levels end at /24 and
/// /30 in IPv4, at /64 and /112 in IPv6: nodes for the usual lengths are full ones then.
fn skip(net: Net) -> u32 {
    let len = u32::from(net.prefix_len());
    match net.family() {
        Family::V4 => len % 6,
        Family::V6 => (len + 2) % 6,
    }
}

/// An offset inside an IPv4 pool, whose offsets have at most 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an IPv4 pool has at most 32 bits"
)]
fn narrow(offset: u128) -> u32 {
    offset as u32
}
