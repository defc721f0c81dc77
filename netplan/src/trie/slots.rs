//! The arithmetic of one node: which of its 64 slots a block is, and which runs of them are free.

use core::ops::{BitOr, Shl, Shr};

/// The bits behind a node's prefix that its slots tell apart.
pub(super) const STRIDE: u32 = 6;

/// The number of a block among all blocks of its length: `u64` when the length allows it, because
/// shifts of `u128` are several times as slow.
pub(super) trait Number:
    Copy + From<u32> + BitOr<Output = Self> + Shl<u32, Output = Self> + Shr<u32, Output = Self>
{
    /// The lowest six bits.
    fn slot(self) -> u32;

    /// This number of bits, all set; fewer than the type has.
    fn ones(count: u32) -> Self;
}

impl Number for u64 {
    fn slot(self) -> u32 {
        (self & 63) as u32
    }

    fn ones(count: u32) -> Self {
        (1 << count) - 1
    }
}

impl Number for u128 {
    fn slot(self) -> u32 {
        (self & 63) as u32
    }

    fn ones(count: u32) -> Self {
        (1 << count) - 1
    }
}

/// The slot of the node at `base` in which the block begins.
#[inline]
pub(super) fn slot_of<N: Number>(number: N, len: u32, base: u32) -> u32 {
    match len.checked_sub(base + STRIDE) {
        Some(shift) => (number >> shift).slot(),
        None => (number << (base + STRIDE - len)).slot(),
    }
}

/// By order: the slots at which an aligned run of `1 << order` slots can begin.
const ALIGNED: [u64; 7] = [
    u64::MAX,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
    1,
];

/// The lowest slot of each free aligned run of `1 << order` slots.
#[inline]
pub(super) fn aligned_runs(free: u64, order: u32) -> u64 {
    let mut runs = free;
    for step in 0..order {
        runs &= runs >> (1_u32 << step);
    }
    runs & ALIGNED[order as usize]
}

/// Whether there is a free aligned run of `1 << order` slots.
#[inline]
pub(super) fn has_run(free: u64, order: u32) -> bool {
    // The highest slots are tried first: lowest fit leaves them for the end.
    free.leading_ones() >= 1 << order || aligned_runs(free, order) != 0
}

/// The lowest slot of each free aligned run that is no part of a longer one.
pub(super) fn maximal_runs(free: u64, order: u32) -> u64 {
    let runs = aligned_runs(free, order);
    if order == STRIDE {
        return runs;
    }
    let longer = aligned_runs(free, order + 1);
    runs & !(longer | longer << (1_u32 << order))
}

/// How many bits below a node's prefix its largest free run of slots begins; `None` without one.
///
/// All orders are computed: a loop that stops at the first miss costs a mispredicted branch.
#[inline]
pub(super) fn largest_run(free: u64) -> Option<u32> {
    if free == 0 {
        return None;
    }
    let pairs = free & free >> 1;
    let fours = pairs & pairs >> 2;
    let eights = fours & fours >> 4;
    let sixteens = eights & eights >> 8;
    let halves = sixteens & sixteens >> 16;
    let order = u32::from(pairs & ALIGNED[1] != 0)
        + u32::from(fours & ALIGNED[2] != 0)
        + u32::from(eights & ALIGNED[3] != 0)
        + u32::from(sixteens & ALIGNED[4] != 0)
        + u32::from(halves & ALIGNED[5] != 0)
        + u32::from(free == u64::MAX);
    Some(STRIDE - order)
}

/// How many bits below the node's prefix the largest free aligned run with this lowest slot is.
pub(super) fn run_at(free: u64, slot: u32) -> u32 {
    (0..STRIDE)
        .find(|below| {
            let first = slot & ((64 >> below) - 1) == 0;
            first && free & slot_mask(slot, *below) == slot_mask(slot, *below)
        })
        .unwrap_or(STRIDE)
}

/// The slots of the block that begins at `slot`, `below` bits under the node's prefix.
#[inline]
pub(super) fn slot_mask(slot: u32, below: u32) -> u64 {
    (u64::MAX >> (64 - (64 >> below))) << slot
}

/// The heads of allocations in one node, as a heap: number `(1 << below) + (slot >> (6 - below))`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads([u64; 2]);

impl Heads {
    pub(super) const NONE: Self = Self([0; 2]);

    #[inline]
    pub(super) fn insert(&mut self, slot: u32, below: u32) {
        let (word, bit) = Self::index(slot, below);
        self.0[word] |= bit;
    }

    /// Whether it was there.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32, below: u32) -> bool {
        let (word, bit) = Self::index(slot, below);
        let there = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        there
    }

    /// First slot and length below the node's prefix of the allocation that covers the slot.
    pub(super) fn over(&self, slot: u32) -> Option<(u32, u32)> {
        (0..=STRIDE).find_map(|below| {
            let (word, bit) = Self::index(slot, below);
            let first = slot & !((64 >> below) - 1);
            (self.0[word] & bit != 0).then_some((first, below))
        })
    }

    #[inline]
    fn index(slot: u32, below: u32) -> (usize, u64) {
        let index = (1_u32 << below) + (slot >> (STRIDE - below));
        ((index >> 6) as usize, 1 << (index & 63))
    }
}
