//! Takes programs out of a gzipped tar.

use crate::{
    Sha256, download,
    store::{StoreError, writing},
};
use flate2::read::GzDecoder;
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// An archive that does not give what is wanted from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It is not a gzipped tar.
    #[error("cannot read {} as a gzipped tar", .archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A member is not there.
    #[error("{} does not hold {}", .archive.display(), .member.display())]
    Missing {
        /// The archive.
        archive: PathBuf,
        /// The member.
        member: PathBuf,
    },
    /// A program cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes the wanted members (path in the archive to file) and returns the checksum of each file.
/// Nothing else of the archive is written, and no path of it is used as one here.
pub(crate) fn tar_gz(
    archive: &Path,
    members: &BTreeMap<PathBuf, PathBuf>,
) -> Result<BTreeMap<PathBuf, Sha256>, UnpackError> {
    let unreadable = |source| UnpackError::Archive {
        archive: archive.to_owned(),
        source,
    };
    let file = File::open(archive).map_err(unreadable)?;
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    let mut sums = BTreeMap::new();
    for entry in tar.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        let Some(target) = members
            .get(path)
            .filter(|_| entry.header().entry_type().is_file())
        else {
            continue;
        };
        let mut out = File::create(target).map_err(writing(target))?;
        let sum = download::copy_and_hash(&mut entry, &mut out).map_err(writing(target))?;
        sums.insert(target.clone(), sum);
    }
    match members
        .iter()
        .find(|(_, target)| !sums.contains_key(*target))
    {
        None => Ok(sums),
        Some((member, _)) => Err(UnpackError::Missing {
            archive: archive.to_owned(),
            member: member.clone(),
        }),
    }
}
