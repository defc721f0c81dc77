//! Run commands, keep files and services on a host: on this machine, over SSH, or inside a machine made of namespaces.
//!
//! Everything that acts on a machine in this workspace does it through one trait, [`Host`]: run a program
//! with an argument list, read and write a file, open a TCP connection *as that host sees the network*.
//! A bootstrap crate that takes `&dyn Host` works on a virtual machine behind SSH and on a namespace of the
//! same laptop without knowing which.
//!
//! ```
//! use host_exec::{Command, File, Host, LocalHost};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let host = LocalHost::new("here".parse()?);
//! let output = host.run(&Command::new("uname").arg("-s")).await?;
//! assert!(!output.stdout_text().is_empty());
//!
//! let dir = tempfile::tempdir()?;
//! let file = File::public(dir.path().join("motd"), "hello\n");
//! assert_eq!(host_exec::files::ensure(&host, &[file.clone()]).await?, [file.path.clone()]);
//! assert!(host_exec::files::ensure(&host, &[file]).await?.is_empty(), "a second run changes nothing");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What this crate does not do
//!
//! No shell: a command is a program and its arguments, and what a shell would make of them never matters.
//! (SSH hands its argument to the remote user's shell; there every word is quoted, see [`escape`].)
//! No retries, no privilege escalation, no configuration management: what to run is the caller's plan.
//!
//! # Invariants
//!
//! - A file is replaced as a whole (temporary name, `fsync`, `rename`) and has its final mode from its first byte.
//! - Secret input and secret file contents show up in no `Debug`, `Display`, error or argument list.
//! - Every wait has an end, and its error says what was last seen ([`poll`]).
//! - A failed command's error carries host, command line, exit status and the tail of both outputs.

mod clock;
mod command;
mod condition;
mod digest;
mod download;
mod error;
pub mod escape;
pub mod event;
pub mod files;
mod host;
pub mod https;
mod local;
mod name;
mod namespace;
mod netns;
mod output;
pub mod poll;
mod presented;
mod process;
mod processes;
mod ssh;
pub mod systemd;
pub mod unit_file;
mod upload;

pub use clock::{ClockError, clock};
pub use command::{Command, Stdin};
pub use condition::Condition;
pub use digest::{InvalidSha256Hex, Sha256Hex};
pub use download::{DownloadError, DownloadErrorKind, download};
pub use error::{DialError, FileError, FileErrorKind, LoginRefusal, RunError, RunErrorKind};
pub use event::{Event, EventSink, Progress};
pub use files::{Contents, File, Mode};
pub use host::{Host, Stream};
pub use local::LocalHost;
pub use name::{HostName, InvalidHostName};
pub use namespace::NamespaceHost;
pub use netns::NetworkNamespace;
pub use output::{Output, Status};
pub use presented::presented_certificates;
pub use processes::ProcessHost;
pub use ssh::{
    ControlDirectory, ForwardError, ForwardErrorKind, InvalidControlDirectory,
    InvalidSshDestination, SshDestination, SshHost,
};
pub use upload::{UploadError, UploadErrorKind, Uploaded, upload};
