//! The header of a qcow2 image.

use super::Qcow2Error;

/// What a header says, once it is known that the image can be read.
///
/// Its clusters are as they are or compressed with deflate (RFC 1951), each for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qcow2Header {
    /// 2 or 3.
    pub version: u32,
    /// The size of the disk, in bytes.
    pub disk_bytes: u64,
    /// The size of a cluster is 2 to the power of this: 9 to 21.
    pub cluster_bits: u32,
    pub(super) l1_offset: u64,
    pub(super) l1_entries: u32,
}

/// Far more than any disk here, and little enough for every number below to stay in its type.
const LARGEST_DISK_BYTES: u64 = 1 << 46;

/// QEMU's own limit for L1, in entries of 8 bytes.
const LARGEST_L1_BYTES: u64 = 32 << 20;

/// The bits of `incompatible_features` (version 3).
const FEATURES: [(u32, &str); 3] = [
    (2, "an external data file"),
    (3, "another compression than zlib"),
    (4, "extended L2 entries"),
];
/// "Dirty" says that reference counts may be wrong; a reader has no use for these.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 2;

/// Reads numbers at fixed places, in network byte order.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&self, at: usize) -> Result<u32, Qcow2Error> {
        let bytes = self
            .0
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(u32::from_be_bytes)
            .ok_or_else(|| self.truncated(at + 4))
    }

    fn u64(&self, at: usize) -> Result<u64, Qcow2Error> {
        let bytes = self
            .0
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(u64::from_be_bytes)
            .ok_or_else(|| self.truncated(at + 8))
    }

    fn truncated(&self, needed: usize) -> Qcow2Error {
        Qcow2Error::Truncated {
            needed: needed as u64,
            file_bytes: self.0.len() as u64,
        }
    }
}

impl Qcow2Header {
    /// How many bytes of a file have to be seen; fewer if it has fewer.
    pub const HEAD_BYTES: usize = 112;

    /// Reads the header of a file that begins with `head`.
    ///
    /// # Errors
    ///
    /// No qcow2, or an image that cannot be read here: with a backing file, encrypted, marked as corrupt, with features
    /// that are not known, or with numbers out of their bounds. Snapshots within the image are *not* an error: the
    /// disk is read as it was last. Neither is the mark "dirty".
    pub fn parse(head: &[u8]) -> Result<Self, Qcow2Error> {
        if !head.starts_with(b"QFI\xfb") {
            return Err(Qcow2Error::NotQcow2);
        }
        let fields = Fields(head);
        let version = fields.u32(4)?;
        if !(2..=3).contains(&version) {
            return Err(Qcow2Error::Version { version });
        }
        if fields.u64(8)? != 0 {
            return Err(Qcow2Error::BackingFile);
        }
        if fields.u32(32)? != 0 {
            return Err(Qcow2Error::Encrypted);
        }
        if version == 3 {
            check_features(fields.u64(72)?)?;
        }
        let header = Self {
            version,
            disk_bytes: fields.u64(24)?,
            cluster_bits: fields.u32(20)?,
            l1_offset: fields.u64(40)?,
            l1_entries: fields.u32(36)?,
        };
        header.check()?;
        Ok(header)
    }

    /// The size of a cluster, in bytes.
    pub fn cluster_bytes(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// How many clusters one table of the second level describes.
    pub(super) fn clusters_per_l2(&self) -> u64 {
        self.cluster_bytes() / 8
    }

    fn check(&self) -> Result<(), Qcow2Error> {
        let field = |field, value, rule| Err(Qcow2Error::Field { field, value, rule });
        if !(9..=21).contains(&self.cluster_bits) {
            return field(
                "cluster_bits",
                self.cluster_bits.into(),
                "has to be 9 to 21",
            );
        }
        if self.disk_bytes == 0 || self.disk_bytes > LARGEST_DISK_BYTES {
            return field("size", self.disk_bytes, "has to be 1 byte to 64 TiB");
        }
        let clusters = self.disk_bytes.div_ceil(self.cluster_bytes());
        let needed = clusters.div_ceil(self.clusters_per_l2());
        let entries = u64::from(self.l1_entries);
        if entries < needed {
            return field("l1_size", entries, "is too small for the size of the disk");
        }
        if entries * 8 > LARGEST_L1_BYTES {
            return field("l1_size", entries, "has to be at most 4194304");
        }
        if !self.l1_offset.is_multiple_of(self.cluster_bytes()) || self.l1_offset == 0 {
            return field(
                "l1_table_offset",
                self.l1_offset,
                "has to be that of a cluster",
            );
        }
        Ok(())
    }
}

fn check_features(bits: u64) -> Result<(), Qcow2Error> {
    if bits & CORRUPT != 0 {
        return Err(Qcow2Error::Corrupt);
    }
    let known = FEATURES.iter().filter(|(bit, _)| bits & (1 << bit) != 0);
    let mut names: Vec<&str> = known.map(|(_, name)| *name).collect();
    let all = FEATURES
        .iter()
        .fold(DIRTY | CORRUPT, |all, (bit, _)| all | 1 << bit);
    if bits & !all != 0 {
        names.push("a feature newer than this reader");
    }
    if names.is_empty() {
        return Ok(());
    }
    let feature = names.join(" and ");
    Err(Qcow2Error::Feature { feature })
}
