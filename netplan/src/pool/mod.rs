//! [`Pool`]: what is allocated out of one network, and what is free.
//!
//! The pool needs no more of the standard library than `core` and `alloc` have.

mod error;
mod fit;
mod iter;
mod registry;

pub use error::{AllocateError, ClaimError, ReleaseError};
pub use fit::Fit;
pub use iter::{Allocated, Free};
pub use registry::{OwnedClaimError, Registry};

use crate::net::{Family, Net};
use crate::trie::{Block, Direction, Trie};

/// The allocations out of one network, of any mix of prefix lengths.
///
/// Registry and free index are one trie, so each operation takes time by the length of the
/// prefix, not by the number of allocations ([`Fit::Best`] and [`Pool::count_free`] excepted).
/// The state depends on the set of allocations only, never on the order in which they came. Who
/// has what is the business of [`Registry`].
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
///
/// let free: Vec<String> = pool.free().map(|net| net.to_string()).collect();
/// assert_eq!(free[0], "10.77.1.0/24");
/// assert_eq!(free.last().unwrap(), "10.77.64.0/18");
/// assert_eq!(pool.count_free(20), 4 + 2 + 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    net: Net,
    family: Family,
    prefix_len: u8,
    /// The first address as a number.
    first: u128,
    /// See [`skip`].
    skip: u32,
    trie: Trie,
}

impl Pool {
    /// A pool of all of `net`, with nothing allocated.
    #[must_use]
    pub fn new(net: Net) -> Self {
        let skip = skip(net);
        Self {
            net,
            family: net.family(),
            prefix_len: net.prefix_len(),
            first: net.bits(),
            skip,
            trie: Trie::new(skip),
        }
    }

    /// The network that this pool gives out.
    #[must_use]
    pub fn net(&self) -> Net {
        self.net
    }

    /// The number of allocations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trie.len()
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
        let Some(len) = self.len_of(prefix_len) else {
            return Err(AllocateError::Length {
                prefix_len,
                pool: self.net,
            });
        };
        let number = match fit {
            Fit::Lowest if len <= u64::BITS => match self.trie.allocate_lowest(len) {
                Some(number) => return Ok(self.net_at_narrow(number, prefix_len)),
                None => None,
            },
            Fit::Lowest => self.trie.allocate_lowest_wide(len),
            fit => self.allocate_found(len, fit),
        };
        match number {
            Some(number) => Ok(self.net_at(number, prefix_len)),
            None => Err(self.exhausted(prefix_len)),
        }
    }

    /// Allocates exactly this network.
    ///
    /// # Errors
    /// When it is not inside the pool or overlaps an allocation; the pool is unchanged then.
    pub fn claim(&mut self, net: Net) -> Result<(), ClaimError> {
        match self.block_of(net) {
            Some(block) if self.trie.claim(block) => Ok(()),
            Some(block) => Err(self.taken(net, block)),
            None => Err(ClaimError::Outside {
                net,
                pool: self.net,
            }),
        }
    }

    /// Gives back a network that was allocated or claimed as this very network.
    ///
    /// # Errors
    /// When it was not: a second release, a part of an allocation, or several at once.
    pub fn release(&mut self, net: Net) -> Result<(), ReleaseError> {
        match self.block_of(net) {
            Some(block) if self.trie.release(block) => Ok(()),
            block => Err(ReleaseError {
                net,
                pool: self.net,
                overlap: block.and_then(|block| self.overlap_of(block)),
            }),
        }
    }

    /// The first allocation that shares an address with `net`.
    #[must_use]
    pub fn overlaps(&self, net: Net) -> Option<Net> {
        if net.covers(self.net) {
            return self.iter().next();
        }
        self.overlap_of(self.block_of(net)?)
    }

    /// Whether `net` lies in the pool and shares no address with an allocation: whether
    /// [`Pool::claim`] would take it.
    #[must_use]
    pub fn is_free(&self, net: Net) -> bool {
        self.block_of(net)
            .is_some_and(|block| self.trie.overlap(block).is_none())
    }

    /// The largest free network, the lowest of its length; `None` when nothing is free.
    #[must_use]
    pub fn largest_free(&self) -> Option<Net> {
        let len = self.trie.best()?;
        let number = self.trie.find(len, Direction::Up, None)?;
        Some(self.net_of(Block { number, len }))
    }

    /// The maximal free networks by address: disjoint, together all that is not allocated, and
    /// none is half of a larger one that is free.
    #[must_use]
    pub fn free(&self) -> Free<'_> {
        Free::new(self)
    }

    /// How many networks of this length could be allocated if nothing else were: the networks of
    /// this length without an allocated address.
    ///
    /// None for a length that the pool cannot give out. The 2^128 addresses of an empty `::/0`
    /// are counted as `u128::MAX`. Takes time by the number of free blocks.
    #[must_use]
    pub fn count_free(&self, prefix_len: u8) -> u128 {
        let Some(len) = self.len_of(prefix_len) else {
            return 0;
        };
        let blocks = self.trie.free(len).filter(|block| block.len <= len);
        blocks
            .map(|block| 1_u128.checked_shl(len - block.len).unwrap_or(u128::MAX))
            .fold(0, u128::saturating_add)
    }

    /// The allocations by address.
    #[must_use]
    pub fn iter(&self) -> Allocated<'_> {
        Allocated::new(self)
    }

    /// All allocations by address, as a list of their own.
    #[must_use]
    pub fn allocated(&self) -> Vec<Net> {
        self.iter().collect()
    }

    /// This network, or else the next free one of its length behind it.
    pub(crate) fn next_free(&self, net: Net) -> Option<Net> {
        let Block { number, len } = self.block_of(net)?;
        let found = self.trie.find(len, Direction::Up, Some(number))?;
        Some(self.net_at(found, net.prefix_len()))
    }

    #[inline(never)]
    fn allocate_found(&mut self, len: u32, fit: Fit) -> Option<u128> {
        let inside = |block: Block| block.number << (len - block.len);
        let number = match fit {
            Fit::Lowest => self.trie.find(len, Direction::Up, None),
            Fit::Highest => self.trie.find(len, Direction::Down, None),
            Fit::Best => self.trie.find_tightest(len).map(inside),
            Fit::Sparse => {
                let best = self.trie.best().filter(|best| *best <= len)?;
                let number = self.trie.find(best, Direction::Up, None);
                number.map(|number| inside(Block { number, len: best }))
            }
            Fit::Near(number) => {
                let bits = len - self.skip;
                let mask = 1_u64.checked_shl(bits).map_or(u64::MAX, |count| count - 1);
                let bound = Some(u128::from(number & mask));
                self.trie
                    .find(len, Direction::Up, bound)
                    .or_else(|| self.trie.find(len, Direction::Up, None))
            }
        }?;
        self.trie.claim(Block { number, len }).then_some(number)
    }

    fn overlap_of(&self, block: Block) -> Option<Net> {
        self.trie.overlap(block).map(|block| self.net_of(block))
    }

    /// The length as the trie counts it; `None` when the pool has no network of this length.
    fn len_of(&self, prefix_len: u8) -> Option<u32> {
        (self.prefix_len..=self.family.bits())
            .contains(&prefix_len)
            .then(|| u32::from(prefix_len - self.prefix_len) + self.skip)
    }

    /// The length of single addresses as the trie counts it.
    fn longest(&self) -> u32 {
        u32::from(self.family.bits() - self.prefix_len) + self.skip
    }

    /// The network as the trie counts it; `None` when it is not inside the pool.
    fn block_of(&self, net: Net) -> Option<Block> {
        if net.family() != self.family {
            return None;
        }
        let len = self.len_of(net.prefix_len())?;
        let host_bits = u32::from(net.family().bits() - net.prefix_len());
        // A block of 128 host bits is `::/0`, and its number is 0. An address below the pool gives
        // a number far above all that are inside.
        let offset = net.bits().wrapping_sub(self.first);
        let number = offset.checked_shr(host_bits).unwrap_or(0);
        let inside = number.checked_shr(len - self.skip).unwrap_or(0) == 0;
        inside.then_some(Block { number, len })
    }

    fn net_at(&self, number: u128, prefix_len: u8) -> Net {
        let host_bits = u32::from(self.family.bits() - prefix_len);
        let offset = number.checked_shl(host_bits).unwrap_or(0);
        Net::from_bits(self.family, self.first | offset, prefix_len)
    }

    /// The same, without a shift of 128 bits in IPv4.
    #[inline]
    fn net_at_narrow(&self, number: u64, prefix_len: u8) -> Net {
        match self.family {
            Family::V4 => {
                let offset = number << (Family::V4.bits() - prefix_len);
                Net::from_bits(Family::V4, self.first | u128::from(offset), prefix_len)
            }
            Family::V6 => self.net_at(u128::from(number), prefix_len),
        }
    }

    /// Lengths inside a pool are at most 128, so the low byte is all of them.
    fn net_of(&self, Block { number, len }: Block) -> Net {
        let below = (len - self.skip).to_le_bytes()[0];
        self.net_at(number, self.prefix_len + below)
    }

    #[cold]
    fn taken(&self, net: Net, block: Block) -> ClaimError {
        let find = |direction| self.trie.find(block.len, direction, Some(block.number));
        let candidates = [find(Direction::Up), find(Direction::Down)];
        let nearest = candidates
            .into_iter()
            .flatten()
            .min_by_key(|number| number.abs_diff(block.number));
        ClaimError::Taken {
            net,
            // A claim fails only where something is allocated.
            taken: self.overlap_of(block).unwrap_or(net),
            nearest_free: nearest.map(|number| self.net_at(number, net.prefix_len())),
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

/// The same network with the same allocations.
impl PartialEq for Pool {
    fn eq(&self, other: &Self) -> bool {
        self.net == other.net && self.len() == other.len() && self.iter().eq(other)
    }
}

impl Eq for Pool {}

/// How many bits the root of the trie reaches above the pool, so that its levels end at /24 and
/// /30 in IPv4, at /64 and /112 in IPv6: nodes for the usual lengths are full ones then.
fn skip(net: Net) -> u32 {
    let len = u32::from(net.prefix_len());
    match net.family() {
        Family::V4 => len % 6,
        Family::V6 => (len + 2) % 6,
    }
}
