//! A FAT file system in memory, the same for the same files.

use super::InstanceId;
use crate::HostPath;
use fatfs::{
    Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider,
};
use host_exec::{Contents, File, Mode};
use std::{
    fmt,
    io::{self, Cursor, Write as _},
};
use zeroize::Zeroizing;

/// The size of every image: the largest seed twice over, since a file's last cluster is seldom full.
const IMAGE_BYTES: usize = 2 << 20;

/// 2048 clusters; FAT12 can have 4084 (Microsoft, "FAT: General Overview of On-Disk Format").
const CLUSTER_BYTES: u32 = 1024;

/// The name by which cloud-init and its `ds-identify` know a seed; short FAT labels are in upper case.
const LABEL: [u8; 11] = *b"CIDATA     ";

/// The bytes of a seed's disk, 2 MiB. With the private host key in them: cleared when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SeedImage {
    instance_id: InstanceId,
    bytes: Zeroizing<Vec<u8>>,
}

impl SeedImage {
    /// The digest of its files.
    pub fn instance_id(&self) -> &InstanceId {
        &self.instance_id
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file for [`Host::write_file`](host_exec::Host::write_file), readable by its owner only.
    pub fn file(&self, path: &HostPath) -> File {
        File {
            path: path.as_str().into(),
            mode: Mode::SECRET,
            contents: Contents::Secret(self.bytes.clone()),
        }
    }
}

impl fmt::Debug for SeedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.instance_id.to_string();
        f.debug_struct("SeedImage")
            .field("instance_id", &id)
            .finish_non_exhaustive()
    }
}

pub(super) fn image(instance_id: &InstanceId, files: [(&str, &str); 3]) -> SeedImage {
    let mut bytes = Zeroizing::new(vec![0; IMAGE_BYTES]);
    write(&mut bytes, instance_id.serial(), files)
        .expect("memory does not fail, and three files of at most 1 MiB fit into 2 MiB");
    SeedImage {
        instance_id: instance_id.clone(),
        bytes,
    }
}

fn write(bytes: &mut [u8], serial: u32, files: [(&str, &str); 3]) -> io::Result<()> {
    let format = FormatVolumeOptions::new()
        .fat_type(FatType::Fat12)
        .bytes_per_cluster(CLUSTER_BYTES)
        .volume_id(serial)
        .volume_label(LABEL);
    fatfs::format_volume(Cursor::new(&mut *bytes), format)?;
    let options = FsOptions::new()
        .time_provider(&EPOCH)
        .update_accessed_date(false);
    let volume = FileSystem::new(Cursor::new(bytes), options)?;
    for (name, text) in files {
        let mut file = volume.root_dir().create_file(name)?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
    }
    volume.unmount()
}

/// A clock that stands still at the first moment of FAT.
#[derive(Debug)]
struct Epoch;

static EPOCH: Epoch = Epoch;

const FIRST_DAY: Date = Date {
    year: 1980,
    month: 1,
    day: 1,
};

impl TimeProvider for Epoch {
    fn get_current_date(&self) -> Date {
        FIRST_DAY
    }

    fn get_current_date_time(&self) -> DateTime {
        let time = Time {
            hour: 0,
            min: 0,
            sec: 0,
            millis: 0,
        };
        DateTime {
            date: FIRST_DAY,
            time,
        }
    }
}
