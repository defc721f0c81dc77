//! A FreeBSD host in memory: what it has, the programs that change it, and a connection that can be cut.

mod files;
mod network;
mod process;
mod world;
mod zfs;

pub(crate) use world::World;

use async_trait::async_trait;
use host_exec::{
    Command, DialError, File, FileError, FileErrorKind, Host, HostName, LocalHost, Mode, Output,
    RunError, RunErrorKind, Status, Stdin, Stream,
};
use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Where a connection breaks, counted in calls from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    /// The call does not arrive.
    Before(usize),
    /// The call is done, and its answer is lost.
    After(usize),
}

/// One connection to a host. The host outlives it.
#[derive(Debug, Clone)]
pub(crate) struct FakeHost {
    name: HostName,
    pub(crate) world: Arc<Mutex<World>>,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    cut: Cut,
    calls: usize,
    dead: bool,
}

impl Line {
    fn is_whole(&self) -> bool {
        !self.dead
    }
}

impl FakeHost {
    pub(crate) fn new(world: World) -> Self {
        let world = Arc::new(Mutex::new(world));
        Self::connect(world, Cut::Never)
    }

    fn connect(world: Arc<Mutex<World>>, cut: Cut) -> Self {
        let line = Line {
            cut,
            calls: 0,
            dead: false,
        };
        Self {
            name: "freebsd".parse().unwrap(),
            world,
            line: Arc::new(Mutex::new(line)),
        }
    }

    /// The same host by a new connection.
    pub(crate) fn again(&self, cut: Cut) -> Self {
        Self::connect(Arc::clone(&self.world), cut)
    }

    /// The calls of this connection.
    pub(crate) fn calls(&self) -> usize {
        self.line.lock().unwrap().calls
    }

    /// Whether the connection was cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.line.lock().unwrap().dead
    }

    /// What is there, in words.
    pub(crate) fn state(&self) -> String {
        self.world.lock().unwrap().state()
    }

    /// Changes the host behind everybody's back.
    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    /// Does one call, unless the connection is cut before; `None` if its answer is lost.
    fn call<T>(&self, act: impl FnOnce(&mut World) -> T) -> Option<T> {
        let mut line = self.line.lock().unwrap();
        let number = line.calls;
        line.calls += 1;
        if line.dead || line.cut == Cut::Before(number) {
            line.dead = true;
            return None;
        }
        let answer = act(&mut self.world.lock().unwrap());
        if line.cut == Cut::After(number) {
            line.dead = true;
            return None;
        }
        Some(answer)
    }
}

/// The error of a lost connection. Only host-exec can make one from nothing, so a real one is made over.
async fn lost(command: &str) -> RunError {
    let here = LocalHost::new("here".parse().unwrap());
    let mut error = here.run(&Command::new("/nonexistent")).await.unwrap_err();
    error.host = "freebsd".parse().unwrap();
    error.command = command.to_owned();
    error.kind = Box::new(RunErrorKind::Unreachable("the connection is lost".into()));
    error
}

async fn lost_file(path: &Path) -> FileError {
    let here = LocalHost::new("here".parse().unwrap());
    let mut error = here.read_file(Path::new("/")).await.unwrap_err();
    error.host = "freebsd".parse().unwrap();
    error.path = path.to_owned();
    error.kind = Box::new(FileErrorKind::Run(lost("").await));
    error
}

#[async_trait]
impl Host for FakeHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        let mut words = vec![command.program().to_owned()];
        words.extend(command.arguments().iter().cloned());
        let input = match command.input() {
            Stdin::Bytes(bytes) => bytes.clone(),
            Stdin::FileFrom(path, offset) => {
                let bytes = std::fs::read(path).unwrap();
                bytes[usize::try_from(*offset).unwrap()..].to_vec()
            }
            _ => Vec::new(),
        };
        let whole = self.line.lock().unwrap().is_whole();
        let answer = self.call(|world| world.run(&words, &input));
        if answer.is_none() && whole && !input.is_empty() {
            // A stream that breaks has brought some of it.
            self.change(|world| world.take_half(&words, &input));
        }
        let Some((status, stdout, stderr)) = answer else {
            return Err(lost(&command.to_string()).await);
        };
        Ok(Output {
            status: Status::Exited(status),
            stdout: stdout.into_bytes(),
            stderr: stderr.into_bytes(),
            elapsed: Duration::ZERO,
        })
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        let name = path.to_str().unwrap();
        match self.call(|world| world.files.get(name).map(|(bytes, _)| bytes.clone())) {
            Some(bytes) => Ok(bytes),
            None => Err(lost_file(path).await),
        }
    }

    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError> {
        let name = path.to_str().unwrap();
        match self.call(|world| world.files.get(name).map(|(_, mode)| Mode::new(*mode))) {
            Some(mode) => Ok(mode),
            None => Err(lost_file(path).await),
        }
    }

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        let path = file.path.to_str().unwrap().to_owned();
        let (bytes, mode) = (file.contents.bytes().to_vec(), file.mode.bits());
        match self.call(|world| world.write(&path, bytes, mode)) {
            Some(()) => Ok(()),
            None => Err(lost_file(&file.path).await),
        }
    }

    async fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        let name = path.to_str().unwrap();
        match self.call(|world| world.files.remove(name)) {
            Some(_) => Ok(()),
            None => Err(lost_file(path).await),
        }
    }

    async fn dial(&self, address: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, DialError> {
        panic!("nobody dials {address} here")
    }
}
