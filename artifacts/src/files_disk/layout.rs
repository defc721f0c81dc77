//! Where everything lies on the disk; pure.

use super::FilesDiskError;

/// The only size of a sector that every reader knows.
pub(super) const SECTOR_BYTES: u32 = 512;

/// The table of clusters is there twice, as all writers have it.
pub(super) const TABLES: u32 = 2;

/// The size of a directory's entry.
pub(super) const ENTRY_BYTES: u32 = 32;

/// The first cluster has the number 2, and the root directory begins there.
pub(super) const FIRST_CLUSTER: u32 = 2;

/// A FAT with fewer than 65,525 clusters is FAT16 by definition; 16 more, since readers are known to err by some.
const LEAST_CLUSTERS: u64 = 65_541;

/// Sectors before the tables: at least those that FAT32 writers leave, for boot record, information and their copies.
const LEAST_RESERVED: u32 = 32;

/// Clusters start at multiples of this many sectors, 32 KiB: the largest cluster and the pages of any disk cache.
const ALIGNED_SECTORS: u32 = 64;

/// What a directory may have (2 MiB).
const MOST_SLOTS: u64 = 65_536;

/// The clusters of one file, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first; 0 for an empty file, which has none.
    pub(super) first: u32,
    pub(super) clusters: u32,
    pub(super) bytes: u32,
}

/// The numbers of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) cluster_sectors: u8,
    pub(super) reserved_sectors: u16,
    pub(super) table_sectors: u32,
    pub(super) total_sectors: u32,
    pub(super) clusters: u32,
    root: Extent,
    files: Vec<Extent>,
}

impl Layout {
    /// The disk with a directory of so many entries and files of these sizes.
    pub(super) fn new(slots: u64, sizes: &[u32]) -> Result<Self, FilesDiskError> {
        if slots > MOST_SLOTS {
            return Err(FilesDiskError::TooManyFiles {
                slots,
                most: MOST_SLOTS,
            });
        }
        let too_large = |_| FilesDiskError::DiskTooLarge;
        let root_bytes = u32::try_from(slots * u64::from(ENTRY_BYTES)).map_err(too_large)?;
        let cluster_sectors = cluster_sectors(root_bytes, sizes);
        let used = used(root_bytes, sizes, cluster_sectors);
        let clusters = u32::try_from(used.max(LEAST_CLUSTERS)).map_err(too_large)?;
        let table_bytes = (u64::from(clusters) + u64::from(FIRST_CLUSTER)) * 4;
        let table_sectors = table_bytes.div_ceil(u64::from(SECTOR_BYTES));
        let table_sectors = u32::try_from(table_sectors).map_err(too_large)?;
        let before = LEAST_RESERVED + TABLES * table_sectors;
        let data = before.next_multiple_of(ALIGNED_SECTORS);
        let reserved = LEAST_RESERVED + (data - before);
        let total = u64::from(data) + u64::from(clusters) * u64::from(cluster_sectors);
        let mut layout = Self {
            cluster_sectors,
            reserved_sectors: u16::try_from(reserved).map_err(too_large)?,
            table_sectors,
            total_sectors: u32::try_from(total).map_err(too_large)?,
            clusters,
            root: extent(FIRST_CLUSTER, root_bytes, cluster_sectors),
            files: Vec::new(),
        };
        let mut next = FIRST_CLUSTER + layout.root.clusters;
        for bytes in sizes {
            let extent = extent(next, *bytes, cluster_sectors);
            next += extent.clusters;
            layout.files.push(extent);
        }
        Ok(layout)
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        u64::from(self.total_sectors) * u64::from(SECTOR_BYTES)
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        u64::from(self.cluster_sectors) * u64::from(SECTOR_BYTES)
    }

    /// Those of the files, in their order.
    pub(super) fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        self.files.iter().copied()
    }

    /// All that take clusters, in the order of these: the root directory and the files.
    pub(super) fn chains(&self) -> impl Iterator<Item = Extent> + '_ {
        let files = self.extents().filter(|extent| extent.clusters > 0);
        std::iter::once(self.root).chain(files)
    }
}

/// The largest cluster with which the disk is a FAT32: the fewer clusters, the less a guest reads to find its way.
fn cluster_sectors(root_bytes: u32, sizes: &[u32]) -> u8 {
    [64, 32, 16, 8, 4, 2]
        .into_iter()
        .find(|sectors| used(root_bytes, sizes, *sectors) >= LEAST_CLUSTERS)
        .unwrap_or(1)
}

fn used(root_bytes: u32, sizes: &[u32], cluster_sectors: u8) -> u64 {
    let all = std::iter::once(&root_bytes).chain(sizes);
    let clusters = all.map(|bytes| extent(FIRST_CLUSTER, *bytes, cluster_sectors).clusters);
    clusters.map(u64::from).sum()
}

fn extent(first: u32, bytes: u32, cluster_sectors: u8) -> Extent {
    let clusters = bytes.div_ceil(u32::from(cluster_sectors) * SECTOR_BYTES);
    Extent {
        first: if clusters == 0 { 0 } else { first },
        clusters,
        bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNED_SECTORS, FilesDiskError, LEAST_CLUSTERS, Layout, MOST_SLOTS};

    #[test]
    fn clusters_are_as_large_as_fat32_allows() {
        for (sizes, cluster_sectors, disk_mib) in [
            (vec![], 1, 32),
            (vec![0, 1, 512, 513], 1, 32),
            (vec![60 << 20], 1, 60),
            (vec![70 << 20], 2, 70),
            (vec![600 << 20, 90 << 20], 16, 690),
            (vec![u32::MAX; 3], 64, 12_291),
        ] {
            let layout = Layout::new(10, &sizes).unwrap();
            assert_eq!(layout.cluster_sectors, cluster_sectors, "{sizes:?}");
            assert_eq!(layout.disk_bytes() >> 20, disk_mib, "{sizes:?}");
            assert!(u64::from(layout.clusters) >= LEAST_CLUSTERS);
            let tables = super::TABLES * layout.table_sectors;
            let data = u32::from(layout.reserved_sectors) + tables;
            assert!(data.is_multiple_of(ALIGNED_SECTORS), "{layout:?}");
        }
    }

    #[test]
    fn no_cluster_is_left_out_or_used_twice() {
        let sizes = [0, 1, 512, 0, 513, 40 << 20, 0];
        let layout = Layout::new(40, &sizes).unwrap();
        let mut next = super::FIRST_CLUSTER;
        for chain in layout.chains() {
            assert_eq!(chain.first, next);
            next += chain.clusters;
        }
        let empty = layout.extents().filter(|extent| extent.first == 0);
        assert!(empty.map(|extent| extent.bytes).eq([0, 0, 0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let many = Layout::new(MOST_SLOTS + 1, &[]).unwrap_err();
        assert!(matches!(many, FilesDiskError::TooManyFiles { .. }));
        assert!(Layout::new(MOST_SLOTS, &[]).is_ok());
        let large = Layout::new(1, &[u32::MAX; 513]).unwrap_err();
        assert!(matches!(large, FilesDiskError::DiskTooLarge));
    }
}
