//! QEMU's qcow2, read only: as much as published images have.

mod cluster;
mod error;
mod header;
mod reader;

pub use error::Qcow2Error;
pub use header::Qcow2Header;
pub use reader::Qcow2;
