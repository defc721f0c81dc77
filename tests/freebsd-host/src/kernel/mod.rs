//! The host's process 1, which plays parts of FreeBSD's kernel: it takes up orphans, and makes devices.

mod internet;
mod nmdm;

pub(crate) use internet::main as internet;

use crate::{
    programs::{self, fail},
    world::World,
};
use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

/// The names by which the program is process 1, and the internet.
pub(crate) const INIT: &str = "freebsd-host-init";
pub(crate) const INTERNET: &str = "freebsd-host-internet";

/// Where it takes requests; there once it does.
pub(crate) const SOCKET: &str = "kernel";

/// How long a volume's device takes to appear behind the command that made the volume: on FreeBSD, too, another
/// thread makes it.
const DEVICE_DELAY: Duration = Duration::from_millis(150);

/// Serves as process 1 for as long as the host is there.
pub(crate) fn main(world: &World) -> ExitCode {
    let mut child = SigSet::empty();
    child.add(Signal::SIGCHLD);
    let socket = world.path(SOCKET);
    let ready = boot(world)
        .and_then(|()| Ok(child.thread_block()?))
        .and_then(|()| UnixListener::bind(&socket));
    let listener = match ready {
        Ok(listener) => listener,
        Err(error) => return fail(1, format!("{INIT}: {}: {error}", socket.display())),
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(&stream));
        }
    });
    loop {
        while matches!(waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
        {
        }
        // SIGCHLD is blocked, so one that comes between the two is not lost.
        if child.wait() == Err(Errno::EINVAL) {
            return fail(1, format!("{INIT}: cannot wait for signals"));
        }
    }
}

/// What is there again after a boot: the devices of volumes, and what rc.conf(5) says.
fn boot(world: &World) -> io::Result<()> {
    for (dataset, data) in programs::volumes(world)? {
        link(&Path::new("/dev/zvol").join(dataset), &data)?;
    }
    let done = Command::new(world.path("links/freebsd-host-net"))
        .arg("boot")
        .status()?;
    let failed = || io::Error::other(format!("rc.conf: {done}"));
    done.success().then_some(()).ok_or_else(failed)
}

fn link(device: &Path, data: &Path) -> io::Result<()> {
    fs::create_dir_all(device.parent().unwrap_or(device))?;
    symlink(data, device)
}

/// One request: a word and a name; the answer is `ok` or what is wrong.
fn serve(stream: &UnixStream) {
    let mut line = String::new();
    let done = BufReader::new(stream).read_line(&mut line).and_then(|_| {
        match line.trim_end().split_once(' ') {
            Some(("nmdm", name)) => nmdm::make(name),
            Some(("zvol", words)) => zvol(words),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    });
    let answer = done.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
    let mut stream = stream;
    // Who asked may be gone.
    let _ = writeln!(stream, "{answer}");
}

/// Asks process 1 for something.
pub(crate) fn ask(world: &World, word: &str, name: &str) -> io::Result<()> {
    let mut stream = UnixStream::connect(world.path(SOCKET))?;
    writeln!(stream, "{word} {name}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    match answer.trim_end() {
        "ok" => Ok(()),
        wrong => Err(io::Error::other(wrong.to_owned())),
    }
}

/// Makes the device of a volume, a moment late.
fn zvol(words: &str) -> io::Result<()> {
    let (dataset, data) = words.split_once(' ').ok_or(io::ErrorKind::InvalidInput)?;
    let data = PathBuf::from(data);
    let device = Path::new("/dev/zvol").join(dataset);
    thread::spawn(move || {
        thread::sleep(DEVICE_DELAY);
        // Destroyed meanwhile: no device.
        if data.exists() {
            let _ = link(&device, &data);
        }
    });
    Ok(())
}
