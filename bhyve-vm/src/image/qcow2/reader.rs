//! The disk within a qcow2 image, cluster by cluster.

use super::{
    Qcow2Error, Qcow2Header,
    cluster::{Cluster, l2_offset},
};
use crate::image::sparse::Sparse;
use flate2::{Decompress, FlushDecompress};
use std::io::{Read, Seek, SeekFrom, Write};

/// A qcow2 image to read from.
///
/// In memory are its first table (at most 32 MiB), one second one, and two clusters (at most 2 MiB each).
#[derive(Debug)]
pub struct Qcow2<R> {
    file: R,
    file_bytes: u64,
    header: Qcow2Header,
    l1: Vec<u64>,
}

impl<R: Read + Seek> Qcow2<R> {
    /// Reads the header and the first table.
    ///
    /// # Errors
    ///
    /// As [`Qcow2Header::parse`], or the file ends before its first table does.
    pub fn open(mut file: R) -> Result<Self, Qcow2Error> {
        let file_bytes = file.seek(SeekFrom::End(0)).map_err(Qcow2Error::Read)?;
        file.rewind().map_err(Qcow2Error::Read)?;
        let mut head = Vec::with_capacity(Qcow2Header::HEAD_BYTES);
        let mut start = (&mut file).take(Qcow2Header::HEAD_BYTES as u64);
        start.read_to_end(&mut head).map_err(Qcow2Error::Read)?;
        let header = Qcow2Header::parse(&head)?;
        let mut image = Self {
            file,
            file_bytes,
            header,
            l1: Vec::new(),
        };
        let (offset, entries) = (image.header.l1_offset, image.header.l1_entries.into());
        image.l1 = image.table(offset, entries)?;
        Ok(image)
    }

    /// What the header says.
    pub fn header(&self) -> &Qcow2Header {
        &self.header
    }

    /// Writes the disk to `out`, which has to be empty: what is all zeros is skipped and becomes a hole. Returns how
    /// many bytes were written.
    ///
    /// # Errors
    ///
    /// The image is truncated or damaged, or one of both files fails. Half a disk is left in `out` then.
    pub fn write_raw(&mut self, out: &mut (impl Write + Seek)) -> Result<u64, Qcow2Error> {
        let mut out = Sparse::new(out);
        let per_table = self.header.clusters_per_l2();
        let table_bytes = per_table * self.header.cluster_bytes();
        let tables = self.header.disk_bytes.div_ceil(table_bytes);
        for (index, entry) in (0..tables).zip(self.l1.clone()) {
            let disk_bytes = table_bytes.min(self.header.disk_bytes - index * table_bytes);
            match l2_offset(entry, index, &self.header)? {
                None => out.zeros(disk_bytes),
                Some(offset) => {
                    let l2 = self.table(offset, per_table)?;
                    self.write_table(&l2, index * per_table, disk_bytes, &mut out)?;
                }
            }
        }
        let (_, data_bytes) = out.finish().map_err(Qcow2Error::Write)?;
        Ok(data_bytes)
    }

    /// The clusters of one table of the second level, the first of which is `first`.
    fn write_table<W: Write + Seek>(
        &mut self,
        l2: &[u64],
        first: u64,
        mut disk_bytes: u64,
        out: &mut Sparse<'_, W>,
    ) -> Result<(), Qcow2Error> {
        for (index, entry) in (first..).zip(l2) {
            // The last cluster of a disk may reach beyond its end, and beyond the end of the file too.
            let wanted = disk_bytes.min(self.header.cluster_bytes());
            if wanted == 0 {
                break;
            }
            disk_bytes -= wanted;
            let cluster = match Cluster::of(*entry, index, &self.header)? {
                Cluster::Zero => {
                    out.zeros(wanted);
                    continue;
                }
                Cluster::Plain { offset } => self.at(offset, wanted)?,
                Cluster::Compressed { offset, bytes } => {
                    let mut cluster = self.inflated(offset, bytes, index)?;
                    cluster.truncate(length(wanted));
                    cluster
                }
            };
            out.bytes(&cluster).map_err(Qcow2Error::Write)?;
        }
        Ok(())
    }

    fn inflated(&mut self, offset: u64, bytes: u64, cluster: u64) -> Result<Vec<u8>, Qcow2Error> {
        // What is counted in sectors may end after the file does.
        let bytes = bytes.min(self.file_bytes.saturating_sub(offset)).max(1);
        let packed = self.at(offset, bytes)?;
        let mut unpacked = vec![0; length(self.header.cluster_bytes())];
        let mut inflate = Decompress::new(false);
        let end = inflate.decompress(&packed, &mut unpacked, FlushDecompress::Finish);
        // What follows within the last sector belongs to the next one, so the stream's own end is not asked for.
        if end.is_err() || inflate.total_out() != self.header.cluster_bytes() {
            return Err(Qcow2Error::Inflate { cluster });
        }
        Ok(unpacked)
    }

    fn table(&mut self, offset: u64, entries: u64) -> Result<Vec<u64>, Qcow2Error> {
        let bytes = self.at(offset, entries * 8)?;
        let entry = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
        Ok(bytes.as_chunks().0.iter().map(entry).collect())
    }

    fn at(&mut self, offset: u64, bytes: u64) -> Result<Vec<u8>, Qcow2Error> {
        let needed = offset.saturating_add(bytes);
        if needed > self.file_bytes {
            let file_bytes = self.file_bytes;
            return Err(Qcow2Error::Truncated { needed, file_bytes });
        }
        let mut read = vec![0; length(bytes)];
        self.file
            .seek(SeekFrom::Start(offset))
            .map_err(Qcow2Error::Read)?;
        self.file.read_exact(&mut read).map_err(Qcow2Error::Read)?;
        Ok(read)
    }
}

/// The length of a table or a cluster as a length in memory.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes)
        .expect("the header's bounds keep tables below 32 MiB and clusters at 2 MiB")
}
