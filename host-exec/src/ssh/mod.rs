//! A host behind the user's own `ssh` program.

mod batch;
mod compare;
mod connection;
mod destination;
mod files;
mod forward;
mod line;
mod options;
mod refusal;
mod stream;

pub use destination::{
    ControlDirectory, InvalidControlDirectory, InvalidSshDestination, SshDestination,
};
pub use forward::{ForwardError, ForwardErrorKind};

use crate::{
    Command, DialError, File, FileError, Host, HostName, Mode, Output, RunError, RunErrorKind,
    Status, Stream, files::Drift, process,
};
use async_trait::async_trait;
use connection::{Fate, timed_out};
use files::Work;
use options::Persist;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, Semaphore};

/// Commands that run at the same time over one connection: sshd allows 10 (`MaxSessions` of `sshd_config(5)`),
/// two are left to the user.
const SESSIONS: usize = 8;

/// What is said of a connection whose process, on this machine, is stuck.
const HANGS: &str =
    "the ssh that holds the shared connection does not answer; the next call opens another";

/// A machine reached by `ssh(1)`, with the configuration, agent, jump hosts and known hosts of the user.
///
/// The first call opens one connection; all others share it through a control socket, also those of later
/// values for the same destination. It ends by itself a minute after the last use, or by [`SshHost::disconnect`].
///
/// A host key is never accepted here, whatever the user's configuration says: one that nobody has looked at, or that has
/// changed, is [`RunErrorKind::Refused`] with what to do. A lost connection is [`RunErrorKind::Unreachable`], and the
/// next call opens another; no command is ever run again unasked.
///
/// Needs on this side OpenSSH 8.5 or newer; on the other any login shell that knows single quotes (`sh`, `bash`, `csh`,
/// `tcsh`, `fish`), and `sh`, `printf`, `env`, `timeout`, `ls`, `dd` and `sha256sum` or `sha256` (Linux, FreeBSD).
/// A program there that dies of a signal is reported as [`Status::Exited`] with 128 + signal.
/// [`Host::dial`] needs `AllowTcpForwarding`; a connection that the far side could not open is told as
/// `ConnectionRefused` whatever the reason, since SSH does not pass it on.
#[derive(Debug, Clone)]
pub struct SshHost {
    name: HostName,
    destination: SshDestination,
    control: ControlDirectory,
    config: Option<PathBuf>,
    identity: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
    host_key_alias: Option<HostName>,
    jump: Option<Arc<SshHost>>,
    connect_timeout: Duration,
    keep_alive: Duration,
    persist: Persist,
    link: Arc<Link>,
}

/// What the clones of one value share.
#[derive(Debug)]
struct Link {
    /// Held while the connection is opened, so that it is opened once.
    opening: Mutex<()>,
    sessions: Semaphore,
}

impl SshHost {
    /// The host at `destination`, with its control sockets in `control`.
    pub fn new(name: HostName, destination: SshDestination, control: ControlDirectory) -> Self {
        Self {
            name,
            destination,
            control,
            config: None,
            identity: None,
            known_hosts: None,
            host_key_alias: None,
            jump: None,
            connect_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(5),
            persist: Persist::Shortly,
            link: Arc::new(Link {
                opening: Mutex::new(()),
                sessions: Semaphore::new(SESSIONS),
            }),
        }
    }

    /// Reads this `ssh_config(5)` in place of the user's and the system's.
    #[must_use]
    pub fn with_config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config = Some(path.into());
        self
    }

    /// Logs in with this private key only.
    #[must_use]
    pub fn with_identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity = Some(path.into());
        self
    }

    /// Accepts only the host keys in this file, whatever the user's configuration says: for machines whose keys
    /// were made here and are known before the first contact.
    #[must_use]
    pub fn with_known_hosts_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.known_hosts = Some(path.into());
        self
    }

    /// Looks for the host's key under this name in place of its address: for addresses that machines use in turn.
    #[must_use]
    pub fn with_host_key_alias(mut self, alias: HostName) -> Self {
        self.host_key_alias = Some(alias);
        self
    }

    /// Goes by way of `jump`, over its shared connection, which is opened first and opened again when it was lost.
    ///
    /// Address and port are then as `jump` sees the network. Configuration, key and known hosts stay those of this
    /// value; for machines that the user never logs in to, [`with_config_file`](Self::with_config_file)`("/dev/null")`
    /// keeps out what the user's configuration says for all hosts.
    #[must_use]
    pub fn through(mut self, jump: &SshHost) -> Self {
        self.jump = Some(Arc::new(jump.clone()));
        self
    }

    /// How long opening the connection may take, in whole seconds; 10 s unless set.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the other side may be silent before it is asked for a sign of life, in whole seconds; 5 s unless
    /// set. After three unanswered questions the connection counts as lost.
    #[must_use]
    pub fn with_keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    /// Where it goes.
    pub fn destination(&self) -> &SshDestination {
        &self.destination
    }

    /// Closes the shared connection, and that of the forwardings; what still runs over them fails, also what goes
    /// [through](Self::through) this host. Without a connection nothing happens.
    ///
    /// # Errors
    ///
    /// `ssh` cannot be run.
    pub async fn disconnect(&self) -> Result<(), RunError> {
        self.control_command("exit", &[]).await?;
        self.lasting().control_command("exit", &[]).await.map(drop)
    }

    /// The same host by a connection of its own that lasts until it is closed.
    fn lasting(&self) -> Self {
        Self {
            persist: Persist::UntilClosed,
            ..self.clone()
        }
    }

    fn work<'a>(&'a self, operation: &'static str, path: &'a Path) -> Work<'a> {
        Work {
            host: self,
            operation,
            path,
        }
    }

    async fn open(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let unreachable =
            |e: RunError| io::Error::new(io::ErrorKind::HostUnreachable, e.kind.to_string());
        self.connect(&Command::new("ssh"))
            .await
            .map_err(unreachable)?;
        let args = self.reach(&address.to_string());
        Ok(Box::new(stream::open(&args).await?))
    }
}

#[async_trait]
impl Host for SshHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        let error = |kind| process::run_error(&self.name, command, kind);
        if command.program.contains('=') || command.program.starts_with('-') {
            let text = "env(1) takes a program with '=' in its name for a variable, with '-' before it for an option";
            let cause = io::Error::new(io::ErrorKind::InvalidInput, text);
            return Err(error(RunErrorKind::Io(cause)));
        }
        // Never closed, so this only waits for a turn.
        let _session = self.link.sessions.acquire().await;
        let connection = self.connect(command).await?;
        let output = match self.ssh(command, &self.enter(command)).await {
            Err(e) if timed_out(&e) => {
                return Err(match self.fate(connection.as_ref()).await? {
                    Fate::Hangs => error(RunErrorKind::Unreachable(HANGS.into())),
                    Fate::Stands | Fate::Lost => e,
                });
            }
            ran => ran?,
        };
        // 255 is what ssh says of itself, but a program may say it too: then the connection still stands.
        if output.status == Status::Exited(255)
            && self.fate(connection.as_ref()).await? != Fate::Stands
        {
            return Err(error(self.unreachable(&output.stderr)));
        }
        match process::not_started(&output, &command.program) {
            Some(kind) => Err(error(kind)),
            None => Ok(output),
        }
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        self.work("read", path).read().await
    }

    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError> {
        self.work("examine", path).mode().await
    }

    async fn compare(&self, files: &[File]) -> Result<Vec<Option<Drift>>, FileError> {
        compare::compare(self, files).await
    }

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        self.work("write", &file.path).write(file).await
    }

    async fn write_files(&self, files: &[&File]) -> Result<(), FileError> {
        batch::write(self, files).await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        self.work("remove", path).remove().await
    }

    async fn dial(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, DialError> {
        let opened = match tokio::time::timeout(timeout, self.open(address)).await {
            Ok(opened) => opened,
            Err(_) => {
                // It may be the connection that is stuck; an answer to the question changes nothing.
                let _ = self.control_command("check", &[]).await;
                Err(io::ErrorKind::TimedOut.into())
            }
        };
        opened.map_err(|source| DialError {
            host: self.name.clone(),
            address,
            source,
        })
    }
}
