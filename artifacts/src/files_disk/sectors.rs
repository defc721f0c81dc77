//! What is before the first cluster: boot record, counts, and the table of clusters.

use super::{
    DiskLabel,
    layout::{FIRST_CLUSTER, Layout, SECTOR_BYTES, TABLES},
};

/// The size of a sector where it counts bytes in memory.
const SECTOR: usize = 512;

/// Where the copies of boot record and counts are.
const COPY_SECTOR: usize = 6;

/// A disk that cannot be taken out; the first byte of the table repeats it.
const FIXED_DISK: u8 = 0xf8;

/// The last cluster of a chain. The first entries of the table, with all bits set, say too that the disk was
/// unmounted in order and has no bad sectors.
const END_OF_CHAIN: u32 = 0x0fff_ffff;

/// The sectors before the tables.
pub(super) fn reserved(layout: &Layout, label: &DiskLabel) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(layout.reserved_sectors) * SECTOR];
    for first in [0, COPY_SECTOR] {
        bytes[first * SECTOR..][..SECTOR].copy_from_slice(&boot_record(layout, label));
        bytes[(first + 1) * SECTOR..][..SECTOR].copy_from_slice(&counts(layout));
    }
    bytes
}

/// The BIOS parameter block of FAT32; the numbers are offsets in it.
fn boot_record(layout: &Layout, label: &DiskLabel) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    // A jump, though to nothing that could be started: readers look for it.
    put(0, &[0xeb, 0x58, 0x90]);
    put(3, b"LAB     ");
    put(11, &SECTOR_BYTES.to_le_bytes()[..2]);
    put(13, &[layout.cluster_sectors]);
    put(14, &layout.reserved_sectors.to_le_bytes());
    put(16, &TABLES.to_le_bytes()[..1]);
    put(21, &[FIXED_DISK]);
    // Sectors per track and heads, which only a BIOS of another time asked for.
    put(24, &[32, 0, 8, 0]);
    put(32, &layout.total_sectors.to_le_bytes());
    put(36, &layout.table_sectors.to_le_bytes());
    put(44, &FIRST_CLUSTER.to_le_bytes());
    // The sector with the counts, and that of the copies.
    put(48, &[1, 0, 6, 0]);
    // The number of a first fixed disk, and the mark that the next three are there.
    put(64, &[0x80, 0, 0x29]);
    // The serial number: something that is the same for the same disk.
    put(67, &layout.total_sectors.to_le_bytes());
    put(71, label.field());
    put(82, b"FAT32   ");
    put(510, &[0x55, 0xaa]);
    sector
}

/// How many clusters are free, and where the first of them is: the "FSInfo" sector.
fn counts(layout: &Layout) -> [u8; SECTOR] {
    let used: u32 = layout.chains().map(|chain| chain.clusters).sum();
    let free = layout.clusters - used;
    let next_free = match free {
        0 => u32::MAX,
        _ => FIRST_CLUSTER + used,
    };
    let mut sector = [0; SECTOR];
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RRaA");
    put(484, b"rrAa");
    put(488, &free.to_le_bytes());
    put(492, &next_free.to_le_bytes());
    put(510, &[0x55, 0xaa]);
    sector
}

/// One table: for each cluster the one after it in its chain.
pub(super) fn table(layout: &Layout) -> Vec<u8> {
    let length = layout.table_sectors as usize * SECTOR;
    let mut bytes = Vec::with_capacity(length);
    let first = [END_OF_CHAIN & !0xff | u32::from(FIXED_DISK), END_OF_CHAIN];
    let chains = layout.chains().flat_map(|chain| {
        let last = chain.first + chain.clusters - 1;
        (chain.first..last)
            .map(|cluster| cluster + 1)
            .chain([END_OF_CHAIN])
    });
    for entry in first.into_iter().chain(chains) {
        bytes.extend_from_slice(&entry.to_le_bytes());
    }
    bytes.resize(length, 0);
    bytes
}
