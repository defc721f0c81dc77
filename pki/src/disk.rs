//! The few operations of the local disk that a store is made of.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::store::{ReadError, WriteError};

const DIRECTORY_MODE: u32 = 0o700;
/// Group and others: bits that no key file may have.
const NOT_OWNER: u32 = 0o077;

pub(crate) fn write_temporary(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, WriteError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.new"));
    // A killed run leaves its temporary file; the lock shows that nobody is writing it now.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("removing", &temporary)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .map_err(failed("creating", &temporary))?;
    // The process's mask may have taken bits away that the readers of a certificate need.
    file.set_permissions(Permissions::from_mode(mode))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(failed("writing", &temporary))?;
    Ok(temporary)
}

pub(crate) fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::Io {
        step,
        path: path.clone(),
        source,
    }
}

pub(crate) fn make_directory(path: &Path) -> Result<(), WriteError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("creating directory", path)(error));
        }
        _ => {}
    }
    path.parent().map_or(Ok(()), sync_directory)
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), WriteError> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("syncing", path))
}

pub(crate) fn read_text(path: &Path) -> Result<Option<String>, ReadError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A text with a key in it, or `None` where there is no file. Its mode is that of the file that is read, also when another
/// takes its name meanwhile.
pub(crate) fn read_secret(path: &Path) -> Result<Option<Zeroizing<String>>, ReadError> {
    let bad = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(bad)?,
    };
    let metadata = file.metadata().map_err(bad)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & NOT_OWNER != 0 {
        return Err(ReadError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    // Room for all of it at once: a string that grows leaves copies of the key behind.
    let room = usize::try_from(metadata.len()).unwrap_or_default() + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.read_to_string(&mut text).map_err(bad)?;
    Ok(Some(text))
}

pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let bad = |source| ReadError::Io {
        path: directory.to_owned(),
        source,
    };
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(bad))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(bad(source)),
    }
}
