//! The program systemctl(1) of a machine: hands its arguments to the manager and prints the answer.

use super::SOCKET;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
};

/// What the manager answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The exit status.
    pub status: u8,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Asks the manager of the machine that this process is in.
///
/// # Errors
///
/// The manager is not there.
pub fn ask(arguments: &[String]) -> anyhow::Result<Answer> {
    let mut stream = UnixStream::connect(SOCKET).context("the manager does not listen")?;
    stream.write_all(&serde_json::to_vec(arguments)?)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    serde_json::from_slice(&answer).context("the manager's answer")
}
