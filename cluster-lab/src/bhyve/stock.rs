//! What VMs are made of: an image, a disk with programs, and keys.

use super::keys::Keys;
use crate::{BlueprintError, StateDir, StateError};
use bhyve_vm::{
    ZfsDataset,
    fleet::{FleetBase, SharedFile},
    image::{BaseVolume, Digest},
};
use serde::{Deserialize, Serialize};

/// What VMs are made of.
#[derive(Debug)]
pub(crate) struct Stock {
    /// The image, as a raw disk.
    pub(crate) image: Blob,
    /// The disk with programs and images.
    pub(crate) programs: SharedFile,
    /// Who is known by which key.
    pub(crate) keys: Keys,
}

/// A file by its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) sha256: Digest,
    pub(crate) bytes: u64,
}

/// Image and programs as they are remembered, so that `plan` can name them without making them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StockRecord {
    image_sha256: String,
    image_bytes: u64,
    programs_sha256: String,
    programs_bytes: u64,
}

/// Stands for a checksum that nobody can know yet.
const UNKNOWN: [u8; 64] = [b'0'; 64];
/// The size that stands for that of an image that is not here.
const UNKNOWN_BYTES: u64 = 2 << 30;

impl Stock {
    pub(crate) fn new(image: Blob, programs: Blob, keys: Keys) -> Self {
        Self {
            image,
            programs: SharedFile {
                sha256: programs.sha256,
                bytes: programs.bytes,
            },
            keys,
        }
    }

    /// The image, as the volume that it becomes.
    pub(crate) fn base(&self, dataset: &ZfsDataset) -> Result<FleetBase, BlueprintError> {
        let parent = format!("{dataset}/base").parse();
        let parent = parent.map_err(BlueprintError::part("the dataset of images"))?;
        let Blob { sha256, bytes } = &self.image;
        let volume = BaseVolume::new(&parent, sha256, *bytes);
        Ok(FleetBase {
            volume: volume.map_err(BlueprintError::part("the volume of the image"))?,
            raw_sha256: sha256.clone(),
            raw_bytes: *bytes,
        })
    }

    pub(crate) fn record(&self) -> StockRecord {
        StockRecord {
            image_sha256: self.image.sha256.to_string(),
            image_bytes: self.image.bytes,
            programs_sha256: self.programs.sha256.to_string(),
            programs_bytes: self.programs.bytes,
        }
    }
}

impl StockRecord {
    /// Image and programs that nobody has got yet: their names and sizes show when they are there.
    pub(crate) fn unknown() -> Self {
        let sha256 = String::from_utf8_lossy(&UNKNOWN).into_owned();
        Self {
            image_sha256: sha256.clone(),
            image_bytes: UNKNOWN_BYTES,
            programs_sha256: sha256,
            programs_bytes: UNKNOWN_BYTES,
        }
    }

    /// Image and programs.
    pub(crate) fn blobs(&self, state: &StateDir) -> Result<(Blob, Blob), StateError> {
        let blob = |sha256: &str, bytes| {
            let sha256 = sha256.parse().map_err(|_| StateError::Damaged {
                path: state.stock(),
                problem: format!("{sha256:?} is no checksum"),
            })?;
            Ok(Blob { sha256, bytes })
        };
        Ok((
            blob(&self.image_sha256, self.image_bytes)?,
            blob(&self.programs_sha256, self.programs_bytes)?,
        ))
    }
}
