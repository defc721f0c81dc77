//! Gets the programs of a Kubernetes lab at given versions, and makes images of them where there is no registry.
//!
//! A version set ([`VersionSet`]) says which etcd, CoreDNS and pause image go with a Kubernetes release. Its programs
//! are taken from the user's directory, from the cache, from `PATH` if their version is right; else downloaded from
//! the official places with their checksum verified; else, where those are out of reach, built from Go modules with
//! the user's own Go. What is done is decided by [`plan()`], which is pure, from what [`observe`] found:
//!
//! ```
//! use artifacts::{Architecture, Component, Found, Go, Mirrors, Reach, VersionSet, Wanted, plan};
//!
//! let versions = VersionSet::for_kubernetes("1.37.2".parse()?)?;
//! assert_eq!(versions.etcd.to_string(), "3.7.3");
//!
//! let wanted = Wanted::lab(versions, Architecture::Amd64);
//! let nothing_but_go = Found {
//!     in_place: vec![],
//!     existing: vec![],
//!     rejected: vec![],
//!     reach: Component::ALL.map(|place| (place, Reach::Unusable("timed out".to_owned()))).into(),
//!     go: Go::Found { path: "/usr/bin/go".into(), version: "1.26.8".parse()? },
//! };
//! let steps = plan(&wanted, &nothing_but_go, &Mirrors::default())?;
//! assert_eq!(steps[0].to_string(), "build etcd, etcdctl, etcdutl of etcd 3.7.3 with Go 1.26.8");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`programs()`] does it and returns a directory with all of them; [`images()`] makes the pause, CoreDNS and web
//! images; [`containerd_root`] puts those into a containerd root directory once, and [`clone_root`] gives each
//! machine a copy in a tenth of a second. [`packages`] says what must come from the distribution.
//!
//! Virtual machines get the same as disks: [`programs_disk`] writes programs and images onto one, a [`FilesDisk`], and
//! [`cloud_image`] obtains the raw disk of a published image, which they start from; [`IMPORT_IMAGES`] is run in them.
//!
//! # What this crate does not do
//!
//! It installs nothing and runs nothing of what it gets, except to ask a program for its version and to import
//! images. It is no package manager: a version is in the catalogue's range, and its patch release exists, or it is
//! an error. It never sets where Go gets its modules: that is `go env` of the user. It does not remove old sets
//! from the cache.
//!
//! # Invariants
//!
//! - A file of the cache is there as a whole or not at all (temporary name, then `rename`); a program counts only
//!   once `lock.json` has it, with its checksum, size and time.
//! - A run that was killed is finished by the next; two runs at once take turns (flock(2)).
//! - A complete set is confirmed by `stat` alone, in about a millisecond.
//! - Nothing that was downloaded is kept or run before its SHA-256 is what the official place publishes.
//! - An image's bytes depend on its contents only.
//!
//! Sources: [Kubernetes downloads](https://kubernetes.io/releases/download/),
//! [Go modules reference](https://go.dev/ref/mod), [OCI image layout](https://github.com/opencontainers/image-spec),
//! containerd-config.toml(5).

mod build;
mod catalogue;
mod clone;
mod cloud;
mod containerd;
mod digest;
pub mod download;
mod files_disk;
mod host_tools;
mod images;
mod import;
mod lock;
mod make_images;
mod metrics_server;
pub mod module;
mod observe;
mod oci;
pub mod packages;
mod place;
mod plan;
mod program;
mod programs;
mod programs_disk;
mod store;
mod transfer;
mod unpack;
mod version;

pub use build::BuildError;
pub use catalogue::{
    CONTROL_PLANE_IMAGES, DEFAULT_KUBERNETES, LAB_PROGRAMS, MACHINE_PROGRAMS, NEWEST_MINOR,
    OLDEST_MINOR, UnknownKubernetes, VersionSet,
};
pub use clone::{CloneError, Cloned, clone_root};
pub use cloud::{
    BoxedError, CloudImage, CloudImageError, Convert, DebianRelease, ImageChecksum, ImageUrl,
    InvalidImageUrl, RawImage, UnknownRelease, cloud_image,
};
pub use containerd::{
    CONTAINERD_NAMESPACE, ContainerdError, PINNED, containerd_root, parse_containerd_version,
};
pub use digest::{Checksum, InvalidChecksum, InvalidSha256, Sha256};
pub use download::DownloadError;
pub use files_disk::{
    DiskFile, DiskLabel, FileName, FilesDisk, FilesDiskError, InvalidDiskLabel, InvalidFileName,
    WrittenDisk,
};
pub use host_tools::HostTools;
pub use images::{
    BuiltImage, ImageName, ImageRecipe, ImageSet, ImageStep, ImagesError, ImagesFound, LeftOut,
    image_recipes, plan_images,
};
pub use import::IMPORT_IMAGES;
pub use lock::{Lock, LockEntry, LockError, Source, Stamp};
pub use make_images::{build_web, images, observe_images};
pub use observe::{ObserveError, observe, parse_go_version};
pub use oci::{Image, ImageFile, ImageReference, InvalidImageReference};
pub use place::{Mirrors, Packing, Places, Remote, Wanted};
pub use plan::{Existing, Found, Go, PlanError, Reach, Step, plan};
pub use program::{Architecture, Component, ProgramName, UnknownArchitecture, UnknownProgram};
pub use programs::{ProgramSet, ProgramsError, programs};
pub use programs_disk::{ProgramsDisk, ProgramsDiskError, programs_disk};
pub use store::StoreError;
pub use unpack::UnpackError;
pub use version::{InvalidVersion, Version};
