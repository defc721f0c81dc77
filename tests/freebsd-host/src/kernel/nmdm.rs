//! Null-modem devices (nmdm(4)): two terminals, and what is written to one comes out of the other.

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::openpty,
    sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr},
    unistd::{read, ttyname, write},
};
use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Between two looks at a pair of which one side is closed.
const TICK: Duration = Duration::from_millis(10);
/// How long a pair stays when both sides are closed. On FreeBSD it goes at once and comes with the next open; here
/// whoever asked for it needs time to open it.
const IDLE: Duration = Duration::from_secs(5);

/// Makes `/dev/nmdmNAMEA` and `/dev/nmdmNAMEB`, if they are not there.
pub(super) fn make(name: &str) -> io::Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(legal) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let links = ["A", "B"].map(|side| PathBuf::from(format!("/dev/nmdm{name}{side}")));
    let (first, second) = match (side(&links[0]), side(&links[1])) {
        (Err(error), _) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        (first, second) => (first?, second?),
    };
    thread::spawn(move || {
        carry(&first, &second);
        for link in links {
            let _ = fs::remove_file(link);
        }
    });
    Ok(())
}

/// One end: the link to its terminal, and the terminal's other side, which is ours.
fn side(link: &Path) -> io::Result<OwnedFd> {
    if fs::symlink_metadata(link).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let pty = openpty(None, None)?;
    let mut settings = tcgetattr(&pty.slave)?;
    cfmakeraw(&mut settings);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &settings)?;
    fcntl(&pty.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    symlink(ttyname(&pty.slave)?, link)?;
    Ok(pty.master)
}

/// Carries bytes both ways until both sides have been closed for a while.
fn carry(first: &OwnedFd, second: &OwnedFd) {
    let mut used = Instant::now();
    loop {
        let mut sides = [first, second].map(|side| PollFd::new(side.as_fd(), PollFlags::POLLIN));
        // A signal or a lack of memory: the next look is as good.
        let _ = poll(&mut sides, PollTimeout::NONE);
        let closed = sides.map(|side| has(side, PollFlags::POLLHUP));
        for (from, to, open) in [(first, second, !closed[1]), (second, first, !closed[0])] {
            if pass(from.as_fd(), to.as_fd(), open) {
                used = Instant::now();
            }
        }
        match closed {
            [true, true] if used.elapsed() > IDLE => return,
            [false, false] => used = Instant::now(),
            _ => {
                thread::sleep(TICK);
                if closed != [true, true] {
                    used = Instant::now();
                }
            }
        }
    }
}

fn has(side: PollFd<'_>, flag: PollFlags) -> bool {
    side.revents().is_some_and(|seen| seen.contains(flag))
}

/// What one side has written goes to the other, or nowhere if nobody has it open. Whether there was any.
fn pass(from: BorrowedFd<'_>, to: BorrowedFd<'_>, open: bool) -> bool {
    let mut bytes = [0; 4096];
    let Ok(count @ 1..) = read(from, &mut bytes) else {
        return false;
    };
    let mut rest = &bytes[..count];
    while open && !rest.is_empty() {
        match write(to, rest) {
            Ok(written) => rest = &rest[written..],
            Err(_) => {
                let mut side = [PollFd::new(to, PollFlags::POLLOUT)];
                let _ = poll(&mut side, PollTimeout::from(100u8));
                let [side] = side;
                if has(side, PollFlags::POLLHUP) {
                    break;
                }
            }
        }
    }
    true
}
