//! Obtains the raw disk of an image: the only part with effects on them.

use super::{BoxedError, CloudImage, CloudImageError, ImageChecksum, ImageUrl};
use crate::{
    Checksum, DownloadError, Places, Sha256, StoreError, download,
    lock::Stamp,
    store::{self, writing},
    transfer,
};
use host_exec::EventSink;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::spawn_blocking;

/// The step's name in events.
const STEP: &str = "cloud image";

/// Writes the raw disk of a published image, whose checksum was compared, into an empty file, which then has the size of
/// the disk.
///
/// A parameter, because this crate gets files and knows nothing of their formats, and who knows them, such as
/// `bhyve_vm::image::import`, has no business with downloads.
pub type Convert =
    fn(published: &Path, checksum: &Checksum, raw: &mut File) -> Result<(), BoxedError>;

/// A raw disk in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawImage {
    /// The disk: a file with holes where it has nothing but zeros.
    pub path: PathBuf,
    /// The checksum of the disk, not of what was published.
    pub sha256: Sha256,
    /// Its size.
    pub disk_bytes: u64,
}

/// What is known of a raw disk; beside it, written after it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    published: Checksum,
    sha256: Sha256,
    stamp: Stamp,
}

/// Which image an address had when it was first asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    url: String,
    checksum: Checksum,
}

/// Returns the raw disk of an image; downloads and converts it if it is not in the cache. Else it only looks, in about
/// a millisecond, and asks nobody. A file without a checksum has to be read for that, a second per 500 MB.
///
/// What an address had the first time is what it has from then on, though the publisher may have replaced it: a lab does
/// not change because it is started again. To get the new one, remove the file `address-*.json` of the cache's directory
/// `cloud`.
///
/// A download that was cut off goes on where it was, a run that was killed is finished by the next, and two at once take
/// turns.
///
/// # Errors
///
/// See [`CloudImageError`]. An image that was replaced between its list and its download is *not* an error: both are
/// asked for once more.
pub async fn cloud_image(
    wanted: &CloudImage,
    places: &Places,
    convert: Convert,
    events: &dyn EventSink,
) -> Result<RawImage, CloudImageError> {
    let work = Work {
        dir: places.cache_dir.join("cloud"),
        image: wanted.to_string(),
        places,
        convert,
        events,
    };
    match wanted {
        CloudImage::Debian {
            release,
            architecture,
        } => {
            let (url, list) = places.mirrors.debian_image(*release, *architecture)?;
            work.published(&url, &ImageChecksum::List(list)).await
        }
        CloudImage::Url { url, checksum } => work.published(url, checksum).await,
        CloudImage::File { path, checksum } => work.local(path, checksum.clone()).await,
    }
}

struct Work<'a> {
    dir: PathBuf,
    image: String,
    places: &'a Places,
    convert: Convert,
    events: &'a dyn EventSink,
}

impl Work<'_> {
    async fn local(
        &self,
        path: &Path,
        checksum: Option<Checksum>,
    ) -> Result<RawImage, CloudImageError> {
        if let Some(raw) = self.finished(checksum.as_ref())? {
            return Ok(raw);
        }
        let (file, expected) = (path.to_owned(), checksum);
        let checked = spawn_blocking(move || verify(&file, expected));
        let checksum = checked.await??;
        // Without a checksum it is only known now whether it is there.
        if let Some(raw) = self.finished(Some(&checksum))? {
            return Ok(raw);
        }
        self.events.started("", STEP);
        let turn = Arc::new(store::exclusive(&self.dir, STEP, self.events).await?);
        if let Some(raw) = self.finished(Some(&checksum))? {
            return Ok(raw);
        }
        self.make(path.to_owned(), checksum, turn).await
    }

    async fn published(
        &self,
        url: &ImageUrl,
        checksum: &ImageChecksum,
    ) -> Result<RawImage, CloudImageError> {
        if let Some(raw) = self.finished(self.known(url, checksum)?.as_ref())? {
            return Ok(raw);
        }
        self.events.started("", STEP);
        let turn = Arc::new(store::exclusive(&self.dir, STEP, self.events).await?);
        // Another process may have done the work while this one waited for its turn.
        let known = self.known(url, checksum)?;
        if let Some(raw) = self.finished(known.as_ref())? {
            return Ok(raw);
        }
        let (file, found) = self.download(url, checksum, known, &turn).await?;
        let raw = self.make(file.clone(), found.clone(), turn).await?;
        if let ImageChecksum::List(_) = checksum {
            let pin = Pin {
                url: url.to_string(),
                checksum: found,
            };
            store::write_json(&self.pin(url), &pin)?;
        }
        store::remove(&file)?;
        Ok(raw)
    }

    /// Downloads the image and returns the file and its checksum, which was compared.
    async fn download(
        &self,
        url: &ImageUrl,
        checksum: &ImageChecksum,
        known: Option<Checksum>,
        turn: &Arc<File>,
    ) -> Result<(PathBuf, Checksum), CloudImageError> {
        let expected = match known {
            Some(known) => known,
            None => self.asked(url, checksum).await?,
        };
        match self.fetch(url, &expected, turn).await {
            Err(CloudImageError::Download(mismatch @ DownloadError::ChecksumMismatch { .. })) => {
                // Replaced since the list was read; or the list and the image came from two mirrors.
                let now = self.asked(url, checksum).await?;
                if now == expected {
                    return Err(mismatch.into());
                }
                Ok((self.fetch(url, &now, turn).await?, now))
            }
            fetched => Ok((fetched?, expected)),
        }
    }

    /// What the image has to have; what the publisher's list says now.
    async fn asked(
        &self,
        url: &ImageUrl,
        checksum: &ImageChecksum,
    ) -> Result<Checksum, CloudImageError> {
        let list = match checksum {
            ImageChecksum::Known(known) => return Ok(known.clone()),
            ImageChecksum::List(list) => list,
        };
        let agent = download::agent(self.places.mirrors.connect_timeout);
        let (from, sums) = (url.to_string(), list.to_string());
        let asked = spawn_blocking(move || download::published_checksum(&agent, &from, &sums));
        let what = || format!("asking for the checksum of {}", url.file());
        Ok(store::with_heartbeat(self.events, STEP, what, asked).await??)
    }

    async fn fetch(
        &self,
        url: &ImageUrl,
        expected: &Checksum,
        turn: &Arc<File>,
    ) -> Result<PathBuf, CloudImageError> {
        let name = format!("{}-{}", short(expected), url.file());
        let target = self.dir.join(name);
        let agent = download::agent(self.places.mirrors.connect_timeout);
        let (from, to, sum) = (url.to_string(), target.clone(), expected.clone());
        let turn = turn.clone();
        let fetched = transfer::blocking(STEP, url.as_str(), self.events, move |progress| {
            // Held by what writes, which may outlive who waits for it.
            let _turn = turn;
            // Left by a run that was killed, or whose image could not be converted.
            if sum.of_same_kind(&to).is_ok_and(|found| found == sum) {
                return Ok(());
            }
            download::fetch_known(&agent, &from, &sum, &to, progress)
        });
        fetched.await??;
        Ok(target)
    }

    async fn make(
        &self,
        published: PathBuf,
        checksum: Checksum,
        turn: Arc<File>,
    ) -> Result<RawImage, CloudImageError> {
        let target = self.raw(&checksum);
        let (convert, image) = (self.convert, self.image.clone());
        let made = spawn_blocking(move || {
            let _turn = turn;
            write(&target, checksum, |checksum, raw| {
                let converted = convert(&published, checksum, raw);
                converted.map_err(|source| CloudImageError::Convert { image, source })
            })
        });
        let what = || format!("making a raw disk of {}", self.image);
        let raw = store::with_heartbeat(self.events, STEP, what, made).await??;
        let text = raw.path.display().to_string();
        self.events.done("", STEP, &text);
        Ok(raw)
    }

    /// The checksum of what an address has, as far as it can be told without asking.
    fn known(
        &self,
        url: &ImageUrl,
        checksum: &ImageChecksum,
    ) -> Result<Option<Checksum>, StoreError> {
        if let ImageChecksum::Known(checksum) = checksum {
            return Ok(Some(checksum.clone()));
        }
        let pin: Option<Pin> = store::read_json(&self.pin(url))?;
        Ok(pin
            .filter(|pin| pin.url == url.as_str())
            .map(|pin| pin.checksum))
    }

    /// The raw disk, if it is there and looks as it did when it was written.
    fn finished(&self, published: Option<&Checksum>) -> Result<Option<RawImage>, StoreError> {
        let Some(published) = published else {
            return Ok(None);
        };
        let path = self.raw(published);
        let record: Option<Record> = store::read_json(&path.with_extension("json"))?;
        let found = Stamp::of(&path).map_err(writing(&path))?;
        Ok(record
            .filter(|record| found == Some(record.stamp) && record.published == *published)
            .map(|record| RawImage {
                path,
                sha256: record.sha256,
                disk_bytes: record.stamp.size_bytes,
            }))
    }

    fn raw(&self, published: &Checksum) -> PathBuf {
        self.dir.join(format!("{}.raw", short(published)))
    }

    fn pin(&self, url: &ImageUrl) -> PathBuf {
        let name = Sha256::of(url.as_str().as_bytes());
        self.dir.join(format!("address-{}.json", name.short()))
    }
}

/// Enough of a checksum to tell images apart in a name; their records have all of it.
fn short(checksum: &Checksum) -> &str {
    &checksum.as_str()[..16]
}

/// Compares a file with its checksum, or finds out what it has.
fn verify(path: &Path, expected: Option<Checksum>) -> Result<Checksum, CloudImageError> {
    let reading = |source| CloudImageError::Read {
        path: path.to_owned(),
        source,
    };
    let Some(expected) = expected else {
        return Ok(Sha256::of_file(path).map_err(reading)?.into());
    };
    let found = expected.of_same_kind(path).map_err(reading)?;
    if found == expected {
        return Ok(expected);
    }
    Err(CloudImageError::WrongChecksum {
        path: path.to_owned(),
        expected,
        found,
    })
}

/// Has the raw disk written beside its place, and gives it its name when it is whole.
fn write(
    target: &Path,
    published: Checksum,
    convert: impl FnOnce(&Checksum, &mut File) -> Result<(), CloudImageError>,
) -> Result<RawImage, CloudImageError> {
    let part = download::part_of(target);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(true);
    let mut raw = options.open(&part).map_err(writing(&part))?;
    if let Err(error) = convert(&published, &mut raw) {
        store::remove(&part)?;
        return Err(error);
    }
    raw.sync_all().map_err(writing(&part))?;
    let sha256 = Sha256::of_file(&part).map_err(writing(&part))?;
    fs::rename(&part, target).map_err(writing(target))?;
    let missing = || StoreError::new(target, io::ErrorKind::NotFound.into());
    let stamp = Stamp::of(target)
        .map_err(writing(target))?
        .ok_or_else(missing)?;
    let record = Record {
        published,
        sha256: sha256.clone(),
        stamp,
    };
    store::write_json(&target.with_extension("json"), &record)?;
    Ok(RawImage {
        path: target.to_owned(),
        sha256,
        disk_bytes: stamp.size_bytes,
    })
}
