//! The disk images that virtual machines start from, as distributions publish them: which there are, and where.

mod error;
mod obtain;
mod url;

pub use error::{BoxedError, CloudImageError};
pub use obtain::{Convert, RawImage, cloud_image};
pub use url::{ImageUrl, InvalidImageUrl};

use crate::{Architecture, Checksum, Mirrors};
use std::{fmt, path::PathBuf, str::FromStr};

/// A disk image for machines that cloud-init sets up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudImage {
    /// One of the catalogue: Debian's `genericcloud` image, which has drivers of virtual machines only.
    Debian {
        /// The release.
        release: DebianRelease,
        /// The processors of the machines.
        architecture: Architecture,
    },
    /// A published one.
    Url {
        /// Where it is.
        url: ImageUrl,
        /// What says that it is the right one.
        checksum: ImageChecksum,
    },
    /// A file of this machine.
    File {
        /// The file.
        path: PathBuf,
        /// Its checksum; without one the file is taken as it is.
        checksum: Option<Checksum>,
    },
}

/// What says that a published image is the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageChecksum {
    /// The checksum itself, which somebody has checked: the only one that is worth something over plain HTTP.
    Known(Checksum),
    /// The publisher's list, such as `SHA512SUMS`. It says no more than that the image came whole from the place that
    /// the list is from; signatures are not looked at.
    List(ImageUrl),
}

/// A release of Debian with images in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebianRelease {
    /// Debian 12, bookworm.
    Bookworm,
    /// Debian 13, trixie.
    Trixie,
}

/// A text that names no [`DebianRelease`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an image of the catalogue: use debian-12 or debian-13, or give a URL or a file"
)]
pub struct UnknownRelease {
    text: String,
}

impl DebianRelease {
    const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// The name in the catalogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bookworm => "debian-12",
            Self::Trixie => "debian-13",
        }
    }

    /// The name of its directory.
    fn code_name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

impl FromStr for DebianRelease {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| UnknownRelease {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for DebianRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CloudImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian {
                release,
                architecture,
            } => write!(f, "{release} for {architecture}"),
            Self::Url { url, .. } => write!(f, "{url}"),
            Self::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

impl Mirrors {
    /// Debian's image and the list with its checksum.
    ///
    /// Both out of the directory `latest`, whose contents change every few weeks. A dated directory would not, but it
    /// is removed after some months, and a catalogue of dates would send people to images without the fixes since.
    pub(crate) fn debian_image(
        &self,
        release: DebianRelease,
        architecture: Architecture,
    ) -> Result<(ImageUrl, ImageUrl), InvalidImageUrl> {
        let dir = format!("{}/{}/latest", self.debian_images, release.code_name());
        let image = format!("{dir}/{release}-genericcloud-{architecture}.qcow2");
        Ok((image.parse()?, format!("{dir}/SHA512SUMS").parse()?))
    }
}
