//! This machine as a host without a service manager.

mod service;
mod systemctl;
mod unit;

use crate::{
    Command, DialError, File, FileError, Host, HostName, Mode, Output, RunError, Stream,
    files::rooted,
    local::{at_root, dial},
    process,
    systemd::UnitName,
};
use async_trait::async_trait;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use systemctl::Manager;

/// This machine, with services as processes of this program and files below a directory: no root, no systemd.
///
/// For tests, for containers, for a look at what a crate does. Several can be on one machine, each with a directory
/// of its own.
///
/// - A file outside of the directory is kept below it: `/etc/x` is `DIRECTORY/etc/x`. A path that is below it already
///   is taken as it is, so that programs can be given it too.
/// - `systemctl` is answered here, as far as [`systemd`](crate::systemd) asks for it: `show`, `start`, `stop`,
///   `restart`, `enable`, `disable`, `daemon-reload`. Of a unit file `ExecStart=` and `EnvironmentFile=` count; the
///   output of a service goes to `DIRECTORY/var/log/UNIT.log`.
/// - A service that ends by itself stays down and is shown as failed, whatever its unit says about restarts. All
///   end with this value.
/// - Every other program is run on this machine as it is.
#[derive(Debug)]
pub struct ProcessHost {
    name: HostName,
    directory: PathBuf,
    manager: Manager,
}

impl ProcessHost {
    /// A host whose files are below `directory`, an absolute path. The directory is made when it is needed.
    pub fn new(name: HostName, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            name,
            manager: Manager::new(directory.clone()),
            directory,
        }
    }

    /// The number of a service's process on this machine, such as for a signal; `None` if it was never started, or its end
    /// was seen. For tests of what keeps a service.
    pub async fn process_id(&self, unit: &UnitName) -> Option<u32> {
        self.manager.process_id(unit.as_str()).await
    }

    /// Ends a service by SIGKILL, as a crash or a power cut does, and waits until its process is gone. From then on it
    /// is shown as failed. For tests of what keeps a service.
    ///
    /// # Errors
    ///
    /// The system refuses. A service that does not run is *not* an error.
    pub async fn kill(&self, unit: &UnitName) -> io::Result<()> {
        self.manager.kill(unit.as_str()).await
    }
}

/// Where `path` of the host really is. What names no file, such as a relative path, stays as it is, and is refused as
/// on every host.
fn place(directory: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix("/") {
        Ok(below) if below != "" && !path.starts_with(directory) => directory.join(below),
        _ => path.to_owned(),
    }
}

#[async_trait]
impl Host for ProcessHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        if command.program() == "systemctl" {
            return Ok(self.manager.answer(command.arguments()).await);
        }
        let start = process::Start {
            program: &command.program,
            args: &command.args,
            env: &command.env,
        };
        process::run(&self.name, command, &start).await
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        let path = place(&self.directory, path);
        at_root(&self.name, "/", "read", &path, rooted::read).await
    }

    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError> {
        let path = place(&self.directory, path);
        at_root(&self.name, "/", "examine", &path, rooted::mode).await
    }

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        let mut wanted = file.clone();
        wanted.path = place(&self.directory, &file.path);
        let path = wanted.path.clone();
        at_root(&self.name, "/", "write", &path, move |root, _| {
            rooted::write(root, &wanted)
        })
        .await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        let path = place(&self.directory, path);
        at_root(&self.name, "/", "remove", &path, rooted::remove).await
    }

    async fn dial(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, DialError> {
        dial(&self.name, address, timeout).await
    }
}
