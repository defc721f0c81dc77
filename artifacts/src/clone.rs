//! Gives a machine its own copy of a prepared containerd root in a tenth of a second.

use std::{
    fs::{self, File, FileTimes, Metadata},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink},
    path::{Path, PathBuf},
};

/// A containerd root that could not be copied.
#[derive(Debug, thiserror::Error)]
#[error("cannot copy the containerd root {} to {}: {}", .from.display(), .to.display(), .at.display())]
pub struct CloneError {
    /// The prepared root.
    pub from: PathBuf,
    /// The machine's.
    pub to: PathBuf,
    /// The file at which it stopped.
    pub at: PathBuf,
    /// The cause.
    #[source]
    pub source: io::Error,
}

/// What [`clone_root`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloned {
    /// The copy was made.
    Made,
    /// There is one already, which the machine may have changed since; it was left alone.
    AlreadyThere,
}

/// Makes `to` a copy of the containerd root `from`, at once or not at all.
///
/// Contents and snapshots never change once they are written, so they get a second name (hard link); databases
/// (`*.db`) are written in place by containerd and are really copied. Across file systems everything is copied.
/// A directory `to` that is there and empty is taken, one that holds anything is left alone. Blocks.
///
/// # Errors
///
/// A file cannot be read, linked or written; the disk is full. What a killed run left is removed, *not* an error.
pub fn clone_root(from: &Path, to: &Path) -> Result<Cloned, CloneError> {
    let error = |(at, source): (PathBuf, io::Error)| CloneError {
        from: from.to_owned(),
        to: to.to_owned(),
        at,
        source,
    };
    let at = |path: &Path, source| error((path.to_owned(), source));
    match fs::read_dir(to).map(|mut entries| entries.next()) {
        Ok(None) => {}
        Ok(Some(_)) => return Ok(Cloned::AlreadyThere),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(at(to, e)),
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".cloning");
    let parent = to.parent().unwrap_or(Path::new("/"));
    let part = parent.join(name);
    fs::create_dir_all(parent).map_err(|e| at(parent, e))?;
    match fs::remove_dir_all(&part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(&part, e)),
        _ => {}
    }
    copy_tree(from, &part).map_err(error)?;
    fs::rename(&part, to).map_err(|e| at(to, e))?;
    Ok(Cloned::Made)
}

type At<T> = Result<T, (PathBuf, io::Error)>;

fn copy_tree(from: &Path, to: &Path) -> At<()> {
    let at = |source| (from.to_owned(), source);
    let found = fs::symlink_metadata(from).map_err(at)?;
    if found.is_dir() {
        fs::create_dir(to).map_err(|e| (to.to_owned(), e))?;
        for entry in fs::read_dir(from).map_err(at)? {
            let name = entry.map_err(at)?.file_name();
            copy_tree(&from.join(&name), &to.join(&name))?;
        }
        // After its entries: they change its time, and its mode may forbid to write.
        keep_attributes(&found, to).map_err(|e| (to.to_owned(), e))
    } else if found.is_symlink() {
        let target = fs::read_link(from).map_err(at)?;
        symlink(target, to).map_err(|e| (to.to_owned(), e))
    } else if found.is_file() {
        copy_file(from, &found, to).map_err(|e| (to.to_owned(), e))
    } else {
        // Sockets and pipes belong to a process that is gone. Images made here have no device files.
        Ok(())
    }
}

fn copy_file(from: &Path, found: &Metadata, to: &Path) -> io::Result<()> {
    let rewritten = from.extension().is_some_and(|extension| extension == "db");
    if !rewritten {
        match fs::hard_link(from, to) {
            Ok(()) => return Ok(()),
            // Another file system, one without links, or too many links already: a copy serves as well.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::CrossesDevices
                        | io::ErrorKind::TooManyLinks
                        | io::ErrorKind::Unsupported
                        | io::ErrorKind::PermissionDenied
                ) => {}
            Err(e) => return Err(e),
        }
    }
    fs::copy(from, to)?;
    keep_attributes(found, to)
}

fn keep_attributes(found: &Metadata, to: &Path) -> io::Result<()> {
    let here = fs::metadata(to)?;
    if (here.uid(), here.gid()) != (found.uid(), found.gid()) {
        lchown(to, Some(found.uid()), Some(found.gid()))?;
    }
    // After the owner: a change of owner takes set-id bits away.
    fs::set_permissions(to, fs::Permissions::from_mode(found.mode() & 0o7777))?;
    let times = FileTimes::new().set_modified(found.modified()?);
    File::open(to)?.set_times(times)
}
