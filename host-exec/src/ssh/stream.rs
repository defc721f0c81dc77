//! A TCP connection opened by the other side of an SSH connection: `ssh -W`.

use super::{connection::told, files::said};
use crate::process;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
};

/// What a client of a shared connection says, at `LogLevel=DEBUG1`, once the server has connected.
///
/// ```text
/// debug1: mux_client_request_stdio_fwd: master session id: 2
/// ```
///
/// Without it there is no telling an open connection from one that is still being tried.
const OPENED: &str = "master session id";

/// What it says when the server could not connect, for whatever reason: the reason stays with the server.
const REFUSED: &str = "tdio forwarding request failed";

/// Both directions of a connection, and the `ssh` that carries it.
pub(super) struct SshStream {
    // Killed when dropped, which closes the connection.
    _ssh: Child,
    // Kept open, so that `ssh` can still complain.
    _complaints: BufReader<ChildStderr>,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

/// Starts `ssh` with `args` and waits until it says that the connection is open, or ends.
pub(super) async fn open(args: &[String]) -> io::Result<SshStream> {
    let mut ssh = process::spawn_piped("ssh", args)?;
    let (Some(input), Some(output), Some(stderr)) =
        (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take())
    else {
        return Err(io::Error::other("ssh was started without pipes"));
    };
    let mut complaints = BufReader::new(stderr);
    let mut seen = String::new();
    loop {
        let before = seen.len();
        if complaints.read_line(&mut seen).await? == 0 {
            return Err(failure(&seen));
        }
        if seen[before..].contains(OPENED) {
            return Ok(SshStream {
                _ssh: ssh,
                _complaints: complaints,
                input: Some(input),
                output,
            });
        }
    }
}

fn failure(seen: &str) -> io::Error {
    let kind = if seen.contains(REFUSED) {
        io::ErrorKind::ConnectionRefused
    } else {
        io::ErrorKind::HostUnreachable
    };
    io::Error::new(kind, said(told(seen).as_bytes()))
}

impl AsyncRead for SshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closing the pipe is what `ssh` passes on as the end of this direction.
        self.input = None;
        Poll::Ready(Ok(()))
    }
}
