//! Whether a snapshot is whole: its checksum. Pure.
//!
//! etcd ends the stream of a snapshot with the SHA-256 of all before it (etcd's source, `api/v3rpc/maintenance.go`), and
//! the store before it is a number of pages. etcdctl looks at the size alone when it has received one, and `etcdutl
//! snapshot status` not even at that; only a restore compares the sum. Here it is always compared.

use host_exec::Sha256Hex;
use ring::digest;

/// The length of the checksum.
const SUM_BYTES: usize = 32;
/// The least that a page has, and what etcd itself divides by.
const SECTOR_BYTES: usize = 512;

/// Bytes that are no whole snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It ends too early, or is something else.
    #[error(
        "it has {bytes} bytes, and a snapshot has a multiple of 512 and 32 more: it was cut, or is a copy of \
         member/snap/db, which has no checksum"
    )]
    Size {
        /// How many there are.
        bytes: u64,
    },
    /// Some byte is not what etcd has sent.
    #[error("its checksum does not fit what is before it: a part of it was changed or lost")]
    Sum,
}

/// Whether these bytes are a snapshot as etcd has sent it, to the last bit.
///
/// # Errors
///
/// They were cut at any place, or any bit differs.
pub fn check_whole(bytes: &[u8]) -> Result<(), Damage> {
    let mut check = Check::new();
    check.update(bytes);
    check.end().whole
}

/// The same piece by piece, since a snapshot may have gigabytes.
pub(crate) struct Check {
    /// Over all but the last bytes, which may be the checksum.
    sum: digest::Context,
    last: Vec<u8>,
    bytes: u64,
}

/// What was found out about a file that was read to its end.
pub(crate) struct Checked {
    pub(crate) bytes: u64,
    /// The checksum of the whole file.
    pub(crate) sha256: Sha256Hex,
    pub(crate) whole: Result<(), Damage>,
}

impl Check {
    pub(crate) fn new() -> Self {
        Self {
            sum: digest::Context::new(&digest::SHA256),
            last: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        let of_store = (self.last.len() + piece.len()).saturating_sub(SUM_BYTES);
        let (from_last, from_piece) = match of_store.checked_sub(self.last.len()) {
            Some(rest) => (self.last.len(), rest),
            None => (of_store, 0),
        };
        self.sum.update(&self.last[..from_last]);
        self.sum.update(&piece[..from_piece]);
        self.last.drain(..from_last);
        self.last.extend_from_slice(&piece[from_piece..]);
    }

    pub(crate) fn end(self) -> Checked {
        let Self { sum, last, bytes } = self;
        let mut all = sum.clone();
        all.update(&last);
        let digits = all.finish();
        let digits: String = digits.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let store = bytes.checked_sub(SUM_BYTES as u64);
        let store = store.filter(|store| *store > 0 && store.is_multiple_of(SECTOR_BYTES as u64));
        let whole = match store {
            None => Err(Damage::Size { bytes }),
            Some(_) if sum.finish().as_ref() == last => Ok(()),
            Some(_) => Err(Damage::Sum),
        };
        Checked {
            bytes,
            sha256: digits.parse().expect("64 hexadecimal digits"),
            whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(sectors: usize, seed: u8) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..sectors * SECTOR_BYTES)
            .map(|at| u8::try_from(at % 251).unwrap() ^ seed)
            .collect();
        let sum = digest::digest(&digest::SHA256, &bytes);
        bytes.extend_from_slice(sum.as_ref());
        bytes
    }

    #[test]
    fn a_snapshot_cut_at_any_byte_is_refused() {
        let bytes = whole(16, 0);
        assert_eq!(check_whole(&bytes), Ok(()));
        for cut in 0..bytes.len() {
            assert!(check_whole(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn a_snapshot_with_any_bit_flipped_is_refused(
            sectors in 1_usize..40, seed: u8, at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let mut bytes = whole(sectors, seed);
            prop_assert_eq!(check_whole(&bytes), Ok(()));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(check_whole(&bytes).is_err());
        }

        #[test]
        fn how_a_snapshot_is_cut_into_pieces_changes_nothing(
            sectors in 1_usize..10, pieces in prop::collection::vec(1_usize..1000, 1..40),
        ) {
            let bytes = whole(sectors, 0);
            let (mut check, mut rest) = (Check::new(), &bytes[..]);
            for length in pieces {
                let (piece, after) = rest.split_at(length.min(rest.len()));
                check.update(piece);
                rest = after;
            }
            check.update(rest);
            let checked = check.end();
            prop_assert_eq!(checked.whole, Ok(()));
            prop_assert_eq!(checked.bytes, bytes.len() as u64);
            prop_assert_eq!(checked.sha256, Sha256Hex::of(&bytes));
        }
    }
}
