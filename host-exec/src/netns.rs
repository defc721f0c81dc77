//! Sockets of another network namespace of this kernel (network_namespaces(7)).

use nix::sched::{CloneFlags, setns};
use std::{
    fs, io, net,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};

/// A network namespace, by a file that stands for it: `/run/netns/NAME` or `/proc/PID/ns/net`.
///
/// A socket belongs to the namespace in which it was made, wherever it is used later. So a thread visits the
/// namespace, makes the socket, hands it over and ends; no thread that was elsewhere is ever used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkNamespace {
    file: PathBuf,
}

impl NetworkNamespace {
    /// The namespace that `file` stands for; looked up at each use.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// The namespace that `ip netns` calls `name`.
    pub fn named(name: &str) -> Self {
        Self::new(Path::new("/run/netns").join(name))
    }

    /// Opens a TCP connection from there.
    ///
    /// # Errors
    ///
    /// There is no such namespace; refused, unreachable, or no answer within `timeout` (`ErrorKind::TimedOut`).
    pub async fn dial(&self, address: net::SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let stream = self.visit(move || {
            let stream = net::TcpStream::connect_timeout(&address, timeout)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        TcpStream::from_std(stream.await?)
    }

    /// Listens for TCP connections there.
    ///
    /// # Errors
    ///
    /// There is no such namespace, the address is none of its own, or it is taken.
    pub async fn listen(&self, address: net::SocketAddr) -> io::Result<TcpListener> {
        let listener = self.visit(move || {
            let listener = net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        TcpListener::from_std(listener.await?)
    }

    async fn visit<T: Send + 'static>(
        &self,
        make: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = self.file.clone();
        let (send, receive) = tokio::sync::oneshot::channel();
        thread::spawn(move || {
            let entered =
                fs::File::open(file).and_then(|file| Ok(setns(file, CloneFlags::CLONE_NEWNET)?));
            // The receiver may have given up; then nobody wants the answer.
            let _ = send.send(entered.and_then(|()| make()));
        });
        let made = receive.await;
        made.unwrap_or_else(|_| Err(io::Error::other("the visiting thread died")))
    }
}
