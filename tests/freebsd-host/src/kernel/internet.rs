//! A server on the internet that tells who has asked.

use crate::programs::fail;
use std::{
    io::Write,
    net::{Ipv6Addr, TcpListener},
    process::ExitCode,
};

/// Answers each connection to port 80 with one line, the address of its sender, and hangs up.
pub(crate) fn main() -> ExitCode {
    // Both families: an IPv4 sender shows as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)) {
        Ok(listener) => listener,
        Err(error) => return fail(1, format!("internet: port 80: {error}")),
    };
    loop {
        // A client that is gone already is none of its troubles.
        if let Ok((mut stream, from)) = listener.accept() {
            let _ = writeln!(stream, "{}", from.ip().to_canonical());
        }
    }
}
