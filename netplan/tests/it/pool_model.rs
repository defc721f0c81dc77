//! The pool against a model that has one truth value per unit and tries every block.

use std::collections::BTreeSet;

use netplan::{AllocateError, ClaimError, Fit, Net, Pool, ReleaseError};
use proptest::prelude::*;

use crate::net;

/// A block of the model: first unit, and length below the pool's own.
type Block = (usize, u8);

/// The first `bits` bits below the prefix of a pool, unit by unit.
struct Model {
    pool: Net,
    bits: u8,
    taken: Vec<bool>,
    /// How many units below each one are taken: sums of `taken`, to be quick.
    below: Vec<usize>,
    used: BTreeSet<Block>,
}

impl Model {
    fn new(pool: Net, bits: u8) -> Self {
        Self {
            pool,
            bits,
            taken: vec![false; 1 << bits],
            below: vec![0; (1 << bits) + 1],
            used: BTreeSet::new(),
        }
    }

    fn units(&self, (start, len): Block) -> std::ops::Range<usize> {
        start..start + (1 << (self.bits - len))
    }

    fn is_free(&self, block: Block) -> bool {
        let units = self.units(block);
        self.below[units.start] == self.below[units.end]
    }

    fn set(&mut self, block: Block, taken: bool) {
        let units = self.units(block);
        self.taken[units].fill(taken);
        for (at, taken) in self.taken.iter().enumerate() {
            self.below[at + 1] = self.below[at] + usize::from(*taken);
        }
        if taken {
            assert!(self.used.insert(block));
        } else {
            assert!(self.used.remove(&block));
        }
    }

    /// The number of a block among those of its length, the other way round.
    fn block(&self, number: usize, len: u8) -> Block {
        (number << (self.bits - len), len)
    }

    fn free_of(&self, len: u8) -> Vec<Block> {
        let all = (0..1_usize << len).map(|number| self.block(number, len));
        all.filter(|block| self.is_free(*block)).collect()
    }

    /// Free blocks whose parent is not free, by address.
    fn maximal(&self) -> Vec<Block> {
        let mut all: Vec<Block> = (0..=self.bits)
            .flat_map(|len| self.free_of(len))
            .filter(|(start, len)| {
                *len == 0 || {
                    let parent = start >> (self.bits - len + 1) << (self.bits - len + 1);
                    !self.is_free((parent, len - 1))
                }
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// What the documentation of [`Fit`] promises.
    fn pick(&self, len: u8, fit: Fit) -> Option<Block> {
        let free = self.free_of(len);
        let fitting = self.maximal().into_iter().filter(|(_, own)| *own <= len);
        match fit {
            Fit::Lowest => free.first().copied(),
            Fit::Highest => free.last().copied(),
            Fit::Best => fitting
                .min_by_key(|(start, own)| (len - own, *start))
                .map(|(start, _)| (start, len)),
            Fit::Sparse => fitting
                .min_by_key(|(start, own)| (*own, *start))
                .map(|(start, _)| (start, len)),
            Fit::Near(n) => {
                let number = usize::try_from(n % (1 << len)).expect("small");
                let behind = free.iter().find(|block| **block >= self.block(number, len));
                behind.or(free.first()).copied()
            }
        }
    }

    /// The free block of this length nearest to the block; the higher one of two.
    fn nearest(&self, (start, len): Block) -> Option<Block> {
        let free = self.free_of(len).into_iter().rev();
        free.min_by_key(|(other, _)| other.abs_diff(start))
    }

    fn overlap(&self, block: Block) -> Option<Block> {
        let units = self.units(block);
        let shares = |other: &&Block| {
            let other = self.units(**other);
            other.start < units.end && units.start < other.end
        };
        self.used.iter().find(shares).copied()
    }

    fn net(&self, (start, len): Block) -> Net {
        let host_bits = self.pool.family().bits() - self.pool.prefix_len() - self.bits;
        let address = self.pool.nth((start as u128) << host_bits);
        Net::new(address.expect("inside"), self.pool.prefix_len() + len).expect("aligned")
    }

    fn nets(&self, blocks: impl IntoIterator<Item = Block>) -> Vec<Net> {
        blocks.into_iter().map(|block| self.net(block)).collect()
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Allocate(u8, Fit),
    Claim(u8, usize),
    Release(usize),
    ReleaseAny(u8, usize),
}

fn fit() -> impl Strategy<Value = Fit> {
    prop_oneof![
        Just(Fit::Lowest),
        Just(Fit::Highest),
        Just(Fit::Best),
        Just(Fit::Sparse),
        any::<u64>().prop_map(Fit::Near),
    ]
}

/// Lengths are given modulo those of the pool; long ones come more often, so that a sequence has
/// many allocations before the pool is full.
fn len() -> impl Strategy<Value = u8> {
    prop_oneof![1 => 0..=3_u8, 6 => 3..=10_u8]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (len(), fit()).prop_map(|(len, fit)| Operation::Allocate(len, fit)),
        3 => (len(), any::<usize>()).prop_map(|(len, n)| Operation::Claim(len, n)),
        5 => any::<usize>().prop_map(Operation::Release),
        1 => (len(), any::<usize>()).prop_map(|(len, n)| Operation::ReleaseAny(len, n)),
    ]
}

/// Pool and number of bits below it: both families, each place of the levels in the trie, the
/// ends of a family, and units that are networks and not addresses.
fn universe() -> impl Strategy<Value = (Net, u8)> {
    let whole = |bits: u8| {
        prop_oneof![
            Just(format!("10.77.0.0/{}", 32 - bits)),
            Just(format!("fd00::/{}", 128 - bits)),
            Just(format!(
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fc00/{}",
                128 - bits
            )),
        ]
        .prop_map(move |text| (text, bits))
    };
    let upper = prop_oneof![
        Just(("0.0.0.0/0".to_owned(), 9)),
        Just(("::/0".to_owned(), 9)),
        Just(("255.254.0.0/15".to_owned(), 10)),
        Just(("10.0.0.0/8".to_owned(), 7)),
        Just(("fd5c:1b2a:9e10::/48".to_owned(), 10)),
        Just(("fd5c:1b2a:9e10::/44".to_owned(), 8)),
    ];
    let whole = (0..=10_u8).prop_flat_map(whole);
    prop_oneof![3 => whole, 2 => upper].prop_map(|(text, bits)| {
        let (address, len) = text.split_once('/').expect("as above");
        let len = len.parse().expect("as above");
        let pool = Net::containing(address.parse().expect("as above"), len);
        (pool.expect("as above"), bits)
    })
}

fn allocate(pool: &mut Pool, model: &mut Model, len: u8, fit: Fit) -> Result<(), TestCaseError> {
    let expected = model.pick(len, fit);
    let prefix_len = model.pool.prefix_len() + len;
    match pool.allocate(prefix_len, fit) {
        Ok(net) => {
            prop_assert_eq!(
                Some(net),
                expected.map(|block| model.net(block)),
                "{:?}",
                fit
            );
            model.set(expected.expect("as compared"), true);
        }
        Err(AllocateError::Exhausted { largest_free, .. }) => {
            prop_assert_eq!(expected, None);
            let largest = model.pick(model.bits, Fit::Sparse).and_then(|(start, _)| {
                model
                    .maximal()
                    .into_iter()
                    .find(|(first, _)| *first == start)
            });
            prop_assert_eq!(largest_free, largest.map(|block| model.net(block)));
        }
        Err(other) => return Err(TestCaseError::fail(other.to_string())),
    }
    Ok(())
}

fn claim(pool: &mut Pool, model: &mut Model, block: Block) -> Result<(), TestCaseError> {
    let net = model.net(block);
    prop_assert_eq!(pool.is_free(net), model.is_free(block));
    let overlap = model.overlap(block).map(|block| model.net(block));
    prop_assert_eq!(pool.overlaps(net), overlap);
    match pool.claim(net) {
        Ok(()) => model.set(block, true),
        Err(ClaimError::Taken {
            taken,
            nearest_free,
            ..
        }) => {
            prop_assert_eq!(Some(taken), overlap);
            let nearest = model.nearest(block).map(|block| model.net(block));
            prop_assert_eq!(nearest_free, nearest);
        }
        Err(other) => return Err(TestCaseError::fail(other.to_string())),
    }
    prop_assert!(overlap.is_some() || model.used.contains(&block));
    Ok(())
}

fn release(pool: &mut Pool, model: &mut Model, block: Block) -> Result<(), TestCaseError> {
    let net = model.net(block);
    if model.used.contains(&block) {
        model.set(block, false);
        prop_assert_eq!(pool.release(net), Ok(()));
    } else {
        let error = ReleaseError {
            net,
            pool: pool.net(),
            overlap: model.overlap(block).map(|block| model.net(block)),
        };
        prop_assert_eq!(pool.release(net), Err(error));
    }
    Ok(())
}

/// All that a pool tells is what the model has: used and free together are the pool, disjoint.
fn same_state(pool: &Pool, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(pool.len(), model.used.len());
    prop_assert_eq!(pool.allocated(), model.nets(model.used.iter().copied()));
    let maximal = model.maximal();
    prop_assert_eq!(pool.free().collect::<Vec<_>>(), model.nets(maximal.clone()));
    let largest = maximal.iter().min_by_key(|(start, len)| (*len, *start));
    prop_assert_eq!(pool.largest_free(), largest.map(|block| model.net(*block)));
    for len in 0..=model.bits {
        let free = model.free_of(len).len() as u128;
        prop_assert_eq!(pool.count_free(model.pool.prefix_len() + len), free);
    }
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_a_search_of_all_blocks(
        (net, bits) in universe(),
        operations in prop::collection::vec(operation(), 1..60),
    ) {
        let mut pool = Pool::new(net);
        let mut model = Model::new(net, bits);
        for operation in operations {
            match operation {
                Operation::Allocate(len, fit) => {
                    allocate(&mut pool, &mut model, len % (bits + 1), fit)?;
                }
                Operation::Claim(len, n) => {
                    let len = len % (bits + 1);
                    let block = model.block(n % (1 << len), len);
                    claim(&mut pool, &mut model, block)?;
                }
                Operation::Release(n) => {
                    let at = n % model.used.len().max(1);
                    if let Some(block) = model.used.iter().nth(at).copied() {
                        release(&mut pool, &mut model, block)?;
                    }
                }
                Operation::ReleaseAny(len, n) => {
                    let len = len % (bits + 1);
                    let block = model.block(n % (1 << len), len);
                    release(&mut pool, &mut model, block)?;
                }
            }
            same_state(&pool, &model)?;
        }
    }

    #[test]
    fn a_release_undoes_an_allocation(
        claims in prop::collection::vec((0..=10_u8, any::<u64>()), 0..40),
        len in 0..=10_u8,
        fit in fit(),
    ) {
        let mut pool = Pool::new(net("fd5c:1b2a:9e10::/48"));
        for (len, n) in claims {
            let _full = pool.allocate(48 + len, Fit::Near(n));
        }
        let before = pool.clone();
        if let Ok(net) = pool.allocate(48 + len, fit) {
            prop_assert_ne!(&pool, &before);
            prop_assert!(pool.claim(net).is_err());
            prop_assert!(!pool.is_free(net));
            pool.release(net).expect("allocated above");
            prop_assert!(pool.is_free(net));
        }
        prop_assert_eq!(&pool, &before);
        prop_assert!(pool.free().eq(before.free()));
    }
}
