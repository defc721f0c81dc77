//! Find, download or build programs of a given version, and make OCI images from static binaries

mod build;
mod catalogue;
mod digest;
pub mod download;
mod lock;
pub mod module;
mod observe;
mod place;
mod plan;
mod program;
mod programs;
mod store;
mod unpack;
mod version;

pub use build::BuildError;
pub use catalogue::{
    DEFAULT_KUBERNETES, LAB_PROGRAMS, NEWEST_MINOR, OLDEST_MINOR, UnknownKubernetes, VersionSet,
};
pub use digest::{InvalidSha256, Sha256};
pub use download::DownloadError;
pub use lock::{Lock, LockEntry, LockError, Source, Stamp};
pub use observe::{ObserveError, observe, parse_go_version};
pub use place::{Mirrors, Packing, Places, Remote, Wanted};
pub use plan::{Existing, Found, Go, PlanError, Reach, Step, plan};
pub use program::{Architecture, Component, ProgramName, UnknownArchitecture, UnknownProgram};
pub use programs::{ProgramSet, ProgramsError, programs};
pub use store::StoreError;
pub use unpack::UnpackError;
pub use version::{InvalidVersion, Version};
