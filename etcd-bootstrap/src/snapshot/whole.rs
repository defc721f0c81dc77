//! Whether a snapshot is whole: its checksum. Pure.
//!
//! etcd ends the stream of a snapshot with the SHA-256 of all before it (etcd's source, `api/v3rpc/maintenance.go`), and
//! the store before it is a number of pages. etcdctl looks at the size alone when it has received one, and `etcdutl
//! snapshot status` not even at that; only a restore compares the sum. Here it is always compared.

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
        bytes: usize,
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
    let store = bytes.len().checked_sub(SUM_BYTES);
    let store = store.filter(|store| *store > 0 && store.is_multiple_of(SECTOR_BYTES));
    let Some(store) = store else {
        let bytes = bytes.len();
        return Err(Damage::Size { bytes });
    };
    let (store, sum) = bytes.split_at(store);
    if digest::digest(&digest::SHA256, store).as_ref() == sum {
        Ok(())
    } else {
        Err(Damage::Sum)
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
    }
}
