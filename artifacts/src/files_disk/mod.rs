//! A disk of files: a FAT32 file system written from its first byte to its last, the same for the same files.
//!
//! Nothing is ever changed in it, so every file lies in one piece, the table of clusters is known before the first
//! file is read, and 700 MB need two seconds and a few MiB of memory.

mod directory;
mod error;
mod layout;
mod names;
mod output;
mod sectors;

pub use error::FilesDiskError;
pub use names::{DiskLabel, FileName, InvalidDiskLabel, InvalidFileName};

use crate::Sha256;
use layout::Layout;
use output::Output;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write},
    path::{Path, PathBuf},
};

/// A file that is to be on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    /// Its name there.
    pub name: FileName,
    /// The file of this machine that has its contents.
    pub contents: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenDisk {
    /// The checksum of the whole disk.
    pub sha256: Sha256,
    /// The size of the disk, a multiple of 512.
    pub bytes: u64,
}

/// A FAT32 disk without partitions, with files in its only directory, to be attached read-only and mounted by its
/// label.
///
/// The same label, names and contents give the same bytes, whatever the order of the files, their times and modes. A
/// guest sees all files dated 1980-01-01 (FAT has no earlier day) and with the mode of its mount options: `umask=022`
/// makes them 0755.
///
/// Written after Microsoft's "FAT: General Overview of On-Disk Format", version 1.03.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesDisk {
    label: DiskLabel,
    files: Vec<SizedFile>,
    layout: Layout,
}

/// A file and how large it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SizedFile {
    name: FileName,
    contents: PathBuf,
    bytes: u32,
}

impl FilesDisk {
    /// Lays out a disk. Looks at the sizes of the files, and reads none.
    ///
    /// # Errors
    ///
    /// Two names differ in nothing but case, something is no file or has 4 GiB or more, or all of it is too much for
    /// FAT32. No files, and empty files, are *not* errors.
    pub fn new(label: DiskLabel, files: Vec<DiskFile>) -> Result<Self, FilesDiskError> {
        // Sorted as FAT compares: without regard to case.
        let mut by_name = BTreeMap::new();
        for file in files {
            let sized = SizedFile {
                bytes: size_of(&file.contents)?,
                name: file.name,
                contents: file.contents,
            };
            let key = sized.name.as_str().to_ascii_lowercase();
            if let Some(other) = by_name.insert(key, sized.clone()) {
                return Err(FilesDiskError::Twice {
                    name: sized.name,
                    other: other.name,
                });
            }
        }
        let files: Vec<_> = by_name.into_values().collect();
        let sizes: Vec<_> = files.iter().map(|file| file.bytes).collect();
        let slots = directory::slots(files.iter().map(|file| &file.name));
        Ok(Self {
            layout: Layout::new(slots, &sizes)?,
            label,
            files,
        })
    }

    /// The size of the disk, a multiple of 512. 33 MiB at least: FAT32 has a least number of clusters.
    pub fn bytes(&self) -> u64 {
        self.layout.disk_bytes()
    }

    /// Writes the disk to `out`, one after the other. Blocks; two seconds for 700 MB.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is no longer as large as it was, or `out` cannot be written. Half a disk is left then.
    pub fn write(&self, out: &mut impl Write) -> Result<WrittenDisk, FilesDiskError> {
        let mut out = Output::new(out);
        out.all(&sectors::reserved(&self.layout, &self.label))?;
        let table = sectors::table(&self.layout);
        for _ in 0..layout::TABLES {
            out.all(&table)?;
        }
        let entries = self.files.iter().zip(self.layout.extents());
        let entries = entries.map(|(file, extent)| (&file.name, extent));
        out.all(&directory::root(&self.label, entries))?;
        out.fill(self.layout.cluster_bytes())?;
        for file in &self.files {
            copy(file, &mut out)?;
            out.fill(self.layout.cluster_bytes())?;
        }
        out.zeros(self.bytes() - out.written())?;
        let (sha256, bytes) = out.finish()?;
        Ok(WrittenDisk { sha256, bytes })
    }
}

fn size_of(path: &Path) -> Result<u32, FilesDiskError> {
    let found = fs::metadata(path).map_err(reading(path))?;
    if !found.is_file() {
        return Err(FilesDiskError::NoFile {
            path: path.to_owned(),
        });
    }
    u32::try_from(found.len()).map_err(|_| FilesDiskError::FileTooLarge {
        path: path.to_owned(),
        bytes: found.len(),
    })
}

fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> FilesDiskError + '_ {
    move |source| FilesDiskError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Copies a file, which has to be just as large as the table of clusters says.
fn copy(file: &SizedFile, out: &mut Output<'_, impl Write>) -> Result<(), FilesDiskError> {
    let path = &file.contents;
    let mut source = File::open(path).map_err(reading(path))?;
    let mut buffer = vec![0; output::COPY_BYTES];
    let mut copied = 0_u64;
    loop {
        let count = source.read(&mut buffer).map_err(reading(path))?;
        copied += count as u64;
        if copied > u64::from(file.bytes) || (count == 0 && copied < u64::from(file.bytes)) {
            return Err(FilesDiskError::Changed { path: path.clone() });
        }
        if count == 0 {
            return Ok(());
        }
        out.all(&buffer[..count])?;
    }
}
