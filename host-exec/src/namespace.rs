//! A machine made of namespaces on this kernel, named by its process 1.

use crate::{
    Command, DialError, File, FileError, Host, HostName, Mode, NetworkNamespace, Output, RunError,
    RunErrorKind, Status, Stream,
    files::rooted,
    local::at_root,
    poll::{self, Attempt, Wait},
    process,
};
use async_trait::async_trait;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// A running machine of namespaces, entered through its leader: the process that is number 1 inside.
///
/// Commands run by `nsenter(1)` in all its namespaces with a clean environment; files are reached through
/// `/proc/LEADER/root`, without entering; connections are opened by a thread that visits its network namespace.
/// When the machine reboots, the leader is another process: make a new value.
#[derive(Debug, Clone)]
pub struct NamespaceHost {
    name: HostName,
    leader: u32,
}

impl NamespaceHost {
    /// The `PATH` of commands inside: what Debian gives to root.
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// The machine whose process 1 has the number `leader` here.
    pub fn new(name: HostName, leader: u32) -> Self {
        Self { name, leader }
    }

    /// The number, on this side, of the machine's process 1.
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// The command line that enters the machine and runs `command` there.
    pub fn enter(&self, command: &Command) -> Vec<String> {
        let mut argv: Vec<String> = vec!["--target".into(), self.leader.to_string()];
        argv.extend(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"].map(String::from));
        argv.extend(["--root", "--wd", "--", "/usr/bin/env", "-i"].map(String::from));
        argv.push(format!("PATH={}", Self::PATH));
        argv.extend(["HOME=/root", "LANG=C.UTF-8"].map(String::from));
        argv.extend(
            command
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        argv.push(command.program.clone());
        argv.extend(command.args.iter().cloned());
        argv
    }

    /// Whether process 1 lives: a dead one that nobody has waited for has no namespaces any more.
    fn is_running(&self) -> bool {
        fs::read_link(format!("/proc/{}/ns/net", self.leader)).is_ok()
    }

    /// Whether process 1 is about to end: it goes last, a moment after the processes that it takes along.
    async fn ends(&self) -> bool {
        let wait = Wait::new("end of the machine", Duration::from_millis(100));
        let look = || async {
            Ok::<_, std::convert::Infallible>(match self.is_running() {
                true => Attempt::NotYet("it runs".into()),
                false => Attempt::Ready(()),
            })
        };
        poll::until(&wait, look).await.is_ok()
    }

    fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader))
    }
}

#[async_trait]
impl Host for NamespaceHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        let error = |kind| process::run_error(&self.name, command, kind);
        let gone = || RunErrorKind::Unreachable("the machine is not running".into());
        if !self.is_running() {
            return Err(error(gone()));
        }
        let args = self.enter(command);
        let start = process::Start {
            program: "nsenter",
            args: &args,
            env: &[],
        };
        let output = match process::run(&self.name, command, &start).await {
            Err(e) if matches!(*e.kind, RunErrorKind::NotFound) => {
                return Err(error(RunErrorKind::Unreachable(
                    "nsenter (of util-linux) is not installed on this machine".into(),
                )));
            }
            ran => ran?,
        };
        if output.status.success() {
            return Ok(output);
        }
        // A machine that stops takes its processes along, or leaves nsenter(1) nothing to enter.
        if !self.is_running() || (output.status == Status::Signalled(9) && self.ends().await) {
            return Err(error(gone()));
        }
        match process::not_started(&output, &command.program) {
            Some(kind) => Err(error(kind)),
            None => Ok(output),
        }
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        at_root(&self.name, self.root(), "read", path, rooted::read).await
    }

    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError> {
        at_root(&self.name, self.root(), "examine", path, rooted::mode).await
    }

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        let wanted = file.clone();
        let write = move |root: &Path, _: &Path| rooted::write(root, &wanted);
        at_root(&self.name, self.root(), "write", &file.path, write).await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        at_root(&self.name, self.root(), "remove", path, rooted::remove).await
    }

    async fn dial(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, DialError> {
        let network = NetworkNamespace::new(format!("/proc/{}/ns/net", self.leader));
        match network.dial(address, timeout).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) => Err(DialError {
                host: self.name.clone(),
                address,
                source,
            }),
        }
    }
}
