//! How files are read, written and removed here.

use super::{StateDir, StateError};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

impl StateDir {
    pub(crate) fn write_json(&self, path: &Path, value: &impl Serialize) -> Result<(), StateError> {
        let text = serde_json::to_string_pretty(value).expect("records are representable in JSON");
        self.write(path, format!("{text}\n"))
    }

    /// Writes a value as JSON; an unchanged file is left alone.
    pub(crate) fn keep_json<T>(&self, path: PathBuf, value: &T) -> Result<(), StateError>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        if self.read_json(path.clone())?.as_ref() == Some(value) {
            return Ok(());
        }
        self.write_json(&path, value)
    }

    pub(crate) fn read_json<T: DeserializeOwned>(
        &self,
        path: PathBuf,
    ) -> Result<Option<T>, StateError> {
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|e| StateError::Damaged {
            path,
            problem: e.to_string(),
        })
    }

    pub(super) fn read(&self, path: &Path) -> Result<Option<String>, StateError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Io {
                what: "read",
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Every file here is for its owner alone, from its first byte, and replaced as a whole.
    pub(crate) fn write(&self, path: &Path, contents: impl AsRef<[u8]>) -> Result<(), StateError> {
        let file = host_exec::File::secret(path, contents.as_ref());
        let written = host_exec::files::write_here(&file);
        written.map_err(|source| StateError::Io {
            what: "write",
            path: path.to_owned(),
            source,
        })
    }
}

/// Makes a directory for its owner alone.
pub(crate) fn make_dir(path: &Path) -> Result<(), StateError> {
    let mut directory = fs::DirBuilder::new();
    let made = directory.recursive(true).mode(0o700).create(path);
    made.map_err(|source| StateError::Io {
        what: "make",
        path: path.to_owned(),
        source,
    })
}

/// Removes a file. One that is not there is *not* an error.
pub(crate) fn forget(path: &Path) -> Result<(), StateError> {
    gone(fs::remove_file(path), path)
}

/// The end of a removal: what is not there is gone.
pub(super) fn gone(result: io::Result<()>, path: &Path) -> Result<(), StateError> {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StateError::Io {
            what: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
