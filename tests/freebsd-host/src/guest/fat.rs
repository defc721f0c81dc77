//! FAT file systems on a guest's further disks.

use anyhow::{Context, Result};
use fatfs::{FileSystem, FsOptions};
use std::{
    fs::File,
    io::{BufReader, Read, Seek, Write},
    path::Path,
};

/// A disk image that is one FAT file system.
pub(super) struct Fat {
    volume: FileSystem<ReadOnly>,
}

impl Fat {
    /// None if it is something else.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let file = File::open(path).with_context(|| format!("{}", path.display()))?;
        let disk = ReadOnly(BufReader::with_capacity(1 << 16, file));
        Ok(FileSystem::new(disk, FsOptions::new())
            .ok()
            .map(|volume| Self { volume }))
    }

    /// Its label, from the root directory.
    pub(super) fn label(&self) -> Result<String> {
        let label = self.volume.read_volume_label_from_root_dir()?;
        Ok(label.unwrap_or_else(|| self.volume.volume_label()))
    }

    /// The names in its root directory.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.volume.root_dir().iter() {
            names.push(entry?.file_name());
        }
        Ok(names)
    }

    /// A file of its root directory, as text.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let mut text = String::new();
        let mut file = self
            .volume
            .root_dir()
            .open_file(name)
            .with_context(|| name.to_owned())?;
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Copies a file of its root directory.
    pub(super) fn copy(&self, name: &str, to: &mut impl Write) -> Result<()> {
        let mut file = self
            .volume
            .root_dir()
            .open_file(name)
            .with_context(|| name.to_owned())?;
        std::io::copy(&mut file, to)?;
        Ok(())
    }
}

/// The crate wants to write; a write is refused as a read-only disk refuses it.
struct ReadOnly(BufReader<File>);

impl Read for ReadOnly {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Seek for ReadOnly {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Write for ReadOnly {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
