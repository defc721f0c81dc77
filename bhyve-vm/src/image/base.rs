//! What all VMs of one image start from: a volume or a file on the host, named by the image's digest.

use super::Digest;
use crate::plan::{command, step};
use crate::{Action, Condition, HostPath, InvalidValue, RootVolume, Step, ZfsDataset};
use host_exec::Command;
use std::{num::NonZeroU32, time::Duration};

/// The snapshot of a base volume that is cloned. It is there only once the volume is whole.
pub const READY_SNAPSHOT: &str = "ready";

/// The ZFS user property that marks a base volume as ours, with the digest of its image (zfs(8), "User Properties").
pub const IMAGE_PROPERTY: &str = "lab:image";

/// The tag of the hold that keeps a snapshot from being destroyed by mistake (zfs-hold(8)).
pub(crate) const HOLD_TAG: &str = "lab";

/// To copy an image of some GiB onto a slow disk; the time limit of a hang, not of a copy.
const COPY_LIMIT: Duration = Duration::from_secs(30 * 60);

/// An image of which no base can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseVolumeError {
    /// The name that comes of the parent and the digest is too long.
    #[error(transparent)]
    Name(#[from] InvalidValue),
    /// The disk is empty, has no whole sectors, or is out of all proportion.
    #[error("image has a disk of {disk_bytes} bytes; it has to be a multiple of 512, below 4 PiB")]
    Size {
        /// Its size.
        disk_bytes: u64,
    },
}

/// A disk that is smaller than the image it starts from: volumes and files only grow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("root disk of {asked_mib} MiB is smaller than its image; give it at least {least_mib} MiB")]
pub struct TooSmall {
    /// What was asked for.
    pub asked_mib: NonZeroU32,
    /// What the image has.
    pub least_mib: NonZeroU32,
}

/// A ZFS volume with an image, of which the root volumes of VMs are clones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseVolume {
    dataset: ZfsDataset,
    parent: ZfsDataset,
    digest: Digest,
    size_mib: NonZeroU32,
}

impl BaseVolume {
    /// The volume below `parent` for the image with this digest and a disk of this size.
    ///
    /// # Errors
    ///
    /// Parent and digest are too long together, or the size is that of no disk.
    pub fn new(
        parent: &ZfsDataset,
        digest: &Digest,
        disk_bytes: u64,
    ) -> Result<Self, BaseVolumeError> {
        Ok(Self {
            dataset: format!("{parent}/{digest}").parse()?,
            parent: parent.clone(),
            digest: digest.clone(),
            size_mib: whole_mib(disk_bytes)?,
        })
    }

    /// The volume's dataset.
    pub fn dataset(&self) -> &ZfsDataset {
        &self.dataset
    }

    /// The digest of its image.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The volume's size: that of the image, in whole MiB.
    pub fn size_mib(&self) -> NonZeroU32 {
        self.size_mib
    }

    /// Succeeds on the host if the volume is there and whole.
    pub fn is_ready(&self) -> Command {
        command(&["zfs", "list", "-H", "-o", "name", &self.snapshot()])
    }

    /// The root volume of a VM that starts from this image, for a VM of a [`Fleet`](crate::fleet::Fleet).
    ///
    /// # Errors
    ///
    /// It would be smaller than the image.
    pub fn root_volume(
        &self,
        dataset: ZfsDataset,
        size_mib: NonZeroU32,
    ) -> Result<RootVolume, TooSmall> {
        at_least(self.size_mib, size_mib)?;
        let image = self.dataset.clone();
        Ok(RootVolume {
            image,
            dataset,
            size_mib,
        })
    }

    /// The steps that make the volume of a raw disk, which is a file on the host and gone afterwards.
    ///
    /// The snapshot comes after the last byte. So what an interrupted run leaves has none, and
    /// [`BaseVolume::remove_steps`] clears it away for the next.
    pub fn create_steps(&self, raw: &HostPath) -> Vec<Step> {
        let (volume, snapshot) = (self.dataset.as_str(), self.snapshot());
        let device = self.dataset.device();
        let (from, to) = (format!("if={raw}"), format!("of={device}"));
        let ready = Condition::Exists(device.to_string());
        let limit = Duration::from_secs(30);
        vec![
            run(
                format!("make the place {}", self.parent),
                command(&["zfs", "create", "-p", self.parent.as_str()]),
            ),
            make(
                format!("make volume {volume}"),
                self.create(),
                command(&["zfs", "destroy", volume]),
            ),
            step(
                "wait for its device",
                Action::Await {
                    condition: ready,
                    limit,
                },
            ),
            run(
                "write the image to it".into(),
                command(&["dd", &from, &to, "bs=1M"]).timeout(COPY_LIMIT),
            ),
            make(
                "mark it as whole".into(),
                command(&["zfs", "snapshot", &snapshot]),
                command(&["zfs", "destroy", &snapshot]),
            ),
            make(
                "keep it from being destroyed".into(),
                command(&["zfs", "hold", HOLD_TAG, &snapshot]),
                command(&["zfs", "release", HOLD_TAG, &snapshot]),
            ),
            run(
                format!("remove {raw}"),
                command(&["rm", "-f", "--", raw.as_str()]),
            ),
        ]
    }

    /// Sparse, so that it takes no more room than the image has data.
    fn create(&self) -> Command {
        let (size, image) = (
            format!("{}M", self.size_mib),
            format!("{IMAGE_PROPERTY}={}", self.digest),
        );
        // volmode=dev: else the host itself looks into the image's partitions.
        let create = command(&["zfs", "create", "-s", "-V", &size, "-o", "volmode=dev"]);
        create.args([
            "-o",
            "volblocksize=16K",
            "-o",
            &image,
            self.dataset.as_str(),
        ])
    }

    /// The steps that remove the volume, whole or not. They fail, and leave it, as long as a VM is a clone of it.
    pub fn remove_steps(&self) -> Vec<Step> {
        remove_base(self.dataset.as_str(), self.digest.as_str())
    }

    fn snapshot(&self) -> String {
        format!("{}@{READY_SNAPSHOT}", self.dataset)
    }
}

/// The steps that remove a base volume with this digest, whole or not.
pub(crate) fn remove_base(volume: &str, digest: &str) -> Vec<Step> {
    let snapshot = format!("{volume}@{READY_SNAPSHOT}");
    let question = command(&["zfs", "get", "-H", "-o", "value", IMAGE_PROPERTY, volume]);
    let line = digest.to_owned();
    let attempt = |what: &str, words: &[&str]| step(what, Action::Try(command(words)));
    vec![
        step(
            format!("make sure that {volume} is ours"),
            Action::Require {
                command: question,
                line,
            },
        ),
        attempt(
            "let go of its snapshot",
            &["zfs", "release", HOLD_TAG, &snapshot],
        ),
        attempt("remove its snapshot", &["zfs", "destroy", &snapshot]),
        run(
            format!("remove volume {volume}"),
            command(&["zfs", "destroy", volume]),
        ),
    ]
}

/// A sparse file with an image, of which the root disks of VMs are copies: for hosts without ZFS volumes.
///
/// On ZFS from 2.2 such a copy shares its blocks with the file (zpool-features(7), `block_cloning`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFile {
    path: HostPath,
    size_mib: NonZeroU32,
}

impl BaseFile {
    /// The file in the folder `place` for the image with this digest and a disk of this size.
    ///
    /// # Errors
    ///
    /// Folder and digest are too long together, or the size is that of no disk.
    pub fn new(
        place: &HostPath,
        digest: &Digest,
        disk_bytes: u64,
    ) -> Result<Self, BaseVolumeError> {
        Ok(Self {
            path: format!("{place}/{digest}.raw").parse()?,
            size_mib: whole_mib(disk_bytes)?,
        })
    }

    /// The file. It is there only when it is whole.
    pub fn path(&self) -> &HostPath {
        &self.path
    }

    /// The steps that make the file of a raw disk, which lies on the same file system of the host and is gone
    /// afterwards.
    pub fn create_steps(&self, raw: &HostPath) -> Vec<Step> {
        let path = self.path.as_str();
        vec![
            run(
                "keep the image from being changed".into(),
                command(&["chmod", "400", raw.as_str()]),
            ),
            make(
                format!("name it {path}"),
                command(&["mv", "--", raw.as_str(), path]),
                command(&["rm", "-f", "--", path]),
            ),
        ]
    }

    /// The steps that make the root disk of a VM: a file of its own, grown to `size_mib`.
    ///
    /// # Errors
    ///
    /// It would be smaller than the image.
    pub fn copy_steps(&self, disk: &HostPath, size_mib: NonZeroU32) -> Result<Vec<Step>, TooSmall> {
        at_least(self.size_mib, size_mib)?;
        let (image, disk) = (self.path.as_str(), disk.as_str());
        let copy = command(&["cp", "--", image, disk]).timeout(COPY_LIMIT);
        let grow = command(&["truncate", "-s", &format!("{size_mib}M"), disk]);
        Ok(vec![
            make(
                format!("copy {image}"),
                copy,
                command(&["rm", "-f", "--", disk]),
            ),
            run(
                "let only root at it".into(),
                command(&["chmod", "600", disk]),
            ),
            run(format!("grow it to {size_mib} MiB"), grow),
        ])
    }
}

fn whole_mib(disk_bytes: u64) -> Result<NonZeroU32, BaseVolumeError> {
    let mib = u32::try_from(disk_bytes.div_ceil(1 << 20)).ok();
    let sectors = disk_bytes.is_multiple_of(512);
    let size = mib.filter(|_| sectors).and_then(NonZeroU32::new);
    size.ok_or(BaseVolumeError::Size { disk_bytes })
}

fn at_least(least_mib: NonZeroU32, asked_mib: NonZeroU32) -> Result<(), TooSmall> {
    if asked_mib < least_mib {
        return Err(TooSmall {
            asked_mib,
            least_mib,
        });
    }
    Ok(())
}

/// A step that makes something, and what takes it back.
fn make(what: String, command: Command, undo: Command) -> Step {
    Step {
        what,
        action: Action::Run(command),
        undo: Some(undo),
    }
}

fn run(what: String, command: Command) -> Step {
    step(what, Action::Run(command))
}
