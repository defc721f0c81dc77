//! Ports of this machine that lead to the other side.

use crate::{LONG, sshd::Sshd};
use host_exec::{Command, ForwardErrorKind, Host};
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

/// A port that nobody uses at this moment.
fn free(host: &str) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// A server that greets one caller after the other.
fn greeter() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            // A caller may be gone already; the next one counts.
            let _ = socket.and_then(|mut socket| socket.write_all(b"hello"));
        }
    });
    address
}

fn heard(at: SocketAddr) -> std::io::Result<String> {
    let mut said = String::new();
    let mut socket = TcpStream::connect_timeout(&at, LONG)?;
    socket.set_read_timeout(Some(LONG))?;
    socket.read_to_string(&mut said)?;
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_port_leads_there_until_it_is_cancelled() {
    let sshd = Sshd::start().await;
    let (host, to) = (sshd.host(), greeter());
    let (local, other) = (free("127.0.0.1"), free("::1"));
    // What was never there, without a connection too.
    host.cancel(local, to).await.unwrap();
    host.forward(local, to).await.unwrap();
    host.forward(local, to).await.unwrap();
    host.forward(other, to).await.unwrap();
    assert_eq!(heard(local).unwrap(), "hello");
    assert_eq!(heard(other).unwrap(), "hello");
    // It has nothing to do with the connection of the commands.
    host.run(&Command::new("true")).await.unwrap();
    assert_eq!(sshd.logins(), 2);

    host.cancel(local, to).await.unwrap();
    host.cancel(local, to).await.unwrap();
    heard(local).unwrap_err();
    assert_eq!(heard(other).unwrap(), "hello");
    host.disconnect().await.unwrap();
    heard(other).unwrap_err();
    let sockets = fs::read_dir(sshd.dir.path().join("cm")).unwrap();
    assert_eq!(sockets.count(), 0, "a socket is left");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_lost_forwarding_is_made_again_by_asking_again() {
    let (outer, inner) = (Sshd::start().await, Sshd::start().await);
    let host = inner.host().through(&outer.host());
    let (local, to) = (free("127.0.0.1"), greeter());
    host.forward(local, to).await.unwrap();
    assert_eq!(heard(local).unwrap(), "hello");
    outer.signal_sessions("-KILL").await;
    let wait = host_exec::poll::Wait::new("end of the forwarding", LONG);
    let gone = host_exec::poll::until(&wait, || async {
        use host_exec::poll::Attempt;
        Ok::<_, std::convert::Infallible>(match TcpStream::connect(local) {
            Ok(_) => Attempt::NotYet("it listens".into()),
            Err(_) => Attempt::Ready(()),
        })
    });
    gone.await.unwrap();
    host.forward(local, to).await.unwrap();
    assert_eq!(heard(local).unwrap(), "hello");
    host.disconnect().await.unwrap();
    outer.host().disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_port_that_is_taken_or_open_to_others_is_refused() {
    let mut sshd = Sshd::start().await;
    let (host, to) = (sshd.host(), greeter());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let local = taken.local_addr().unwrap();
    let error = host.forward(local, to).await.unwrap_err();
    assert!(
        matches!(*error.kind, ForwardErrorKind::Denied(_)),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.contains(&format!("from {local} ")), "{said}");
    assert!(said.contains("take another one"), "{said}");
    for open in ["0.0.0.0:6443", "192.0.2.1:6443", "[::]:6443", "127.0.0.1:0"] {
        let error = host.forward(open.parse().unwrap(), to).await.unwrap_err();
        assert!(
            matches!(*error.kind, ForwardErrorKind::NotLoopback),
            "{error}"
        );
    }
    host.disconnect().await.unwrap();
    sshd.stop().await;
    let error = host.forward(free("127.0.0.1"), to).await.unwrap_err();
    assert!(matches!(*error.kind, ForwardErrorKind::Run(_)), "{error}");
}
