//! The programs and images of a lab as one disk, for machines that share no directory with this one.

use crate::{
    FileName, FilesDisk, FilesDiskError, ImageSet, InvalidFileName, MACHINE_PROGRAMS, Places,
    ProgramName, ProgramSet, Sha256, StoreError,
    files_disk::{DiskFile, DiskLabel},
    lock::Stamp,
    store::{self, writing},
};
use host_exec::EventSink;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The step's name in events.
const STEP: &str = "programs disk";

/// Changes when the way in which disks are written changes, so that older ones are written anew.
const FORMAT: &str = "1";

/// A disk with programs and images, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramsDisk {
    /// The disk's file, named for a digest of what is on it.
    pub path: PathBuf,
    /// The checksum of its contents.
    pub sha256: Sha256,
    /// Its size, a multiple of 512.
    pub bytes: u64,
}

/// A disk of programs that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramsDiskError {
    /// The version set lacks a program.
    #[error("the program {program} is not in the set at {}: ask for it", .dir.display())]
    NoProgram {
        /// The program.
        program: ProgramName,
        /// The version set.
        dir: PathBuf,
    },
    /// An image's archive has gone.
    #[error("the image archive {} is not there: make the images again", .archive.display())]
    NoArchive {
        /// The archive.
        archive: PathBuf,
    },
    /// An image's name gives no name of a file.
    #[error(transparent)]
    Name(#[from] InvalidFileName),
    /// The disk cannot be laid out or written.
    #[error("cannot write the disk of programs {}", .path.display())]
    Disk {
        /// The disk's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: FilesDiskError,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread of this program ended early.
    #[error("a background task failed")]
    Task(#[from] tokio::task::JoinError),
}

/// What is known of a disk that was written; beside it, written after it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    sha256: Sha256,
    stamp: Stamp,
}

/// Returns a disk, labelled [`DiskLabel::PROGRAMS`], with [`MACHINE_PROGRAMS`] under their names and each image as
/// `image-NAME.tar`; writes it if there is none of these. Else it only looks, and takes a millisecond.
///
/// A guest mounts it read-only where its programs are to be, with `umask=022`, and imports the images by
/// [`IMPORT_IMAGES`](crate::IMPORT_IMAGES). A run that was killed is finished by the next one, and two runs at once
/// take turns. Disks of other programs are left in the cache.
///
/// # Errors
///
/// A program or archive is missing, or the disk is full; see [`ProgramsDiskError`].
pub async fn programs_disk(
    set: &ProgramSet,
    images: &ImageSet,
    places: &Places,
    events: &dyn EventSink,
) -> Result<ProgramsDisk, ProgramsDiskError> {
    let (files, key) = contents(set, images)?;
    let disks = places.cache_dir.join("disks");
    let path = disks.join(format!("programs-{}.img", key.short()));
    if let Some(disk) = finished(&path)? {
        return Ok(disk);
    }
    events.started("", STEP);
    let turn = store::exclusive(&disks, STEP, events).await?;
    // Another process may have written it while this one waited for its turn.
    if let Some(disk) = finished(&path)? {
        return Ok(disk);
    }
    let what = format!("writing {} files", files.len());
    let target = path.clone();
    let written = tokio::task::spawn_blocking(move || {
        // Held by what writes, which goes on when nobody waits for it any more.
        let _turn = turn;
        write(&target, files)
    });
    let disk = store::with_heartbeat(events, STEP, || what.clone(), written).await??;
    events.done("", STEP, &path.display().to_string());
    Ok(disk)
}

/// What goes onto the disk, and a digest of it.
fn contents(
    set: &ProgramSet,
    images: &ImageSet,
) -> Result<(Vec<DiskFile>, Sha256), ProgramsDiskError> {
    let (mut files, mut key) = (Vec::new(), format!("{FORMAT}\n"));
    for program in MACHINE_PROGRAMS {
        let entry = set.lock.programs.get(&program);
        let entry = entry.ok_or_else(|| ProgramsDiskError::NoProgram {
            program,
            dir: set.dir.clone(),
        })?;
        key.push_str(&format!("{program} {}\n", entry.sha256));
        files.push(DiskFile {
            name: program.as_str().parse()?,
            contents: set.path(program),
        });
    }
    for image in &images.images {
        let name = image_file(image.reference.as_str())?;
        let archive = image.archive.clone();
        let stamp = Stamp::of(&archive).map_err(writing(&archive))?;
        let stamp = stamp.ok_or_else(|| ProgramsDiskError::NoArchive {
            archive: archive.clone(),
        })?;
        // Archives of the cache have names with a digest of their contents; the stamp is for those of others.
        key.push_str(&format!("{name} {} {stamp:?}\n", archive.display()));
        files.push(DiskFile {
            name,
            contents: archive,
        });
    }
    Ok((files, Sha256::of(key.as_bytes())))
}

/// `image-web.tar` for `lab.local/web:1`: what is asked for by name is the same file in all versions.
fn image_file(reference: &str) -> Result<FileName, InvalidFileName> {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    let name = last.split(':').next().unwrap_or(last);
    format!("image-{name}.tar").parse()
}

fn record_of(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// The disk, if it is there and looks as it did when it was written.
fn finished(path: &Path) -> Result<Option<ProgramsDisk>, StoreError> {
    let record: Option<Record> = store::read_json(&record_of(path))?;
    let found = Stamp::of(path).map_err(writing(path))?;
    Ok(record
        .filter(|record| found == Some(record.stamp))
        .map(|record| ProgramsDisk {
            path: path.to_owned(),
            sha256: record.sha256,
            bytes: record.stamp.size_bytes,
        }))
}

fn write(path: &Path, files: Vec<DiskFile>) -> Result<ProgramsDisk, ProgramsDiskError> {
    let part = crate::download::part_of(path);
    let failed = |source| match source {
        FilesDiskError::Write(source) => StoreError::new(&part, source).into(),
        source => ProgramsDiskError::Disk {
            path: path.to_owned(),
            source,
        },
    };
    let disk = FilesDisk::new(DiskLabel::PROGRAMS, files).map_err(failed)?;
    let mut out = File::create(&part).map_err(writing(&part))?;
    let written = disk.write(&mut out).map_err(failed)?;
    out.sync_all().map_err(writing(&part))?;
    fs::rename(&part, path).map_err(writing(path))?;
    let missing = || StoreError::new(path, io::ErrorKind::NotFound.into());
    let record = Record {
        sha256: written.sha256.clone(),
        stamp: Stamp::of(path)
            .map_err(writing(path))?
            .ok_or_else(missing)?,
    };
    store::write_json(&record_of(path), &record)?;
    Ok(ProgramsDisk {
        path: path.to_owned(),
        sha256: written.sha256,
        bytes: written.bytes,
    })
}
