//! What is written, with its length and checksum.

use super::FilesDiskError;
use crate::{Sha256, digest::Hasher};
use std::io::Write;

/// How much is read and written at once.
pub(super) const COPY_BYTES: usize = 1 << 20;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

pub(super) struct Output<'a, W> {
    out: &'a mut W,
    hasher: Hasher,
    written: u64,
}

impl<'a, W: Write> Output<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Self {
        Self {
            out,
            hasher: Hasher::default(),
            written: 0,
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn all(&mut self, bytes: &[u8]) -> Result<(), FilesDiskError> {
        self.out.write_all(bytes).map_err(FilesDiskError::Write)?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn zeros(&mut self, mut count: u64) -> Result<(), FilesDiskError> {
        while count > 0 {
            let part = usize::try_from(count).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.all(&ZEROS[..part])?;
            count -= part as u64;
        }
        Ok(())
    }

    /// Zeros up to the next multiple of `unit`, where the next cluster begins: all before the first one are a multiple
    /// of every cluster.
    pub(super) fn fill(&mut self, unit: u64) -> Result<(), FilesDiskError> {
        self.zeros(self.written.next_multiple_of(unit) - self.written)
    }

    pub(super) fn finish(self) -> Result<(Sha256, u64), FilesDiskError> {
        self.out.flush().map_err(FilesDiskError::Write)?;
        Ok((self.hasher.finish(), self.written))
    }
}
