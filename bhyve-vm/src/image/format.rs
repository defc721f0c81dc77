//! What kind of file an image is, by its first bytes and never by its name.

use std::fmt;

/// The kinds of image files that are known; not all of them can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// A disk as it is, with a boot record at its beginning.
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
    /// gzip (RFC 1952).
    Gzip,
    /// xz.
    Xz,
    /// Zstandard (RFC 8878).
    Zstd,
    /// bzip2.
    Bzip2,
}

/// The first bytes are those of no image that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it begins neither as a compressed file nor as a disk with a boot record; \
    a publisher's error page or a part of a download looks like this"
)]
pub struct UnknownFormat;

impl ImageFormat {
    /// How many bytes of a file have to be seen.
    pub const HEAD_BYTES: usize = 512;

    /// The kind of a file that begins with `head`: its first [`ImageFormat::HEAD_BYTES`], or all if it has fewer.
    ///
    /// # Errors
    ///
    /// None of the kinds. A raw disk without a boot record is one of these: it could not be booted anyway.
    pub fn of(head: &[u8]) -> Result<Self, UnknownFormat> {
        let magic: [(&[u8], Self); 5] = [
            (b"QFI\xfb", Self::Qcow2),
            (b"\x1f\x8b", Self::Gzip),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
            (b"BZh", Self::Bzip2),
        ];
        let known = magic.iter().find(|(magic, _)| head.starts_with(magic));
        let known = known.map(|(_, format)| *format);
        // The signature of a master boot record; a disk with a GPT has one too (UEFI, section 5.2.3).
        let boot_record = head.get(510..512) == Some(&[0x55, 0xaa]);
        known
            .or(boot_record.then_some(Self::Raw))
            .ok_or(UnknownFormat)
    }
}

/// The name, which for those that compress is that of their program too.
impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        })
    }
}
