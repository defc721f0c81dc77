//! Where a cluster of the disk is in the file: one entry of a table of the second level.

use super::{Qcow2Error, Qcow2Header};

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cluster {
    /// Nothing was ever written there, or zeros were.
    Zero,
    /// The cluster itself.
    Plain { offset: u64 },
    /// A compressed one, in at most so many bytes.
    Compressed { offset: u64, bytes: u64 },
}

/// Bits 9 to 55 of an entry of either level.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// Version 3 only; in version 2 the bit is reserved.
const ZERO: u64 = 1;

impl Cluster {
    pub(super) fn of(entry: u64, index: u64, header: &Qcow2Header) -> Result<Self, Qcow2Error> {
        if entry & COMPRESSED != 0 {
            // The offset takes fewer bits the larger clusters are, and the rest counts sectors of 512 bytes that follow
            // the one in which the offset lies.
            let width = 62 - (header.cluster_bits - 8);
            let offset = entry & ((1 << width) - 1);
            let more_sectors = (entry & (COMPRESSED - 1)) >> width;
            let bytes = (more_sectors + 1) * 512 - offset % 512;
            return Ok(Self::Compressed { offset, bytes });
        }
        let offset = entry & OFFSET;
        if offset == 0 || (header.version >= 3 && entry & ZERO != 0) {
            return Ok(Self::Zero);
        }
        aligned("L2", index, offset, header)?;
        Ok(Self::Plain { offset })
    }
}

/// The offset of a table of the second level; none if nothing was ever written to its part of the disk.
pub(super) fn l2_offset(
    entry: u64,
    index: u64,
    header: &Qcow2Header,
) -> Result<Option<u64>, Qcow2Error> {
    let offset = entry & OFFSET;
    aligned("L1", index, offset, header)?;
    Ok((offset != 0).then_some(offset))
}

fn aligned(
    table: &'static str,
    index: u64,
    offset: u64,
    header: &Qcow2Header,
) -> Result<(), Qcow2Error> {
    if offset.is_multiple_of(header.cluster_bytes()) {
        return Ok(());
    }
    Err(Qcow2Error::Offset {
        table,
        index,
        offset,
        rule: "is not the beginning of a cluster",
    })
}

#[cfg(test)]
mod tests {
    use super::{Cluster, l2_offset};
    use crate::image::Qcow2Header;

    fn header(version: u32) -> Qcow2Header {
        Qcow2Header {
            version,
            disk_bytes: 1 << 30,
            cluster_bits: 16,
            l1_offset: 65_536,
            l1_entries: 2,
        }
    }

    #[test]
    fn entries() {
        let of = |version, entry| Cluster::of(entry, 0, &header(version)).unwrap();
        let plain = Cluster::Plain { offset: 0x50000 };
        assert_eq!(of(3, 0x50000 | 1 << 63), plain);
        assert_eq!(of(3, 0x50001), Cluster::Zero);
        assert_eq!(of(2, 0x50001), plain);
        assert_eq!(of(2, 0), Cluster::Zero);
        // 62 - (16 - 8) = 54 bits of offset; three more sectors than the one of the offset.
        let entry = 1 << 62 | 3 << 54 | 0x50123;
        let (offset, bytes) = (0x50123, 4 * 512 - 0x123);
        assert_eq!(of(3, entry), Cluster::Compressed { offset, bytes });
        assert_eq!(
            l2_offset(0x50000 | 1 << 63, 0, &header(3)).unwrap(),
            Some(0x50000)
        );
        assert_eq!(l2_offset(0, 0, &header(3)).unwrap(), None);
    }

    #[test]
    fn entries_between_two_clusters() {
        let rule = "which is not the beginning of a cluster";
        assert_eq!(
            Cluster::of(0x50200, 7, &header(3)).unwrap_err().to_string(),
            format!("it is damaged: L2 entry 7 points to byte 328192, {rule}")
        );
        assert_eq!(
            l2_offset(0x200, 1, &header(3)).unwrap_err().to_string(),
            format!("it is damaged: L1 entry 1 points to byte 512, {rule}")
        );
    }
}
