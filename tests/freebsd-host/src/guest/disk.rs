//! What a guest keeps on its root disk, as directories beside the disk's file.

use crate::world::World;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Component, Path, PathBuf},
};

/// Directories that lie on a real file system: container runtimes make overlays below them, and an overlay cannot lie
/// on an overlay.
const REAL: [&str; 4] = [
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/var/log",
];

/// Directories of the skeleton that nothing is kept in: /usr is the machine's, with the links into it; the others are
/// new at each boot.
const NOT_KEPT: [&str; 11] = [
    "bin", "dev", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp",
];

/// The root disk of a guest.
#[derive(Debug, Clone)]
pub(super) struct RootDisk {
    /// `upper` and `work` of the overlay, its mount point `root`, and `data`.
    pub(super) place: PathBuf,
    skeleton: PathBuf,
}

impl RootDisk {
    /// The disk behind a device or file; its directories are made where they are missing.
    pub(super) fn open(world: &World, path: &Path) -> Result<Self> {
        let file = fs::canonicalize(path).with_context(|| format!("{}", path.display()))?;
        let place = if file.starts_with(world.path("volumes")) {
            file.parent().map(|volume| volume.join("guest"))
        } else {
            Some(place_of_file(world, &file)?)
        };
        let place = place.context("a volume is in a directory")?;
        let disk = Self {
            place,
            skeleton: world.path("skeleton"),
        };
        for part in ["upper", "work", "root", "data"] {
            fs::create_dir_all(disk.place.join(part))?;
        }
        // What it is shown as: the root of a file system.
        fs::set_permissions(disk.upper(), fs::Permissions::from_mode(0o755))?;
        for (here, there) in disk.real() {
            fs::create_dir_all(here)?;
            disk.directory(&there)?;
        }
        Ok(disk)
    }

    fn upper(&self) -> PathBuf {
        self.place.join("upper")
    }

    /// The real directories: here, and in the guest.
    pub(super) fn real(&self) -> Vec<(PathBuf, PathBuf)> {
        let data = self.place.join("data");
        let pair = |there: &str| {
            (
                data.join(there.trim_start_matches('/').replace('/', "-")),
                PathBuf::from(there),
            )
        };
        REAL.into_iter().map(pair).collect()
    }

    /// Reads a file of the guest, which is not running.
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        let relative = path.trim_start_matches('/');
        let own = self.upper().join(relative);
        fs::read_to_string(if own.exists() {
            own
        } else {
            self.skeleton.join(relative)
        })
    }

    /// Writes a file of the guest, which is not running, as its init would see it: owned by root.
    pub(super) fn write(&self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let target = self.locate(Path::new(path))?;
        match fs::remove_file(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&target)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        Ok(file.write_all(bytes)?)
    }

    /// Gives a home with its `.ssh` and keys to a user, and the modes that sshd(8) insists on.
    pub(super) fn own(&self, home: &str, user: u32) -> Result<()> {
        let home = self.upper().join(home.trim_start_matches('/'));
        for (path, mode) in [
            (home.clone(), None),
            (home.join(".ssh"), Some(0o700)),
            (home.join(".ssh/authorized_keys"), None),
        ] {
            chown(&path, Some(user), Some(user))?;
            if let Some(mode) = mode {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }

    /// Where a file of the guest lies here; the directories on its way are made.
    fn locate(&self, path: &Path) -> Result<PathBuf> {
        for (here, there) in self.real() {
            if let Ok(below) = path.strip_prefix(&there) {
                let target = here.join(below);
                fs::create_dir_all(target.parent().unwrap_or(&here))?;
                return Ok(target);
            }
        }
        let above = path
            .parent()
            .with_context(|| format!("{}: no path of a file", path.display()))?;
        self.directory(above)?;
        Ok(self.upper().join(path.strip_prefix("/").unwrap_or(path)))
    }

    /// Makes a directory of the guest, with the modes of the skeleton where it has one.
    pub(super) fn directory(&self, path: &Path) -> Result<()> {
        let mut below = PathBuf::new();
        for part in path.components() {
            let part = match part {
                Component::RootDir => continue,
                Component::Normal(part) => part,
                _ => bail!("{}: not a plain absolute path", path.display()),
            };
            below.push(part);
            let first = below.iter().next().and_then(|first| first.to_str());
            if first.is_some_and(|first| NOT_KEPT.contains(&first) || first == "usr") {
                bail!(
                    "{}: this guest keeps nothing below /{}",
                    path.display(),
                    first.unwrap_or_default()
                );
            }
            let shown = fs::symlink_metadata(self.skeleton.join(&below));
            let is_link = |shown: &io::Result<fs::Metadata>| {
                shown.as_ref().is_ok_and(|shown| shown.is_symlink())
            };
            let own = self.upper().join(&below);
            if is_link(&shown) || is_link(&fs::symlink_metadata(&own)) {
                bail!(
                    "{}: {} is a link in this guest",
                    path.display(),
                    below.display()
                );
            }
            if !own.exists() {
                let mode = shown.map_or(0o755, |shown| shown.mode() & 0o7777);
                fs::DirBuilder::new().create(&own)?;
                fs::set_permissions(&own, fs::Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }
}

/// For a disk that is a file: a directory by the file's path, begun anew if the file is another one by now.
fn place_of_file(world: &World, file: &Path) -> Result<PathBuf> {
    let digest = Sha256::digest(file.as_os_str().as_encoded_bytes());
    let id: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let place = world.path("files").join(id);
    let inode = fs::metadata(file)?.ino().to_string();
    let mark = place.join("inode");
    if fs::read_to_string(&mark).ok().as_deref() != Some(&inode) {
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&place)?;
        fs::write(mark, inode)?;
    }
    Ok(place)
}

/// Whether firmware finds something to boot: the signature of a master boot record, which GPT has, too (UEFI, 5.2.3).
pub(super) fn is_bootable(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut signature = [0; 2];
    file.seek(SeekFrom::Start(510))?;
    match file.read_exact(&mut signature) {
        Ok(()) => Ok(signature == [0x55, 0xaa]),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
