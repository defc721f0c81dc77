//! Find, download or build programs of a given version, and make OCI images from static binaries

mod build;
mod catalogue;
mod clone;
mod containerd;
mod digest;
pub mod download;
mod images;
mod lock;
pub mod module;
mod observe;
mod oci;
pub mod packages;
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
pub use clone::{CloneError, Cloned, clone_root};
pub use containerd::{ContainerdError, containerd_root, parse_containerd_version};
pub use digest::{InvalidSha256, Sha256};
pub use download::DownloadError;
pub use images::{
    BuiltImage, ImageName, ImageRecipe, ImageSet, ImageStep, ImagesError, ImagesFound, LeftOut,
    build_web, image_recipes, images, observe_images, plan_images,
};
pub use lock::{Lock, LockEntry, LockError, Source, Stamp};
pub use observe::{ObserveError, observe, parse_go_version};
pub use oci::{Image, ImageFile, ImageReference, InvalidImageReference};
pub use place::{Mirrors, Packing, Places, Remote, Wanted};
pub use plan::{Existing, Found, Go, PlanError, Reach, Step, plan};
pub use program::{Architecture, Component, ProgramName, UnknownArchitecture, UnknownProgram};
pub use programs::{ProgramSet, ProgramsError, programs};
pub use store::StoreError;
pub use unpack::UnpackError;
pub use version::{InvalidVersion, Version};
