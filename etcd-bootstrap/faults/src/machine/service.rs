//! One service: its process, started again as its unit says, until it is stopped.

use super::{
    HOLD,
    unit::{Restart, Unit},
};
use anyhow::Context as _;
use host_exec::unit_file::environment;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs, io,
    os::unix::{fs::DirBuilderExt as _, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::UnixDatagram,
    process::{Child, Command},
    sync::Notify,
    time::{Instant, sleep, timeout},
};

/// systemd's `DefaultTimeoutStopSec=` is 90 s; nothing here may take that long.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What `systemctl show` says of a service, in systemd's words.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) active: &'static str,
    pub(super) sub: &'static str,
    pub(super) result: &'static str,
    pub(super) main_pid: u32,
    pub(super) restarts: u32,
    /// The last exit status, or 128 and the signal.
    pub(super) status: i32,
}

impl State {
    pub(super) const DEAD: Self = Self {
        active: "inactive",
        sub: "dead",
        result: "success",
        main_pid: 0,
        restarts: 0,
        status: 0,
    };
}

/// A service that was started and not stopped yet.
pub(super) struct Service {
    pub(super) state: Arc<Mutex<State>>,
    stop: Arc<Notify>,
    ended: tokio::task::JoinHandle<()>,
}

impl Service {
    pub(super) fn start(name: &str, unit: Unit) -> Self {
        let state = Arc::new(Mutex::new(State {
            active: "activating",
            sub: "start",
            ..State::DEAD
        }));
        let stop = Arc::new(Notify::new());
        let run = Run {
            name: name.to_owned(),
            unit,
            state: Arc::clone(&state),
            stop: Arc::clone(&stop),
        };
        let ended = tokio::spawn(run.keep());
        Self { state, stop, ended }
    }

    pub(super) fn state(&self) -> State {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends the process and waits until it has.
    pub(super) async fn stop(self) {
        self.stop.notify_one();
        // A task that panicked has ended too.
        let _ = self.ended.await;
    }
}

struct Run {
    name: String,
    unit: Unit,
    state: Arc<Mutex<State>>,
    stop: Arc<Notify>,
}

/// How a process ended.
enum End {
    Stopped,
    ByItself(ExitStatus),
}

impl Run {
    async fn keep(self) {
        loop {
            self.set(|state| (state.active, state.sub) = ("activating", "start"));
            if self.held().await {
                return self.set(|state| *state = State::DEAD);
            }
            let (result, status) = match self.once().await {
                Ok(End::Stopped) => return self.set(|state| *state = State::DEAD),
                Ok(End::ByItself(status)) => match (status.code(), status.signal()) {
                    (Some(0), _) => ("success", 0),
                    (Some(code), _) => ("exit-code", code),
                    (None, signal) => ("signal", 128 + signal.unwrap_or(0)),
                },
                Err(error) => {
                    self.log(&format!("{error:#}"));
                    ("exit-code", 203)
                }
            };
            let again = match self.unit.restart {
                Restart::Always => true,
                Restart::OnFailure => result != "success",
                Restart::Never => false,
            };
            let (active, sub) = match (again, result) {
                (true, _) => ("activating", "auto-restart"),
                (false, "success") => ("inactive", "dead"),
                (false, _) => ("failed", "failed"),
            };
            self.set(|state| {
                (state.active, state.sub, state.result) = (active, sub, result);
                (state.main_pid, state.status) = (0, status);
                state.restarts += u32::from(again);
            });
            if !again {
                return;
            }
            if timeout(self.unit.restart_after, self.stop.notified())
                .await
                .is_ok()
            {
                return self.set(|state| *state = State::DEAD);
            }
        }
    }

    /// Waits while starts are held; says whether it was stopped meanwhile.
    async fn held(&self) -> bool {
        while Path::new(HOLD).exists() {
            let pause = Duration::from_millis(20);
            if timeout(pause, self.stop.notified()).await.is_ok() {
                return true;
            }
        }
        false
    }

    async fn once(&self) -> anyhow::Result<End> {
        let socket = PathBuf::from(format!("/var/{}.notify", self.name));
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).context("notify socket")?;
        let mut child = self.spawn(&socket)?;
        let pid = child.id().unwrap_or_default();
        let is_notify = self.unit.notify;
        self.set(|state| {
            state.main_pid = pid;
            if !is_notify {
                (state.active, state.sub) = ("active", "running");
            }
        });
        let mut word = [0; 512];
        loop {
            tokio::select! {
                status = child.wait() => return Ok(End::ByItself(status?)),
                () = self.stop.notified() => {
                    end(&mut child, pid).await?;
                    return Ok(End::Stopped);
                }
                said = notify.recv(&mut word) => {
                    let said = String::from_utf8_lossy(&word[..said?]).into_owned();
                    if said.lines().any(|line| line == "READY=1") {
                        self.set(|state| (state.active, state.sub) = ("active", "running"));
                    }
                }
            }
        }
    }

    fn spawn(&self, socket: &Path) -> anyhow::Result<Child> {
        if let Some(below) = &self.unit.state_directory {
            let mut make = fs::DirBuilder::new();
            make.recursive(true).mode(0o700);
            make.create(Path::new("/var/lib").join(below))?;
        }
        let mut settings = Vec::new();
        for path in &self.unit.environment_files {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            settings.extend(environment(&text));
        }
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let (program, arguments) = self.unit.command.split_first().context("no program")?;
        Ok(Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("NOTIFY_SOCKET", socket)
            .envs(settings)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?)
    }

    fn log_file(&self) -> PathBuf {
        PathBuf::from(format!("/var/log/{}.log", self.name))
    }

    fn log(&self, line: &str) {
        let opened = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file());
        // A log that cannot be written must not end the service.
        let _ = opened
            .and_then(|mut log| io::Write::write_all(&mut log, format!("{line}\n").as_bytes()));
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// SIGTERM, and SIGKILL to who does not heed it.
async fn end(child: &mut Child, pid: u32) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    let deadline = Instant::now() + STOP_LIMIT;
    // It may have ended by itself this very moment.
    let _ = kill(pid, Signal::SIGTERM);
    tokio::select! {
        ended = child.wait() => drop(ended?),
        () = sleep(deadline - Instant::now()) => child.kill().await?,
    }
    Ok(())
}
