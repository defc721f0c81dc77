//! What is kept between two calls of a program: a file of the world, locked while it is used.

use crate::world::World;
use nix::fcntl::{Flock, FlockArg};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// A value of the world, locked against other programs until dropped.
#[derive(Debug)]
pub(crate) struct Stored<T> {
    pub(crate) value: T,
    path: PathBuf,
    _lock: Flock<File>,
}

impl<T: Serialize + DeserializeOwned + Default> Stored<T> {
    /// Reads the file of this name, and waits for another program that changes it. Without a file the default.
    pub(crate) fn open(world: &World, name: &str) -> io::Result<Self> {
        let path = world.path(&format!("{name}.json"));
        let lock = world.path(&format!("{name}.lock"));
        let file = File::create(&lock).map_err(|error| failed(&lock, &error))?;
        let held = Flock::lock(file, FlockArg::LockExclusive);
        let held = held.map_err(|(_, error)| failed(&lock, &error))?;
        let value = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| failed(&path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(failed(&path, &error)),
        };
        Ok(Self {
            value,
            path,
            _lock: held,
        })
    }

    /// Writes it, all at once.
    pub(crate) fn save(&self) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&self.value);
        let text = text.map_err(|error| failed(&self.path, &error))?;
        let next = self.path.with_extension("next");
        fs::write(&next, text).map_err(|error| failed(&next, &error))?;
        fs::rename(&next, &self.path).map_err(|error| failed(&self.path, &error))
    }
}

fn failed(what: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", what.display()))
}
