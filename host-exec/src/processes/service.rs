//! One service: a process of this program.

use super::{place, unit};
use crate::{process, unit_file::environment};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Child;

/// How long a service may take to end before it is killed. systemd's own default is 90 s.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A service that was started. Its process is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Service(Child);

/// What systemd would say of a service: `ActiveState`, `SubState` and `Result`.
pub(super) type State = (&'static str, &'static str, &'static str);

/// One that does not run and did not fail.
pub(super) const DEAD: State = ("inactive", "dead", "success");

impl Service {
    pub(super) fn start(directory: &Path, name: &str, unit: &unit::Unit) -> io::Result<Self> {
        let mut settings = vec![(
            "PATH".to_owned(),
            "/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        )];
        for path in &unit.environment_files {
            let text = fs::read_to_string(place(directory, path)).map_err(|e| named(path, &e))?;
            settings.extend(environment(&text));
        }
        let log = directory.join("var/log");
        fs::create_dir_all(&log).map_err(|e| named(&log, &e))?;
        let log: PathBuf = log.join(name).with_extension("log");
        let log = fs::File::options().create(true).append(true).open(&log);
        process::spawn_service(&unit.command, &settings, log?).map(Self)
    }

    pub(super) fn state(&mut self) -> State {
        match self.0.try_wait() {
            Ok(None) => ("active", "running", "success"),
            Ok(Some(status)) if status.success() => DEAD,
            Ok(Some(status)) if status.signal().is_some() => ("failed", "failed", "signal"),
            Ok(Some(_)) | Err(_) => ("failed", "failed", "exit-code"),
        }
    }

    /// The number of its process, until its end was seen.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.0.id()
    }

    /// Asks it to end, and kills it when it does not.
    pub(super) async fn stop(mut self) -> io::Result<()> {
        let id = self.process_id().and_then(|id| i32::try_from(id).ok());
        let Some(id) = id else { return Ok(()) };
        // It may have ended by itself this very moment.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        match tokio::time::timeout(STOP_LIMIT, self.0.wait()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => self.0.kill().await,
        }
    }

    /// Kills it, and waits until it is gone. One that has ended stays as it was.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        match self.0.try_wait()? {
            Some(_) => Ok(()),
            None => self.0.kill().await,
        }
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
