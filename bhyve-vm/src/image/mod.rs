//! Disk images: from the file that a distribution publishes to the volume that a VM starts from.
//!
//! ```
//! use bhyve_vm::image::{BaseVolume, Checksums, Digest, import};
//! use std::io::Cursor;
//!
//! // A disk with a boot record, as a publisher would have it, and the publisher's list of checksums.
//! let mut published = vec![0_u8; 1 << 20];
//! published[510..512].copy_from_slice(&[0x55, 0xaa]);
//! let list = format!("{}  debian-12.raw\n", Digest::sha256(&published));
//!
//! let digest = Checksums::parse(&list)?.of("debian-12.raw")?.clone();
//! let mut raw = Cursor::new(Vec::new());
//! let imported = import(Cursor::new(published), "debian-12.raw", &digest, &mut raw)?;
//! assert_eq!((imported.disk_bytes, raw.into_inner().len()), (1 << 20, 1 << 20));
//!
//! // On the host it becomes a volume named by its digest, made once and cloned for each VM.
//! let base = BaseVolume::new(&"zroot/lab/base".parse()?, &digest, imported.disk_bytes)?;
//! let steps = base.create_steps(&"/zroot/lab/import/debian-12.raw".parse()?);
//! assert!(steps[1].to_string().starts_with("make volume zroot/lab/base/"));
//! let root = base.root_volume("zroot/lab/etcd-0/root".parse()?, 10_240.try_into()?)?;
//! assert_eq!(root.image, *base.dataset());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This module downloads nothing: the caller fetches the file and the list of checksums, keeps them where it likes,
//! and hands over something to read from. A list's signature is not looked at; where it came from is the caller's
//! business.
//!
//! # Invariants
//!
//! - Not one byte is written before the whole file had the right checksum.
//! - A base volume has its snapshot only when it is whole. One without is thrown away and made again.
//! - A qcow2 image that refers to anything outside itself is refused: a backing file is a path that its author chose.
//!
//! qcow2 is QEMU's `docs/interop/qcow2.rst`; lists of checksums are those of sha256sum(1) and FreeBSD's sha256(1).

mod base;
mod checksums;
mod digest;
mod format;
mod import;
mod qcow2;
mod sparse;
mod unpack;

pub use base::{BaseFile, BaseVolume, BaseVolumeError, IMAGE_PROPERTY, READY_SNAPSHOT, TooSmall};
pub(crate) use base::{HOLD_TAG, remove_base};
pub use checksums::{ChecksumError, Checksums};
pub use digest::{Digest, InvalidDigest};
pub use format::{ImageFormat, UnknownFormat};
pub use import::{ImportError, Imported, import};
pub use qcow2::{Qcow2, Qcow2Error, Qcow2Header};
