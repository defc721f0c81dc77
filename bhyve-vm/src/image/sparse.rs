//! A raw disk written with holes where it has nothing but zeros.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// Whole parts of zeros become holes; a hole ends where a part with anything in it begins.
const PART_BYTES: usize = 64 * 1024;

/// Compared with as a whole, which is as fast in a build without optimization as in one with it.
static ZEROS: [u8; PART_BYTES] = [0; PART_BYTES];

/// Writes one after the other, and leaves out what is zero. What is written into has to be empty, or all zeros.
pub(super) struct Sparse<'a, W> {
    out: &'a mut W,
    length: u64,
    hole: u64,
    data_bytes: u64,
}

impl<'a, W: Write + Seek> Sparse<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Self {
        Self {
            out,
            length: 0,
            hole: 0,
            data_bytes: 0,
        }
    }

    pub(super) fn zeros(&mut self, count: u64) {
        self.length += count;
        self.hole += count;
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(PART_BYTES) {
            let length = part.len() as u64;
            if *part == ZEROS[..part.len()] {
                self.zeros(length);
                continue;
            }
            self.skip(self.hole)?;
            self.out.write_all(part)?;
            self.hole = 0;
            self.length += length;
            self.data_bytes += length;
        }
        Ok(())
    }

    /// All of `source`.
    pub(super) fn copy(&mut self, source: &mut impl Read) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(PART_BYTES);
        loop {
            buffer.clear();
            source.take(PART_BYTES as u64).read_to_end(&mut buffer)?;
            if buffer.is_empty() {
                return Ok(());
            }
            self.bytes(&buffer)?;
        }
    }

    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let step = i64::try_from(count).unwrap_or(i64::MAX);
            self.out.seek(SeekFrom::Current(step))?;
            count -= step.unsigned_abs();
        }
        Ok(())
    }

    /// Gives the disk its full length: a hole at the end is made by its last byte. Returns the length and how much
    /// of it was written.
    pub(super) fn finish(mut self) -> io::Result<(u64, u64)> {
        if let Some(before) = self.hole.checked_sub(1) {
            self.skip(before)?;
            self.out.write_all(&[0])?;
        }
        self.out.flush()?;
        Ok((self.length, self.data_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Sparse;
    use std::io::Cursor;

    fn written(parts: &[&[u8]]) -> (Vec<u8>, u64, u64) {
        let mut out = Cursor::new(Vec::new());
        let mut sparse = Sparse::new(&mut out);
        for part in parts {
            sparse.bytes(part).unwrap();
        }
        let (length, data) = sparse.finish().unwrap();
        (out.into_inner(), length, data)
    }

    #[test]
    fn zeros_are_left_out_and_the_length_is_kept() {
        let (zeros, ones) = (vec![0; 100_000], vec![1; 70_000]);
        for (parts, data) in [
            (vec![], 0),
            (vec![&zeros[..]], 0),
            (vec![&ones[..]], 70_000),
            (vec![&zeros[..], &ones[..], &zeros[..]], 70_000),
            (vec![&ones[..1], &zeros[..], &ones[..1], &zeros[..1]], 2),
        ] {
            let whole = parts.concat();
            assert_eq!(written(&parts), (whole.clone(), whole.len() as u64, data));
            let mut out = Cursor::new(Vec::new());
            let mut sparse = Sparse::new(&mut out);
            sparse.copy(&mut whole.as_slice()).unwrap();
            sparse.finish().unwrap();
            assert_eq!(out.into_inner(), whole);
        }
    }
}
