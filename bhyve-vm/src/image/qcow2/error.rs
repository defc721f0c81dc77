//! Why a qcow2 image cannot be read.

use std::io;

/// An image that is damaged, or has something that this reader does not take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Qcow2Error {
    /// Not qcow2 at all.
    #[error("it is not a qcow2 image: it does not begin with QFI\\xfb")]
    NotQcow2,
    /// Version 1, or one of the future.
    #[error("it is qcow2 of version {version}; versions 2 and 3 are read")]
    Version {
        /// What the header says.
        version: u32,
    },
    /// It is only the difference to another image.
    #[error(
        "it has a backing file, so it is not a whole disk; \
        make one of both with qemu-img convert -O qcow2"
    )]
    BackingFile,
    /// Its clusters are encrypted.
    #[error("it is encrypted; decrypt it with qemu-img convert first")]
    Encrypted,
    /// It was marked as damaged by a program that wrote it.
    #[error("it is marked as corrupt; fetch it again, or ask qemu-img check what is wrong")]
    Corrupt,
    /// It uses features without which it cannot be read right.
    #[error(
        "it uses {feature}, which is not read here; \
        make a plain image with qemu-img convert -O qcow2 -o compat=1.1,compression_type=zlib"
    )]
    Feature {
        /// Their names.
        feature: String,
    },
    /// A number of the header is out of its bounds.
    #[error("its {field} is {value}, which {rule}")]
    Field {
        /// The name in QEMU's specification.
        field: &'static str,
        /// What it says.
        value: u64,
        /// The bounds.
        rule: &'static str,
    },
    /// A table or a cluster lies where it cannot be.
    #[error("it is damaged: {table} entry {index} points to byte {offset}, which {rule}")]
    Offset {
        /// `L1` or `L2`.
        table: &'static str,
        /// The cluster of the disk, or the entry in L1.
        index: u64,
        /// Where it points.
        offset: u64,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// The file is shorter than it says.
    #[error("it is truncated: byte {needed} is needed, and it has {file_bytes}; fetch it again")]
    Truncated {
        /// The first byte that is not there, or one behind it.
        needed: u64,
        /// The length of the file.
        file_bytes: u64,
    },
    /// A compressed cluster cannot be decompressed.
    #[error("it is damaged: cluster {cluster} cannot be decompressed; fetch it again")]
    Inflate {
        /// Which one of the disk.
        cluster: u64,
    },
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// The disk cannot be written.
    #[error("the disk cannot be written")]
    Write(#[source] io::Error),
}
