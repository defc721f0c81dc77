//! A host for one test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_freebsd-host");

/// A host, and a key with which to log in; both go with it.
pub(crate) struct StandIn {
    place: TempDir,
}

impl StandIn {
    pub(crate) fn up() -> Self {
        Self::up_with(&[])
    }

    /// With further words for `up`.
    pub(crate) fn up_with(words: &[&str]) -> Self {
        // Not below /tmp: that may be a tmpfs, on which containers of guests would not work.
        let host = Self {
            place: tempfile::tempdir_in("/var/tmp").unwrap(),
        };
        let key = host.file("id");
        let make = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(&key)
            .output();
        succeeded(&make.unwrap());
        let up = Command::new(PROGRAM)
            .arg("up")
            .arg(host.dir())
            .arg(key.with_extension("pub"))
            .args(words)
            .output();
        succeeded(&up.unwrap());
        host
    }

    /// A file beside the host.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.file("host")
    }

    /// A path of the host, seen from here.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir().join("root").join(inside.trim_start_matches('/'))
    }

    pub(crate) fn key(&self) -> String {
        fs::read_to_string(self.file("id.pub")).unwrap()
    }

    /// A command on the host.
    pub(crate) fn enter_command(&self, words: &[&str]) -> Command {
        let mut enter = Command::new(PROGRAM);
        enter.arg("enter").arg(self.dir()).arg("--").args(words);
        enter.stdin(Stdio::null());
        enter
    }

    pub(crate) fn enter(&self, words: &[&str]) -> Output {
        self.enter_command(words).output().unwrap()
    }

    /// Runs a command of sh(1) on the host.
    pub(crate) fn try_sh(&self, command: &str) -> Output {
        self.enter(&["/bin/sh", "-c", command])
    }

    /// The same for one that has to succeed; its output.
    pub(crate) fn sh(&self, command: &str) -> String {
        succeeded(&self.try_sh(command))
    }

    /// ssh(1), as a person calls it; with the words that follow.
    pub(crate) fn ssh_command(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.dir().join("ssh_config"));
        ssh.arg("-i").arg(self.file("id")).arg("-oBatchMode=yes");
        ssh.stdin(Stdio::null());
        ssh
    }

    /// A command on the host, by a login.
    pub(crate) fn ssh(&self, command: &str) -> Output {
        self.ssh_command()
            .args(["freebsd", command])
            .output()
            .unwrap()
    }

    pub(crate) fn reboot(&self) {
        let reboot = Command::new(PROGRAM).arg("reboot").arg(self.dir()).output();
        succeeded(&reboot.unwrap());
    }

    pub(crate) fn down(&self) {
        succeeded(
            &Command::new(PROGRAM)
                .arg("down")
                .arg(self.dir())
                .output()
                .unwrap(),
        );
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let down = Command::new(PROGRAM).arg("down").arg(self.dir()).output();
        if !thread::panicking() {
            succeeded(&down.unwrap());
        }
    }
}

pub(crate) fn succeeded(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}{error}", output.status);
    text
}

/// Waits until something is there, for a bounded time.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "not within 30 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The control groups of a host, by the digest of its directory, wherever this machine keeps them.
pub(crate) fn groups(host: &StandIn) -> Vec<PathBuf> {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(host.dir().as_os_str().as_encoded_bytes());
    let id: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut found = Vec::new();
    find(
        Path::new("/sys/fs/cgroup"),
        &format!("freebsd-host.{id}"),
        &mut found,
    );
    found
}

/// Directories whose name begins so, and none below them. Other groups may go while we look.
fn find(above: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        match entry.file_name().to_string_lossy().starts_with(name) {
            true => found.push(entry.path()),
            false => find(&entry.path(), name, found),
        }
    }
}
