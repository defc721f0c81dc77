//! daemon(8).
//!
//! Two processes in a row under one number: the first finds its own session and starts the command, then takes its
//! title, which Linux lets a program choose only as it is started.

use super::{fail, getopt::Options, print, strerror};
use crate::world::World;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl},
    sys::{
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, dup2_stdin, setsid},
};
use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    mem,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

const USAGE: &str = "usage: daemon [-cfHrS] [-p child_pidfile] [-P supervisor_pidfile]";

/// Says to the second process that it is one, and to the third what to know: the child, and three paths.
const STAGE: &str = "FREEBSD_HOST_DAEMON";

/// Runs a command without this session: `-c` in /, `-f` without its streams, `-p` and `-P` with files of process
/// numbers, `-o` with its output in a file, `-t` under a title.
pub(super) fn main(_: &World, words: &[String]) -> ExitCode {
    let options = match Options::parse(words, "cfSp:P:o:t:") {
        Ok(options) if !options.operands.is_empty() => options,
        Ok(_) => return fail(1, USAGE),
        Err(problem) => return fail(1, format!("daemon: {problem}\n{USAGE}")),
    };
    if env::var_os(STAGE).is_some() {
        return match second(&options) {
            Ok(never) => match never {},
            Err(error) => fail(1, format!("daemon: {error}")),
        };
    }
    match first(&options, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, text)) => fail(status, format!("daemon: {text}")),
    }
}

/// Locks the files, starts the second process, and leaves the numbers behind.
fn first(options: &Options, words: &[String]) -> Result<(), (u8, String)> {
    let child = options.value('p').map(lock).transpose()?;
    let supervisor = options.value('P').map(lock).transpose()?;
    let mut second = Command::new("/usr/sbin/daemon");
    second.args(words).env(STAGE, "1");
    if options.has('c') {
        second.current_dir("/");
    }
    if options.has('f') {
        second
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    }
    let started = second.spawn().map_err(|error| (1, strerror(&error)))?;
    if let Some(file) = &supervisor {
        write!(&mut &**file, "{}", started.id()).map_err(|error| (1, strerror(&error)))?;
    }
    // The second process holds the locks by the same open files: they must not be given up here.
    mem::forget((child, supervisor));
    Ok(())
}

/// Opens and locks a file of a process number, as pidfile(3) does.
fn lock(path: &str) -> Result<Flock<File>, (u8, String)> {
    let mut opening = OpenOptions::new();
    opening
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = opening
        .open(path)
        .map_err(|error| (1, format!("ppidfile ``{path}'': {}", strerror(&error))))?;
    let mut held = String::new();
    // A number of whoever was there before, if any.
    let _ = file.read_to_string(&mut held);
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => {
            let inherited = fcntl(&*file, FcntlArg::F_SETFD(FdFlag::empty()));
            let emptied = file.set_len(0).and_then(|()| io::Seek::rewind(&mut &*file));
            inherited
                .map_err(io::Error::from)
                .and(emptied)
                .map_err(|error| (1, strerror(&error)))?;
            Ok(file)
        }
        Err((_, Errno::EWOULDBLOCK)) => Err((3, format!("process already running, pid: {held}"))),
        Err((_, error)) => Err((1, error.desc().to_owned())),
    }
}

/// What never comes back.
enum Never {}

/// Starts the command and becomes its supervisor, with the command's output as its standard input.
fn second(options: &Options) -> io::Result<Never> {
    setsid()?;
    let (program, arguments) = options
        .operands
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).env_remove(STAGE);
    let output = options.value('o');
    if output.is_some() {
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        dup2_stdin(&reader)?;
    }
    let child = command.stdin(Stdio::null()).spawn();
    let child = match child {
        Ok(child) => child.id(),
        Err(error) => {
            forget(options);
            return Err(error);
        }
    };
    drop(command);
    if let Some(path) = options.value('p') {
        fs::write(path, child.to_string())?;
    }
    let title = options.value('t').unwrap_or(program);
    let state = [
        child.to_string(),
        output.unwrap_or_default().to_owned(),
        options.value('p').unwrap_or_default().to_owned(),
        options.value('P').unwrap_or_default().to_owned(),
    ];
    Err(Command::new("/usr/sbin/daemon")
        .arg0(format!("daemon: {title}[{child}]"))
        .env(STAGE, state.join("\n"))
        .exec())
}

fn forget(options: &Options) {
    for path in ['p', 'P']
        .into_iter()
        .filter_map(|letter| options.value(letter))
    {
        let _ = fs::remove_file(path);
    }
}

/// Keeps the command's output, passes SIGTERM on, and takes the files away when the command has ended.
pub(super) fn supervise(_: &World, _: &str) -> ExitCode {
    let state = env::var(STAGE).unwrap_or_default();
    let mut state = state.split('\n');
    let mut next = || state.next().unwrap_or_default().to_owned();
    let (child, output, files) = (next(), next(), [next(), next()]);
    let Ok(child) = child.parse().map(Pid::from_raw) else {
        return fail(1, USAGE);
    };
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGCHLD);
    if signals.thread_block().is_err() {
        return ExitCode::FAILURE;
    }
    let keeper = (!output.is_empty()).then(|| thread::spawn(move || keep(&output)));
    while matches!(
        waitpid(child, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive)
    ) {
        if signals.wait() == Ok(Signal::SIGTERM) {
            // It may have ended in this moment.
            let _ = kill(child, Signal::SIGTERM);
        }
    }
    // Its last words are kept; what others that it has left behind may say later is not waited for.
    let limit = Instant::now() + Duration::from_millis(200);
    while keeper.as_ref().is_some_and(|keeper| !keeper.is_finished()) && Instant::now() < limit {
        thread::sleep(Duration::from_millis(5));
    }
    for file in files.iter().filter(|file| !file.is_empty()) {
        let _ = fs::remove_file(file);
    }
    ExitCode::SUCCESS
}

fn keep(path: &str) {
    let mut opening = OpenOptions::new();
    let file = opening.append(true).create(true).mode(0o600).open(path);
    match file {
        Ok(mut file) => drop(io::copy(&mut io::stdin(), &mut file)),
        Err(error) => drop(print(format!("daemon: {path}: {error}\n"))),
    }
}
