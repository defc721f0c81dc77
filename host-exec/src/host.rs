//! The trait that everything else stands on.

use crate::{
    Command, DialError, File, FileError, HostName, Mode, Output, RunError, RunErrorKind,
    files::{self, Drift},
    output,
};
use async_trait::async_trait;
use std::{fmt, net::SocketAddr, path::Path, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream that [`Host::dial`] opened.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A machine that can run programs, hold files and open connections.
///
/// All methods may be called from several tasks at once.
#[async_trait]
pub trait Host: fmt::Debug + Send + Sync {
    /// The name that messages and events use.
    fn name(&self) -> &HostName;

    /// Runs a program to its end, whatever its exit status.
    ///
    /// # Errors
    ///
    /// The program is missing, cannot be started, or exceeds its time-out; the host is unreachable.
    /// An exit status other than 0 is *not* an error here, see [`Host::run`].
    async fn output(&self, command: &Command) -> Result<Output, RunError>;

    /// Runs a program that has to succeed.
    ///
    /// # Errors
    ///
    /// As [`Host::output`], and any exit status other than 0.
    async fn run(&self, command: &Command) -> Result<Output, RunError> {
        let output = self.output(command).await?;
        if output.status.success() {
            return Ok(output);
        }
        Err(RunError {
            host: self.name().clone(),
            command: command.to_string(),
            kind: Box::new(RunErrorKind::Failed {
                status: output.status,
                stdout_tail: output::tail(&output.stdout),
                stderr_tail: output::tail(&output.stderr),
            }),
        })
    }

    /// The contents of a file; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// Anything but the absence of the file or of its directory.
    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError>;

    /// The permission bits of a file; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// Anything but the absence of the file or of its directory.
    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError>;

    /// How each of `files` differs from what it has to be, in their order; `None` where it does not.
    ///
    /// A host that is far away answers for all of them at once.
    ///
    /// # Errors
    ///
    /// The first file that cannot be examined; one that is missing is *not* an error.
    async fn compare(&self, files: &[File]) -> Result<Vec<Option<Drift>>, FileError> {
        files::compare_each(self, files).await
    }

    /// Writes a whole file: into a temporary name beside it, which has the final mode from its first byte,
    /// then `fsync` and `rename`. Missing directories are made with mode 0755.
    ///
    /// # Errors
    ///
    /// Any step that the system refuses; the old file is then still whole.
    async fn write_file(&self, file: &File) -> Result<(), FileError>;

    /// Writes several files, each as [`Host::write_file`] does, in no order that counts.
    ///
    /// # Errors
    ///
    /// A file that cannot be written; others may be written or not.
    async fn write_files(&self, files: &[&File]) -> Result<(), FileError> {
        let writes = files.iter().map(|file| self.write_file(file));
        futures::future::try_join_all(writes).await.map(drop)
    }

    /// Removes a file. A file that is not there is *not* an error.
    ///
    /// # Errors
    ///
    /// The system refuses, or it is a directory.
    async fn remove_file(&self, path: &Path) -> Result<(), FileError>;

    /// Opens a TCP connection from this host: its routes, its firewall, its source address.
    ///
    /// # Errors
    ///
    /// Refused, unreachable, or nothing answered within `timeout`.
    async fn dial(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, DialError>;
}
