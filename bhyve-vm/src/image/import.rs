//! From what was fetched to a raw disk, with the checksum before anything else.

use super::{
    Digest, ImageFormat, Qcow2, Qcow2Error, UnknownFormat, sparse::Sparse, unpack::unpacked,
};
use std::io::{self, Read, Seek, Write};

/// A raw disk that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// What the file was.
    pub format: ImageFormat,
    /// The size of the disk, in bytes.
    pub disk_bytes: u64,
    /// How much of it was written; the rest are holes.
    pub data_bytes: u64,
}

/// An image that was not imported. `name` is that of the fetched file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is not what its publisher's list says. Nothing was written.
    #[error(
        "{name} has the wrong checksum, {found} instead of {expected}; \
        fetch it and the list of checksums again, and if it stays so do not trust that place"
    )]
    WrongChecksum {
        /// The file.
        name: String,
        /// What the list says.
        expected: Digest,
        /// What it has.
        found: Digest,
    },
    /// Its checksum is right, but it is no image.
    #[error("{name} is no disk image")]
    Unknown {
        /// The file.
        name: String,
        /// What is known of it.
        #[source]
        source: UnknownFormat,
    },
    /// It is compressed in a way that is not undone here.
    #[error(
        "{name} is compressed with {format}, which is not read here; take the publisher's qcow2 or raw image, \
        or unpack it with `{format} -d {name}` and give the checksum of what comes out"
    )]
    Compression {
        /// The file.
        name: String,
        /// How.
        format: ImageFormat,
    },
    /// It is compressed, and within it is no raw disk.
    #[error(
        "{name} is {format}, but not of a raw disk with a boot record; \
        unpack it with `{format} -d {name}` and give the checksum of what comes out"
    )]
    Inner {
        /// The file.
        name: String,
        /// How it is compressed.
        format: ImageFormat,
    },
    /// It is qcow2 that cannot be read.
    #[error("{name} is a qcow2 image that cannot be imported")]
    Qcow2 {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: Qcow2Error,
    },
    /// The file cannot be read, or not be decompressed.
    #[error("cannot read {name}")]
    Read {
        /// The file.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// One of both files fails.
    #[error("cannot copy the disk out of {name}")]
    Copy {
        /// The file.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Makes a raw disk of an image that was fetched as a file `name`: compares its checksum, finds out what it is, and
/// writes the disk to `out`, which has to be empty. What is all zeros is skipped there and becomes a hole.
///
/// Reads `source` twice. Blocks.
///
/// # Errors
///
/// See [`ImportError`]. Nothing is written before the checksum and the first bytes were right; after a later error
/// half a disk is left in `out`.
pub fn import(
    mut source: impl Read + Seek,
    name: &str,
    expected: &Digest,
    out: &mut (impl Write + Seek),
) -> Result<Imported, ImportError> {
    check(&mut source, name, expected)?;
    let head = head_of(&mut source).map_err(|source| read(name, source))?;
    source.rewind().map_err(|source| read(name, source))?;
    let format = ImageFormat::of(&head).map_err(|source| ImportError::Unknown {
        name: name.to_owned(),
        source,
    })?;
    let (disk_bytes, data_bytes) = match format {
        ImageFormat::Raw => copy(&mut source, name, out)?,
        ImageFormat::Qcow2 => qcow2(source, name, out)?,
        packed => unpack(source, name, packed, out)?,
    };
    Ok(Imported {
        format,
        disk_bytes,
        data_bytes,
    })
}

fn check(
    source: &mut (impl Read + Seek),
    name: &str,
    expected: &Digest,
) -> Result<(), ImportError> {
    let found = expected
        .of_same_kind(source)
        .map_err(|source| read(name, source))?;
    source.rewind().map_err(|source| read(name, source))?;
    if found == *expected {
        return Ok(());
    }
    Err(ImportError::WrongChecksum {
        name: name.to_owned(),
        expected: expected.clone(),
        found,
    })
}

fn head_of(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(ImageFormat::HEAD_BYTES);
    source
        .take(ImageFormat::HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

fn read(name: &str, source: io::Error) -> ImportError {
    let name = name.to_owned();
    ImportError::Read { name, source }
}

fn copy(
    source: &mut impl Read,
    name: &str,
    out: &mut (impl Write + Seek),
) -> Result<(u64, u64), ImportError> {
    let mut sparse = Sparse::new(out);
    let copied = sparse.copy(source).and_then(|()| sparse.finish());
    copied.map_err(|source| ImportError::Copy {
        name: name.to_owned(),
        source,
    })
}

fn unpack(
    source: impl Read,
    name: &str,
    format: ImageFormat,
    out: &mut (impl Write + Seek),
) -> Result<(u64, u64), ImportError> {
    let unread = || ImportError::Compression {
        name: name.to_owned(),
        format,
    };
    let inner = unpacked(format, source).ok_or_else(unread)?;
    let mut inner = inner.map_err(|source| read(name, source))?;
    let head = head_of(&mut inner).map_err(|source| read(name, source))?;
    if ImageFormat::of(&head) != Ok(ImageFormat::Raw) {
        return Err(ImportError::Inner {
            name: name.to_owned(),
            format,
        });
    }
    copy(&mut head.as_slice().chain(inner), name, out)
}

fn qcow2(
    source: impl Read + Seek,
    name: &str,
    out: &mut (impl Write + Seek),
) -> Result<(u64, u64), ImportError> {
    let fault = |source| ImportError::Qcow2 {
        name: name.to_owned(),
        source,
    };
    let mut image = Qcow2::open(source).map_err(fault)?;
    let data_bytes = image.write_raw(out).map_err(fault)?;
    Ok((image.header().disk_bytes, data_bytes))
}
