//! Iterators over a pool.

use core::iter::FusedIterator;

use super::Pool;
use crate::net::Net;
use crate::trie::Blocks;

/// The allocations of a pool in order of address; made by [`Pool::iter`].
#[derive(Clone, Debug)]
pub struct Allocated<'a> {
    pool: &'a Pool,
    blocks: Blocks<'a>,
    left: usize,
}

/// The maximal free networks of a pool in order of address; made by [`Pool::free`].
#[derive(Clone, Debug)]
pub struct Free<'a> {
    pool: &'a Pool,
    blocks: Blocks<'a>,
}

impl<'a> Allocated<'a> {
    pub(super) fn new(pool: &'a Pool) -> Self {
        Self {
            pool,
            blocks: pool.trie.allocated(),
            left: pool.len(),
        }
    }
}

impl<'a> Free<'a> {
    pub(super) fn new(pool: &'a Pool) -> Self {
        Self {
            pool,
            blocks: pool.trie.free(pool.longest()),
        }
    }
}

impl Iterator for Allocated<'_> {
    type Item = Net;

    fn next(&mut self) -> Option<Net> {
        let block = self.blocks.next()?;
        self.left -= 1;
        Some(self.pool.net_of(block))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Allocated<'_> {}

impl FusedIterator for Allocated<'_> {}

impl Iterator for Free<'_> {
    type Item = Net;

    fn next(&mut self) -> Option<Net> {
        self.blocks.next().map(|block| self.pool.net_of(block))
    }
}

impl FusedIterator for Free<'_> {}

impl<'a> IntoIterator for &'a Pool {
    type Item = Net;
    type IntoIter = Allocated<'a>;

    fn into_iter(self) -> Allocated<'a> {
        self.iter()
    }
}
