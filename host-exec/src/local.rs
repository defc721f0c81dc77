//! This machine as a host.

use crate::{
    Command, DialError, File, FileError, FileErrorKind, Host, HostName, Mode, Output, RunError,
    Stream, files::rooted, process,
};
use async_trait::async_trait;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The machine that this program runs on.
#[derive(Debug, Clone)]
pub struct LocalHost {
    name: HostName,
}

impl LocalHost {
    /// This machine, under the name that messages use for it.
    pub fn new(name: HostName) -> Self {
        Self { name }
    }
}

#[async_trait]
impl Host for LocalHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        let start = process::Start {
            program: &command.program,
            args: &command.args,
            env: &command.env,
        };
        process::run(&self.name, command, &start).await
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        at_root(&self.name, "/", "read", path, rooted::read).await
    }

    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError> {
        at_root(&self.name, "/", "examine", path, rooted::mode).await
    }

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        let wanted = file.clone();
        at_root(&self.name, "/", "write", &file.path, move |root, _| {
            rooted::write(root, &wanted)
        })
        .await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        at_root(&self.name, "/", "remove", path, rooted::remove).await
    }

    async fn dial(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, DialError> {
        dial(&self.name, address, timeout).await
    }
}

/// Opens a connection from this machine on behalf of `host`.
pub(crate) async fn dial(
    host: &HostName,
    address: SocketAddr,
    timeout: Duration,
) -> Result<Box<dyn Stream>, DialError> {
    let connect = tokio::net::TcpStream::connect(address);
    let connected = match tokio::time::timeout(timeout, connect).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match connected {
        Ok(stream) => Ok(Box::new(stream)),
        Err(source) => Err(DialError {
            host: host.clone(),
            address,
            source,
        }),
    }
}

/// Runs blocking file work below `root` on a thread that may block, and names host, work and path in its error.
pub(crate) async fn at_root<T: Send + 'static>(
    host: &HostName,
    root: impl Into<PathBuf>,
    operation: &'static str,
    path: &Path,
    work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
) -> Result<T, FileError> {
    let (root, below) = (root.into(), path.to_owned());
    let done = tokio::task::spawn_blocking(move || work(&root, &below)).await;
    done.unwrap_or_else(|joined| Err(io::Error::other(joined)))
        .map_err(|e| FileError {
            host: host.clone(),
            operation,
            path: path.to_owned(),
            kind: Box::new(FileErrorKind::Io(e)),
        })
}
