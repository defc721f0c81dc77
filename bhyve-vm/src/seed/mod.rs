//! The first words that a guest hears: a `NoCloud` seed for cloud-init, as bytes.
//!
//! ```
//! use bhyve_vm::seed::{HostKey, NetworkConfig, Seed, User};
//! # let private = include_str!("../../tests/data/seed/host_key");
//!
//! // `private` is what `ssh-keygen -t ed25519` wrote: the caller makes keys, this module draws nothing.
//! let host_key = HostKey::from_openssh(private.to_owned().into())?;
//! let network: NetworkConfig = "version: 2\nethernets: {}\n".parse()?;
//! let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPqqWBKRCDA6JKvGQNQlX5jQj4pfNhH0ndgwKgrf8Ww5 me";
//! let seed = Seed::new("etcd-0".parse()?, host_key, network).with_user(User::root(key.parse()?));
//!
//! let files = seed.files()?;
//! assert!(files.user_data().starts_with("#cloud-config\n"));
//! let image = files.image();
//! // Written 0600 from the first byte, and shown by nobody.
//! let file = image.file(&"/zroot/lab/etcd-0/seed.img".parse()?);
//! assert_eq!(file.contents.bytes().len(), 2 << 20);
//! // The machine is known before it was ever reached.
//! let known = seed.host_key.public().known_hosts_line(&["10.110.0.10".parse()?]);
//! assert!(known.starts_with("10.110.0.10 ssh-ed25519 AAAA"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The image is a FAT file system with the label `CIDATA` and three files. It is attached as a read-only
//! `virtio-blk` disk ([`VmSpec::seed`](crate::VmSpec::seed)) and not as a CD: the kernel of Debian's `genericcloud`
//! images has no driver for AHCI.
//!
//! # Invariants
//!
//! - The same [`Seed`] gives the same bytes: times are fixed, and the serial number of the file system comes from
//!   the digest.
//! - [`InstanceId`] is that digest. So any change of a seed makes cloud-init run its steps of a first boot again,
//!   and nothing else does.
//! - The private host key is in the user-data and in the image, in no error and in no `Debug`. The memory
//!   of all three is cleared when it is dropped.
//! - cloud-init installs no package, runs no command, and takes no password.
//!
//! See cloud-init's documentation, "NoCloud" and "Module reference".

mod error;
mod fat;
mod files;
mod model;
mod network;
mod ssh;
mod user_data;
mod wire;
mod yaml;

pub use error::SeedError;
pub use fat::SeedImage;
pub use files::{InstanceId, LARGEST_SEED_BYTES, SeedFiles};
pub use model::{GuestFile, GuestPath, NtpClient, NtpServer, Seed, User, UserName};
pub use network::{InvalidNetworkConfig, NetworkConfig};
pub use ssh::{HostKey, InvalidKey, SshPublicKey};
