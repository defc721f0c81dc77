//! A host behind the user's own `ssh` program.

mod destination;
mod files;
mod stream;

pub use destination::{
    ControlDirectory, InvalidControlDirectory, InvalidSshDestination, SshDestination,
};

use crate::{
    Command, DialError, File, FileError, Host, HostName, Mode, Output, RunError, RunErrorKind,
    Status, Stdin, Stream, escape, process,
};
use async_trait::async_trait;
use files::{Work, said};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, Semaphore};

/// Commands that run at the same time over one connection: sshd allows 10 (`MaxSessions` of `sshd_config(5)`),
/// two are left to the user.
const SESSIONS: usize = 8;

/// How long an unused connection is kept, in seconds, by whoever was the first to need it.
const PERSIST_S: u32 = 60;

/// Runs its arguments and tells a signal as 128 + number, as shells do; `ssh` itself would only say 255.
const PLAIN: &str = r#"env "$@"; exit $?"#;

/// The same with an end after `$0` seconds: killing `ssh` here does not kill anything there.
const BOUNDED: &str = r#"timeout -s KILL "$0" env "$@"; exit $?"#;

/// A machine reached by `ssh(1)`, with the configuration, agent, jump hosts and known hosts of the user.
///
/// The first call opens one connection; all others share it through a control socket, also those of later
/// values for the same destination. It ends by itself a minute after the last use, or by [`SshHost::disconnect`].
///
/// Needs on the other side: a login shell that quotes as POSIX says, `sh`, `env`, `timeout` (Linux, FreeBSD).
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
    connect_timeout: Duration,
    keep_alive: Duration,
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
            connect_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(5),
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

    /// Closes the shared connection; what still runs over it fails. Without a connection nothing happens.
    ///
    /// # Errors
    ///
    /// `ssh` cannot be run.
    pub async fn disconnect(&self) -> Result<(), RunError> {
        self.control_command("exit").await.map(drop)
    }

    /// The arguments of `ssh` that run `command` there: what [`Host::output`] starts.
    pub fn enter(&self, command: &Command) -> Vec<String> {
        let mut args = self.options();
        args.push(
            if command.stdin == Stdin::Inherit {
                "-t"
            } else {
                "-T"
            }
            .into(),
        );
        args.extend(["--".into(), self.destination.word()]);
        args.push(remote_line(command));
        args
    }

    fn options(&self) -> Vec<String> {
        let mut args = self.settings();
        let socket = self.socket();
        args.extend(["-o".into(), format!("ControlPath={}", socket.display())]);
        args
    }

    /// All that makes one connection different from another.
    fn settings(&self) -> Vec<String> {
        let mut args = Vec::new();
        if let Some(config) = &self.config {
            args.extend(["-F".into(), config.display().to_string()]);
        }
        if let Some(identity) = &self.identity {
            args.extend(["-i".into(), identity.display().to_string()]);
        }
        if let Some(port) = self.destination.port() {
            args.extend(["-p".into(), port.to_string()]);
        }
        let mut option = |text: String| args.extend(["-o".into(), text]);
        if self.identity.is_some() {
            option("IdentitiesOnly=yes".into());
        }
        if let Some(known) = &self.known_hosts {
            option(format!("UserKnownHostsFile=\"{}\"", known.display()));
            option("GlobalKnownHostsFile=/dev/null".into());
            option("StrictHostKeyChecking=yes".into());
        }
        option(format!(
            "ConnectTimeout={}",
            whole_seconds(self.connect_timeout)
        ));
        option(format!(
            "ServerAliveInterval={}",
            whole_seconds(self.keep_alive)
        ));
        option("ServerAliveCountMax=3".into());
        // Questions would wait for nobody; what the user's configuration adds to a login is not for us.
        for fixed in [
            "BatchMode=yes",
            "RemoteCommand=none",
            "ClearAllForwardings=yes",
        ] {
            option(fixed.into());
        }
        option("ControlMaster=auto".into());
        option(format!("ControlPersist={PERSIST_S}"));
        args
    }

    /// One socket per destination and settings: 16 hexadecimal digits, see [`ControlDirectory::MAX_LEN`].
    fn socket(&self) -> PathBuf {
        let mut hash = Sha256::new();
        for word in self.settings().iter().chain([&self.destination.word()]) {
            hash.update(word);
            hash.update([0]);
        }
        let name: String = hash.finalize()[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.control.path().join(name)
    }

    /// Opens the shared connection unless its socket is there. A socket left by a dead `ssh` is replaced by the next.
    async fn connect(&self, shown: &Command) -> Result<(), RunError> {
        let socket = self.socket();
        if socket.exists() {
            return Ok(());
        }
        let _opening = self.link.opening.lock().await;
        if socket.exists() {
            return Ok(());
        }
        let error = |kind| process::run_error(&self.name, shown, kind);
        make_private(self.control.path()).map_err(|e| error(RunErrorKind::Io(e)))?;
        // The connection itself is bounded by ssh; the time beyond is for logging in.
        let hello = Command::new("true").timeout(self.connect_timeout + Duration::from_secs(20));
        let failure = match self.ssh(&hello, &self.enter(&hello)).await {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => said(&output.stderr),
            Err(e) => match *e.kind {
                RunErrorKind::NotFound => "ssh is not installed on this machine".to_owned(),
                kind => kind.to_string(),
            },
        };
        Err(error(RunErrorKind::Unreachable(failure)))
    }

    async fn ssh(&self, shown: &Command, args: &[String]) -> Result<Output, RunError> {
        let start = process::Start {
            program: "ssh",
            args,
            env: &[],
        };
        process::run(&self.name, shown, &start).await
    }

    async fn control_command(&self, verb: &str) -> Result<Output, RunError> {
        let mut args = self.options();
        args.extend([
            "-O".into(),
            verb.into(),
            "--".into(),
            self.destination.word(),
        ]);
        let shown = Command::new("ssh")
            .args(args.clone())
            .timeout(Duration::from_secs(5));
        self.ssh(&shown, &args).await
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
        let mut args = self.options();
        args.extend(["-o", "LogLevel=DEBUG1", "-W"].map(String::from));
        args.extend([address.to_string(), "--".into(), self.destination.word()]);
        Ok(Box::new(stream::open(&args).await?))
    }
}

/// Makes the directory of the sockets, or checks that nobody else can put a socket of his own there.
fn make_private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let found = fs::metadata(dir)?;
    if found.uid() == nix::unistd::geteuid().as_raw() && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    let text = format!(
        "{} must belong to you and be writable by nobody else; take another directory for SSH control sockets",
        dir.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// What the login shell of the other side gets: our constant script with the words of the command after it.
fn remote_line(command: &Command) -> String {
    let seconds = command
        .timeout
        .map(|limit| (limit.as_secs() + 2).to_string());
    let (script, zero) = match &seconds {
        Some(seconds) => (BOUNDED, seconds.as_str()),
        None => (PLAIN, "sh"),
    };
    let mut line = format!("exec sh -c {} {zero}", escape::quote(script));
    let env = command
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let words = env
        .chain([command.program.clone()])
        .chain(command.args.iter().cloned());
    for word in words {
        line.push(' ');
        line.push_str(&escape::quote(&word));
    }
    line
}

/// `ssh` counts in seconds, and takes 0 for "never".
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

#[async_trait]
impl Host for SshHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        let error = |kind| process::run_error(&self.name, command, kind);
        if command.program.contains('=') {
            let text = "env(1) takes a program with '=' in its name for a variable";
            let cause = io::Error::new(io::ErrorKind::InvalidInput, text);
            return Err(error(RunErrorKind::Io(cause)));
        }
        // Never closed, so this only waits for a turn.
        let _session = self.link.sessions.acquire().await;
        self.connect(command).await?;
        let output = self.ssh(command, &self.enter(command)).await?;
        // 255 is what ssh says of itself, but a program may say it too: then the connection still stands.
        if output.status == Status::Exited(255)
            && !self.control_command("check").await?.status.success()
        {
            return Err(error(RunErrorKind::Unreachable(said(&output.stderr))));
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

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        self.work("write", &file.path).write(file).await
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
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        opened.map_err(|source| DialError {
            host: self.name.clone(),
            address,
            source,
        })
    }
}
