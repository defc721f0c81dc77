//! Ports of this machine that lead to the other side.

use super::SshHost;
use crate::{Command, HostName, RunError, output};
use std::net::SocketAddr;

/// A port that could not be forwarded, or whose forwarding could not be ended.
#[derive(Debug, thiserror::Error)]
#[error("{host}: cannot {operation} from {local} on this machine to {to}: {kind}")]
#[non_exhaustive]
pub struct ForwardError {
    /// The host that makes the connections.
    pub host: HostName,
    /// `forward` or `end the forwarding`.
    pub operation: &'static str,
    /// The end on this machine.
    pub local: SocketAddr,
    /// Where it leads, as the host sees the network.
    pub to: SocketAddr,
    /// The cause.
    pub kind: Box<ForwardErrorKind>,
}

/// The cause of a [`ForwardError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardErrorKind {
    /// The end on this machine could be reached by others, or has no port.
    #[error("this end must be a loopback address with a port, such as 127.0.0.1:6443")]
    NotLoopback,
    /// The process of the connection does not do it.
    #[error(
        "ssh says {0:?}; most likely another program listens at that port, so take another one"
    )]
    Denied(String),
    /// There is no connection.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl SshHost {
    /// Forwards a port: what connects to `local`, on this machine, is connected by the host to `to`. Whether anything
    /// answers at `to` is *not* looked at. Asking again for what is there changes nothing.
    ///
    /// It outlives this program, until [`SshHost::cancel`], [`SshHost::disconnect`] or the loss of the connection. So
    /// it has a connection of its own: the one of the commands ends a minute after the last of them.
    ///
    /// # Errors
    ///
    /// `local` is no loopback address with a port, or another program has it; the host cannot be reached.
    pub async fn forward(&self, local: SocketAddr, to: SocketAddr) -> Result<(), ForwardError> {
        self.try_forward(local, to)
            .await
            .map_err(|kind| self.forward_error("forward", local, to, kind))
    }

    /// Ends a forwarding. One that is not there is *not* an error.
    ///
    /// # Errors
    ///
    /// `ssh` cannot be run.
    pub async fn cancel(&self, local: SocketAddr, to: SocketAddr) -> Result<(), ForwardError> {
        // Without a connection, or without this forwarding on it, there is nothing to end.
        let asked = self
            .lasting()
            .control_command("cancel", &specification(local, to))
            .await;
        asked
            .map(drop)
            .map_err(|e| self.forward_error("end the forwarding", local, to, e.into()))
    }

    async fn try_forward(&self, local: SocketAddr, to: SocketAddr) -> Result<(), ForwardErrorKind> {
        if !local.ip().is_loopback() || local.port() == 0 {
            return Err(ForwardErrorKind::NotLoopback);
        }
        let lasting = self.lasting();
        let specification = specification(local, to);
        let shown = Command::new("ssh").args(specification.clone());
        lasting.connect(&shown).await?;
        let answer = lasting.control_command("forward", &specification).await?;
        if answer.status.success() {
            return Ok(());
        }
        Err(ForwardErrorKind::Denied(output::tail(&answer.stderr)))
    }

    fn forward_error(
        &self,
        operation: &'static str,
        local: SocketAddr,
        to: SocketAddr,
        kind: ForwardErrorKind,
    ) -> ForwardError {
        ForwardError {
            host: self.name.clone(),
            operation,
            local,
            to,
            kind: Box::new(kind),
        }
    }
}

/// `SocketAddr` puts IPv6 addresses into brackets, as `ssh -L` wants them.
fn specification(local: SocketAddr, to: SocketAddr) -> [String; 2] {
    ["-L".into(), format!("{local}:{to}")]
}
