//! The shared connection: opened once, found dead in time, opened again by the next call.

use super::{SshHost, files::said, refusal};
use crate::{Command, Output, RunError, RunErrorKind, process};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
    time::Duration,
};
use tokio::net::UnixStream;

/// How long the process of the shared connection, which is on this machine, may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// One shared connection, told from a later one at the same path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connection {
    inode: u64,
    changed: (i64, i64),
}

/// What became of a shared connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is the same as before.
    Stands,
    /// It is gone, or another has taken its place.
    Lost,
    /// Its process is there and does not answer.
    Hangs,
}

impl SshHost {
    /// Opens the shared connection unless it stands, and before it that of the host it goes through.
    ///
    /// Of the tasks that find it missing one opens it. A socket left by a dead `ssh` is replaced.
    pub(super) async fn connect(&self, shown: &Command) -> Result<Option<Connection>, RunError> {
        let error = |kind| process::run_error(&self.name, shown, kind);
        // Before anything there is believed, too.
        let prepared = self
            .check_paths()
            .and_then(|()| make_private(self.control.path()));
        prepared.map_err(|e| error(RunErrorKind::Io(e)))?;
        if self.has_listener().await {
            return Ok(self.connection());
        }
        let _opening = self.link.opening.lock().await;
        if self.has_listener().await {
            return Ok(self.connection());
        }
        if let Some(jump) = &self.jump {
            Box::pin(jump.connect(shown)).await?;
        }
        self.log_in().await.map_err(error)?;
        Ok(self.connection())
    }

    /// The first command of a connection; its `ssh` stays behind and holds it.
    async fn log_in(&self) -> Result<(), RunErrorKind> {
        // The connection itself is bounded by ssh; the time beyond is for logging in.
        let hello = Command::new("true").timeout(self.connect_timeout + Duration::from_secs(20));
        // Only at this level does ssh say which key it was shown.
        match self.ssh(&hello, &self.enter_saying("DEBUG1", &hello)).await {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(self.not_logged_in(&output.stderr)),
            Err(e) => Err(RunErrorKind::Unreachable(match *e.kind {
                RunErrorKind::NotFound => "ssh is not installed on this machine".to_owned(),
                RunErrorKind::TimedOut { after, stderr_tail } => {
                    let said = said(told(&stderr_tail).as_bytes());
                    format!("not logged in after {} s: {said}", after.as_secs())
                }
                kind => kind.to_string(),
            })),
        }
    }

    /// Why nobody is logged in, from what `ssh` said.
    fn not_logged_in(&self, stderr: &[u8]) -> RunErrorKind {
        let text = String::from_utf8_lossy(stderr);
        match refusal::read(&text, self.known_hosts.as_deref(), &self.by_hand()) {
            Some(refused) => RunErrorKind::Refused(refused),
            None => self.unreachable(told(&text).as_bytes()),
        }
    }

    /// Why there is no connection any more. What a program said may stand in it too, so it is told and not read.
    pub(super) fn unreachable(&self, stderr: &[u8]) -> RunErrorKind {
        let said = said(stderr);
        // Why the host on the way could not connect stays with it.
        RunErrorKind::Unreachable(match &self.jump {
            Some(jump) => format!("by way of {}: {said}", jump.name),
            None => said,
        })
    }

    /// Whether something listens at the socket: a dead process leaves the file.
    async fn has_listener(&self) -> bool {
        match UnixStream::connect(self.socket()).await {
            Ok(_) => true,
            Err(e) => !matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ),
        }
    }

    fn connection(&self) -> Option<Connection> {
        let found = fs::metadata(self.socket()).ok()?;
        Some(Connection {
            inode: found.ino(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// What became of `before`.
    pub(super) async fn fate(&self, before: Option<&Connection>) -> Result<Fate, RunError> {
        match self.control_command("check", &[]).await {
            Ok(output) if output.status.success() => Ok(match before {
                Some(_) if self.connection().as_ref() == before => Fate::Stands,
                _ => Fate::Lost,
            }),
            Ok(_) => Ok(Fate::Lost),
            Err(e) if timed_out(&e) => Ok(Fate::Hangs),
            Err(e) => Err(e),
        }
    }

    pub(super) async fn ssh(&self, shown: &Command, args: &[String]) -> Result<Output, RunError> {
        let start = process::Start {
            program: "ssh",
            args,
            env: &[],
        };
        process::run(&self.name, shown, &start).await
    }

    /// Asks the process of the shared connection for something. One that does not answer is given up: its socket goes,
    /// and the next call opens another.
    pub(super) async fn control_command(
        &self,
        verb: &str,
        more: &[String],
    ) -> Result<Output, RunError> {
        let before = self.connection();
        let args = self.control(verb, more);
        let shown = Command::new("ssh").args(args.clone()).timeout(ANSWER);
        let answer = self.ssh(&shown, &args).await;
        let stuck = matches!(&answer, Err(e) if timed_out(e));
        if stuck && before.is_some() && self.connection() == before {
            // Whoever removes it first has done it for all.
            let _ = fs::remove_file(self.socket());
        }
        answer
    }
}

/// Whether a command ran into its limit.
pub(super) fn timed_out(error: &RunError) -> bool {
    matches!(*error.kind, RunErrorKind::TimedOut { .. })
}

/// The lines that are for people: without those that only the level of the log brings.
pub(super) fn told(seen: &str) -> String {
    let told: Vec<&str> = seen
        .lines()
        .filter(|line| !line.starts_with("debug1:") && !line.starts_with("OpenSSH"))
        .collect();
    told.join("\n")
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
