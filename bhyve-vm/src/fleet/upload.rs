//! Large files of the caller's on their way to the host.

use super::model::Fleet;
use super::plan::FleetPlan;
use crate::Action;
use crate::image::Digest;
use host_exec::{Host, InvalidSha256Hex, Mode, UploadError};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// For some GiB over a slow line; the time limit of a hang, not of a transfer.
const SEND_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Where the files are that a plan sends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Supply {
    /// Local paths by SHA-256 checksum: the raw image, and the shared files.
    pub files: BTreeMap<Digest, PathBuf>,
}

/// A file that the plan sends and the caller does not have as it should be. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyError {
    /// It is not among those that were given.
    #[error(
        "no local file was given for SHA-256 {sha256}, which goes to {to}; add it to the supply"
    )]
    Missing {
        /// Its checksum.
        sha256: Digest,
        /// Where it goes.
        to: String,
    },
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is another file.
    #[error("{} has {found_bytes} bytes and SHA-256 {found}, and should have {bytes} and {sha256}; make or fetch it again", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The checksum it should have.
        sha256: Digest,
        /// The size it should have.
        bytes: u64,
        /// The checksum it has.
        found: Digest,
        /// The size it has.
        found_bytes: u64,
    },
}

/// A file that was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It is not among those that were given.
    #[error(transparent)]
    Supply(#[from] SupplyError),
    /// Its checksum is of another kind.
    #[error(transparent)]
    Checksum(#[from] InvalidSha256Hex),
    /// The host did not take it. What came across stays there for the next run.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl Supply {
    /// The files of a fleet: the raw image, then the shared files in their order.
    pub fn of(fleet: &Fleet, raw: PathBuf, shared: impl IntoIterator<Item = PathBuf>) -> Self {
        let digests = fleet.shared.iter().map(|file| file.sha256.clone());
        let mut files: BTreeMap<_, _> = digests.zip(shared).collect();
        files.insert(fleet.base.raw_sha256.clone(), raw);
        Self { files }
    }

    /// Checks every file that the plan sends, byte by byte.
    pub(super) async fn check(&self, plan: &FleetPlan) -> Result<(), SupplyError> {
        for step in plan.steps() {
            if let Action::Upload {
                sha256, bytes, to, ..
            } = &step.action
            {
                let path = self.path(sha256, to.as_str())?;
                check_file(path.to_owned(), sha256.clone(), *bytes).await?;
            }
        }
        Ok(())
    }

    pub(super) fn path(&self, sha256: &Digest, to: &str) -> Result<&Path, SupplyError> {
        let path = self.files.get(sha256);
        path.map(PathBuf::as_path)
            .ok_or_else(|| SupplyError::Missing {
                sha256: sha256.clone(),
                to: to.to_owned(),
            })
    }
}

async fn check_file(path: PathBuf, sha256: Digest, bytes: u64) -> Result<(), SupplyError> {
    let file = path.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut opened = std::fs::File::open(&file)?;
        let found_bytes = opened.metadata()?.len();
        let found = sha256.of_same_kind(&mut opened)?;
        Ok((sha256, found, found_bytes))
    });
    let read = read.await.map_err(io::Error::other).flatten();
    let (sha256, found, found_bytes) = read.map_err(|source| SupplyError::Read {
        path: path.clone(),
        source,
    })?;
    if found == sha256 && found_bytes == bytes {
        return Ok(());
    }
    Err(SupplyError::Other {
        path,
        sha256,
        bytes,
        found,
        found_bytes,
    })
}

/// Sends one file, from where an earlier run was cut off.
pub(super) async fn send(
    host: &dyn Host,
    local: &Path,
    to: &str,
    mode: Mode,
    sha256: &Digest,
) -> Result<(), SendError> {
    let sha256 = sha256.as_str().parse()?;
    host_exec::upload(host, local, Path::new(to), mode, &sha256, SEND_LIMIT).await?;
    Ok(())
}
