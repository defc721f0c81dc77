//! Big files of a host, brought to this machine as a stream.

use crate::{Command, FileError, Host, HostName, RunError};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A file of a host that did not arrive here.
#[derive(Debug, thiserror::Error)]
#[error("{host}: cannot download {} to {}", .from.display(), .to.display())]
#[non_exhaustive]
pub struct DownloadError {
    /// The host that has it.
    pub host: HostName,
    /// The file there.
    pub from: PathBuf,
    /// The file of this machine.
    pub to: PathBuf,
    /// The cause.
    #[source]
    pub kind: Box<DownloadErrorKind>,
}

/// The cause of a [`DownloadError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadErrorKind {
    /// The place there is no absolute path.
    #[error("the place on the host is not an absolute path")]
    Path,
    /// The file there could not be examined.
    #[error(transparent)]
    File(#[from] FileError),
    /// It could not be read there, or not be written here.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The file of this machine could not be brought to its disk.
    #[error("cannot write the file on this machine")]
    Local(#[source] io::Error),
}

/// Has the file `to` of this machine hold what the file `from` of `host` holds, and returns how many bytes that are;
/// `None` if there is no such file. No more than a pipe's content is in memory.
///
/// `to` is made anew, with mode 0600, and synced when all is there. After a failure, or a kill, it holds the beginning:
/// give it the name of a part, and compare a checksum before it gets its own. The one command that reads may run for
/// `limit`.
///
/// Needs `cat` on the host.
///
/// # Errors
///
/// `from` is not absolute or cannot be read, `to` cannot be written, or it took too long.
pub async fn download(
    host: &dyn Host,
    from: &Path,
    to: &Path,
    limit: Duration,
) -> Result<Option<u64>, DownloadError> {
    let done = fetch(host, from, to, limit).await;
    done.map_err(|kind| DownloadError {
        host: host.name().clone(),
        from: from.to_owned(),
        to: to.to_owned(),
        kind: Box::new(kind),
    })
}

async fn fetch(
    host: &dyn Host,
    from: &Path,
    to: &Path,
    limit: Duration,
) -> Result<Option<u64>, DownloadErrorKind> {
    let path = from.to_str().filter(|_| from.is_absolute());
    let path = path.ok_or(DownloadErrorKind::Path)?;
    if host.file_mode(from).await?.is_none() {
        return Ok(None);
    }
    let cat = Command::new("cat").args(["--", path]).timeout(limit);
    host.run(&cat.stdout_to(to)).await?;
    let local = to.to_owned();
    let synced = tokio::task::spawn_blocking(move || {
        let file = fs::File::open(local)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    let synced = synced.await.unwrap_or_else(|e| Err(io::Error::other(e)));
    synced.map(Some).map_err(DownloadErrorKind::Local)
}
