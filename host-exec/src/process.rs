//! Starting a process of this machine: what all hosts share.

use crate::{Command, HostName, Mode, Output, RunError, RunErrorKind, Status, Stdin, output};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    io::{self, Seek},
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::Path,
    process::Stdio,
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Child,
};

/// What is really started here on behalf of a host.
pub(crate) struct Start<'a> {
    pub(crate) program: &'a str,
    pub(crate) args: &'a [String],
    /// Added to the environment of this program; a host that carries it on by arguments leaves this empty.
    pub(crate) env: &'a [(String, String)],
}

/// Runs `start` here on behalf of `host`; `shown` is the command as the caller gave it.
pub(crate) async fn run(
    host: &HostName,
    shown: &Command,
    start: &Start<'_>,
) -> Result<Output, RunError> {
    let error = |kind| run_error(host, shown, kind);
    let input = input(&shown.stdin).map_err(|e| error(RunErrorKind::Io(e)))?;
    let out = out(shown.stdout.as_deref()).map_err(|e| error(RunErrorKind::Io(e)))?;
    let started = Instant::now();
    let mut child = spawn(input, out, start).map_err(|e| {
        error(match e.kind() {
            io::ErrorKind::NotFound => RunErrorKind::NotFound,
            _ => RunErrorKind::Io(e),
        })
    })?;
    let mut group = Group::of(&child, &shown.stdin);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let waited = {
        let work = communicate(&mut child, &shown.stdin, &mut out, &mut err);
        match shown.timeout {
            Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| limit),
            None => Ok(work.await),
        }
    };
    match waited {
        Ok(Ok(status)) => {
            group.leave_alone();
            Ok(Output {
                status: match (status.code(), status.signal()) {
                    (Some(code), _) => Status::Exited(code),
                    (None, signal) => Status::Signalled(signal.unwrap_or(0)),
                },
                stdout: out,
                stderr: err,
                elapsed: started.elapsed(),
            })
        }
        Ok(Err(e)) => Err(error(RunErrorKind::Io(e))),
        Err(after) => {
            drop(group);
            // The kill is best effort: the process may have ended this very moment.
            let _ = child.kill().await;
            Err(error(RunErrorKind::TimedOut {
                after,
                stderr_tail: output::tail(&err),
            }))
        }
    }
}

/// The error of `shown` on `host`.
pub(crate) fn run_error(host: &HostName, shown: &Command, kind: RunErrorKind) -> RunError {
    RunError {
        host: host.clone(),
        command: shown.to_string(),
        kind: Box::new(kind),
    }
}

/// Why `env(1)` could not start `program`, if that is what `output` says.
///
/// Hosts that start programs through `env` see a missing program as status 127 and one that may not be
/// executed as 126 (POSIX.1-2017, env, EXIT STATUS); a program may use both numbers itself, so the message counts too:
///
/// ```text
/// env: 'no-such-program': No such file or directory
/// ```
pub(crate) fn not_started(output: &Output, program: &str) -> Option<RunErrorKind> {
    let said = output.stderr_text();
    let line = said.trim_end().lines().last().unwrap_or_default();
    let by_env = line.starts_with("env: ") || line.starts_with("/usr/bin/env: ");
    if !(by_env && line.contains(program)) {
        return None;
    }
    match output.status {
        Status::Exited(127) => Some(RunErrorKind::NotFound),
        Status::Exited(126) => Some(RunErrorKind::Io(io::ErrorKind::PermissionDenied.into())),
        _ => None,
    }
}

/// Starts a program whose standard input and outputs are all pipes of the caller. It is killed when dropped.
pub(crate) fn spawn_piped(program: &str, args: &[String]) -> io::Result<Child> {
    let start = Start {
        program,
        args,
        env: &[],
    };
    spawn(Some(Stdio::piped()), Stdio::piped(), &start)
}

/// Starts a program that runs on by itself, with nothing of this program's environment and both outputs in `log`. It
/// is killed when dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that starts processes"
)]
pub(crate) fn spawn_service(
    command: &[String],
    env: &[(String, String)],
    log: File,
) -> io::Result<Child> {
    let (program, args) = command
        .split_first()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    tokio::process::Command::new(program)
        .args(args)
        .env_clear()
        .envs(env.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// What stands ready as standard input; `None` is the caller's own.
fn input(stdin: &Stdin) -> io::Result<Option<Stdio>> {
    Ok(Some(match stdin {
        Stdin::Inherit => return Ok(None),
        Stdin::Null => Stdio::null(),
        Stdin::Bytes(_) | Stdin::Secret(_) => Stdio::piped(),
        Stdin::File(path) => open_at(path, 0)?.into(),
        Stdin::FileFrom(path, offset) => open_at(path, *offset)?.into(),
    }))
}

/// What stands ready as standard output. A new file: one that is there may be open to others.
fn out(file: Option<&Path>) -> io::Result<Stdio> {
    let Some(path) = file else {
        return Ok(Stdio::piped());
    };
    let made = match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => File::options()
            .write(true)
            .create_new(true)
            .mode(Mode::SECRET.bits())
            .open(path),
    };
    let made = made.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    Ok(made.into())
}

fn open_at(path: &Path, offset: u64) -> io::Result<File> {
    let opened = File::open(path).and_then(|mut file| {
        file.seek(io::SeekFrom::Start(offset))?;
        Ok(file)
    });
    opened.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that starts processes"
)]
fn spawn(input: Option<Stdio>, out: Stdio, start: &Start<'_>) -> io::Result<Child> {
    let mut command = tokio::process::Command::new(start.program);
    command
        .args(start.args)
        .envs(start.env.iter().map(|(k, v)| (k, v)))
        .kill_on_drop(true);
    let Some(input) = input else {
        return command.spawn();
    };
    command
        .stdin(input)
        .stdout(out)
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Kills a whole process group when dropped: at a time-out, and when the caller gives up waiting.
///
/// `nsenter`, `sh` and the like do their work in a child of their own, which would live on without its parent.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child, stdin: &Stdin) -> Self {
        // An interactive program stays in the group of its terminal, which is ours too.
        let own = *stdin != Stdin::Inherit;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Self(leader.filter(|_| own).map(Pid::from_raw))
    }

    fn leave_alone(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Nothing to report to, and a group that is gone already is what was wanted.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Feeds standard input and drains both outputs at the same time, so that no full pipe can block the child.
async fn communicate(
    child: &mut Child,
    stdin: &Stdin,
    out: &mut Vec<u8>,
    err: &mut Vec<u8>,
) -> io::Result<std::process::ExitStatus> {
    let input: &[u8] = match stdin {
        Stdin::Bytes(bytes) => bytes,
        Stdin::Secret(bytes) => bytes,
        Stdin::Null | Stdin::Inherit | Stdin::File(_) | Stdin::FileFrom(..) => &[],
    };
    let (pipe, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        let Some(mut pipe) = pipe else { return Ok(()) };
        match pipe.write_all(input).await {
            // A program that does not want all of its input is no failure of ours.
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e),
            _ => Ok(()),
        }
    };
    let drain_out = async {
        match stdout {
            Some(mut pipe) => pipe.read_to_end(out).await.map(drop),
            None => Ok(()),
        }
    };
    let drain_err = async {
        match stderr {
            Some(mut pipe) => pipe.read_to_end(err).await.map(drop),
            None => Ok(()),
        }
    };
    tokio::try_join!(feed, drain_out, drain_err)?;
    child.wait().await
}
