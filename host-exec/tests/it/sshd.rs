//! A real `sshd` for a test: its own port, keys and configuration, all in one directory.

use crate::LONG;
use host_exec::{Command, ControlDirectory, Host, LocalHost, SshHost, poll};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
};

/// A server that ends with this value.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
    pub(crate) dir: tempfile::TempDir,
}

impl Sshd {
    /// A server that lets the user of the test in by one key.
    pub(crate) async fn start() -> Self {
        // Short, because control sockets live in it.
        let dir = tempfile::Builder::new()
            .prefix("lab-ssh")
            .tempdir_in("/tmp")
            .unwrap();
        for key in ["host", "user", "other"] {
            keygen(&dir.path().join(key)).await;
        }
        fs::copy(
            dir.path().join("user.pub"),
            dir.path().join("authorized_keys"),
        )
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let key = fs::read_to_string(dir.path().join("host.pub")).unwrap();
        fs::write(
            dir.path().join("known_hosts"),
            format!("[127.0.0.1]:{port} {key}"),
        )
        .unwrap();
        fs::write(dir.path().join("sshd_config"), config(dir.path(), port)).unwrap();
        let child = serve(dir.path());
        let sshd = Self { child, port, dir };
        sshd.answers().await;
        sshd
    }

    /// Serves again, with the same keys on the same port.
    pub(crate) async fn start_again(&mut self) {
        self.child = serve(self.dir.path());
        self.answers().await;
    }

    async fn answers(&self) {
        let wait = poll::Wait::new("answer of sshd", LONG);
        let reached = poll::until(&wait, || async {
            Ok::<_, std::convert::Infallible>(match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(_) => poll::Attempt::Ready(()),
                Err(e) => poll::Attempt::NotYet(e.to_string()),
            })
        });
        reached.await.unwrap();
    }

    /// A host that reaches it, with nothing of the user's own SSH configuration.
    pub(crate) fn host(&self) -> SshHost {
        self.host_with("user", "known_hosts")
    }

    pub(crate) fn host_with(&self, identity: &str, known_hosts: &str) -> SshHost {
        self.plain_host()
            .with_config_file("/dev/null")
            .with_identity_file(self.dir.path().join(identity))
            .with_known_hosts_file(self.dir.path().join(known_hosts))
    }

    /// A host that reaches it as the configuration says.
    pub(crate) fn plain_host(&self) -> SshHost {
        let destination = format!("127.0.0.1:{}", self.port).parse().unwrap();
        let control = ControlDirectory::new(self.dir.path().join("cm")).unwrap();
        SshHost::new("far".parse().unwrap(), destination, control)
    }

    /// How often somebody has logged in.
    pub(crate) fn logins(&self) -> usize {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap();
        log.matches("Accepted publickey").count()
    }

    /// Ends the server and every connection of it.
    pub(crate) async fn stop(&mut self) {
        self.signal_sessions("-KILL").await;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Signals the processes that serve one connection each: they are children of the server, and only they are.
    pub(crate) async fn signal_sessions(&self, signal: &str) {
        let here = LocalHost::new("here".parse().unwrap());
        let parent = self.child.id().to_string();
        let pkill = Command::new("pkill").args([signal, "--parent", &parent]);
        here.output(&pkill).await.unwrap();
    }
}

impl Drop for Sshd {
    #[expect(clippy::disallowed_methods, reason = "a destructor cannot wait")]
    fn drop(&mut self) {
        // Ended already in some tests; a stopped session would live for ever.
        let parent = self.child.id().to_string();
        let _ = std::process::Command::new("pkill")
            .args(["-KILL", "--parent", &parent])
            .status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn keygen(path: &Path) {
    let here = LocalHost::new("here".parse().unwrap());
    let keygen = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]);
    here.run(&keygen.arg(path.to_str().unwrap())).await.unwrap();
}

/// `SHLVL` has bash(1) take itself for an inner shell: the account's own start-up files are no part of a test.
fn config(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {dir}/host\nPidFile none\n\
         AuthorizedKeysFile {dir}/authorized_keys\nStrictModes no\nUsePAM no\n\
         SetEnv SHLVL=1\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server has to outlive one call"
)]
fn serve(dir: &Path) -> Child {
    // The directory for privilege separation, which a package manager makes at boot, is sshd's own demand.
    fs::create_dir_all("/run/sshd").unwrap();
    std::process::Command::new("/usr/sbin/sshd")
        .args(["-D", "-f"])
        .arg(dir.join("sshd_config"))
        .arg("-E")
        .arg(dir.join("log"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
