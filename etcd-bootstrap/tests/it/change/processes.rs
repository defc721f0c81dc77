//! A host that runs etcd as a plain process when systemctl is called: the crate as a whole on one machine.

use async_trait::async_trait;
use etcd_bootstrap::render;
use host_exec::{
    Command, DialError, File, FileError, Host, HostName, LocalHost, Mode, Output, RunError, Status,
    Stream,
};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::process::Child;

/// One machine: what is below /etc is in a directory of its own.
#[derive(Debug)]
pub(super) struct ProcessHost {
    inner: LocalHost,
    root: PathBuf,
    program: PathBuf,
    service: Mutex<Service>,
}

#[derive(Debug, Default)]
struct Service {
    child: Option<Child>,
    enabled: bool,
    broken: bool,
}

impl ProcessHost {
    pub(super) fn new(name: &str, root: PathBuf, program: PathBuf) -> Self {
        Self {
            inner: LocalHost::new(name.parse().unwrap()),
            root,
            program,
            service: Mutex::default(),
        }
    }

    fn inside(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/etc") {
            Ok(below) => self.root.join("etc").join(below),
            Err(_) => path.to_owned(),
        }
    }

    fn moved(&self, file: &File) -> File {
        let mut file = file.clone();
        file.path = self.inside(&file.path);
        file
    }

    fn service(&self) -> std::sync::MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether etcd ends as soon as it is started.
    pub(super) fn set_broken(&self, broken: bool) {
        self.service().broken = broken;
    }

    /// SIGKILL, as a crash of the machine.
    pub(super) async fn kill(&self) {
        let child = self.service().child.take();
        if let Some(mut child) = child {
            child.kill().await.unwrap();
        }
    }

    async fn stop(&self) {
        let child = self.service().child.take();
        if let Some(mut child) = child {
            if let Some(id) = child.id() {
                let kill = Command::new("kill").arg(id.to_string());
                let _ = self.inner.output(&kill).await;
            }
            child.wait().await.unwrap();
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test runs etcd in the place of systemd"
    )]
    fn start(&self) {
        let mut service = self.service();
        let running = service.child.as_mut().map(Child::try_wait);
        if matches!(running, Some(Ok(None))) {
            return;
        }
        let settings =
            fs::read_to_string(self.inside(Path::new(render::ENVIRONMENT_FILE))).unwrap();
        let settings = settings.lines().filter_map(|line| line.split_once('='));
        let log = self.root.join("etcd.log");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let program = match service.broken {
            true => Path::new("/bin/false"),
            false => &self.program,
        };
        let child = tokio::process::Command::new(program)
            .env_clear()
            .envs(settings)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        service.child = Some(child);
    }

    /// What `systemctl show` says, as systemd does of a unit like ours.
    fn show(&self) -> String {
        let mut service = self.service();
        let ended = service
            .child
            .as_mut()
            .map(|child| child.try_wait().unwrap());
        let (active, result) = match ended {
            None => ("inactive", "success"),
            Some(None) => ("active", "success"),
            Some(Some(status)) if status.success() => ("inactive", "success"),
            Some(Some(_)) => ("failed", "exit-code"),
        };
        let load = match self.inside(Path::new(render::UNIT_FILE)).exists() {
            true => "loaded",
            false => "not-found",
        };
        let file = if service.enabled {
            "enabled"
        } else {
            "disabled"
        };
        format!(
            "LoadState={load}\nActiveState={active}\nSubState=x\nUnitFileState={file}\nResult={result}\n\
             NeedDaemonReload=no\n"
        )
    }

    async fn systemctl(&self, arguments: &[String]) -> String {
        let verb = arguments.first().map(String::as_str);
        match verb {
            Some("show") => {
                let names = arguments.iter().filter(|word| !word.starts_with('-'));
                let blocks = names.skip(1).map(|name| match name.as_str() {
                    "etcd.service" => self.show(),
                    _ => "LoadState=not-found\nActiveState=inactive\n".to_owned(),
                });
                return blocks.collect::<Vec<_>>().join("\n");
            }
            Some("start") => self.start(),
            Some("stop") => self.stop().await,
            Some("enable") => self.service().enabled = true,
            Some("disable") => self.service().enabled = false,
            Some("daemon-reload") => {}
            other => panic!("systemctl {other:?}"),
        }
        String::new()
    }
}

#[async_trait]
impl Host for ProcessHost {
    fn name(&self) -> &HostName {
        self.inner.name()
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        if command.program() != "systemctl" {
            return self.inner.output(command).await;
        }
        let stdout = self.systemctl(command.arguments()).await.into_bytes();
        Ok(Output {
            status: Status::Exited(0),
            stdout,
            stderr: Vec::new(),
            elapsed: Duration::ZERO,
        })
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        self.inner.read_file(&self.inside(path)).await
    }

    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError> {
        self.inner.file_mode(&self.inside(path)).await
    }

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        self.inner.write_file(&self.moved(file)).await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        self.inner.remove_file(&self.inside(path)).await
    }

    async fn dial(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, DialError> {
        self.inner.dial(address, timeout).await
    }
}
