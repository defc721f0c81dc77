//! Starting a process of this machine: what the local host and the namespace host share.

use crate::{Command, HostName, Output, RunError, RunErrorKind, Status, Stdin, output};
use std::{io, os::unix::process::ExitStatusExt, process::Stdio, time::Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs `program args` here on behalf of `host`; `shown` is the command as the caller gave it.
pub(crate) async fn run(
    host: &HostName,
    shown: &Command,
    program: &str,
    args: &[String],
) -> Result<Output, RunError> {
    let error = |kind| RunError {
        host: host.clone(),
        command: shown.to_string(),
        kind: Box::new(kind),
    };
    let started = Instant::now();
    let mut child = spawn(shown, program, args).map_err(|e| {
        error(match e.kind() {
            io::ErrorKind::NotFound => RunErrorKind::NotFound,
            _ => RunErrorKind::Io(e),
        })
    })?;
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
            let status = match (status.code(), status.signal()) {
                (Some(code), _) => Status::Exited(code),
                (None, signal) => Status::Signalled(signal.unwrap_or(0)),
            };
            Ok(Output {
                status,
                stdout: out,
                stderr: err,
                elapsed: started.elapsed(),
            })
        }
        Ok(Err(e)) => Err(error(RunErrorKind::Io(e))),
        Err(after) => {
            // The kill is best effort: the process may have ended this very moment.
            let _ = child.kill().await;
            Err(error(RunErrorKind::TimedOut {
                after,
                stderr_tail: output::tail(&err),
            }))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that starts processes"
)]
fn spawn(shown: &Command, program: &str, args: &[String]) -> io::Result<tokio::process::Child> {
    let mut command = tokio::process::Command::new(program);
    command
        .args(args)
        .envs(shown.env.iter().map(|(k, v)| (k, v)))
        .kill_on_drop(true);
    match shown.stdin {
        Stdin::Inherit => {}
        Stdin::Null => {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        }
        Stdin::Bytes(_) | Stdin::Secret(_) => {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        }
    }
    command.spawn()
}

/// Feeds standard input and drains both outputs at the same time, so that no full pipe can block the child.
async fn communicate(
    child: &mut tokio::process::Child,
    stdin: &Stdin,
    out: &mut Vec<u8>,
    err: &mut Vec<u8>,
) -> io::Result<std::process::ExitStatus> {
    let input: &[u8] = match stdin {
        Stdin::Bytes(bytes) => bytes,
        Stdin::Secret(bytes) => bytes,
        Stdin::Null | Stdin::Inherit => &[],
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
