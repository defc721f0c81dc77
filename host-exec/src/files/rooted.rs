//! File work below a root directory that is not ours: the root of another mount namespace, or `/`.
//!
//! A symbolic link inside a machine may be absolute. Followed from outside it would name a file of *this*
//! machine, so every path is resolved by `openat2(2)` with `RESOLVE_IN_ROOT`, which keeps the walk below the root.

use crate::{File, Mode};
use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, renameat},
    sys::stat::{self, Mode as Bits},
    unistd::{UnlinkatFlags, fsync, unlinkat},
};
use std::{
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

/// How often a walk that was disturbed by renames is begun again; each takes microseconds.
const RETRIES: u32 = 1000;

/// The contents of `path` below `root`, or `None` if there is no such file.
pub(crate) fn read(root: &Path, path: &Path) -> io::Result<Option<Vec<u8>>> {
    // O_NONBLOCK, so that a FIFO in the place of a file is no wait without end; files do not care.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let opened = open_root(root).and_then(|dir| open_in(&dir, path, flags));
    let Some(fd) = absent_is_none(opened)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    fs::File::from(fd).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The permission bits of `path` below `root`, or `None` if there is no such file.
pub(crate) fn mode(root: &Path, path: &Path) -> io::Result<Option<Mode>> {
    let opened = open_root(root).and_then(|dir| open_in(&dir, path, OFlag::O_PATH));
    let Some(fd) = absent_is_none(opened)? else {
        return Ok(None);
    };
    Ok(Some(Mode::new(stat::fstat(&fd)?.st_mode)))
}

/// Replaces a file below `root` as a whole; see [`Host::write_file`](crate::Host::write_file).
pub(crate) fn write(root: &Path, file: &File) -> io::Result<()> {
    let (parent, name) = split(&file.path)?;
    let dir = make_dirs(&open_root(root)?, &parent)?;
    // One fixed temporary name per file: what a killed run left is overwritten by the next, not collected.
    let temporary = format!(".{}.new", name.to_string_lossy());
    remove_at(&dir, OsStr::new(&temporary))?;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let bits = Bits::from_bits_truncate(file.mode.bits());
    // Created with no more than the owner's bits, so that the umask can only take away; then the exact mode.
    let fd = openat(
        &dir,
        temporary.as_str(),
        flags,
        bits & Bits::from_bits_truncate(0o600),
    )?;
    stat::fchmod(&fd, bits)?;
    let mut out = fs::File::from(fd);
    out.write_all(file.contents.bytes())?;
    out.sync_all()?;
    renameat(&dir, temporary.as_str(), &dir, name)?;
    Ok(fsync(&dir)?)
}

/// Removes a file below `root`; one that is not there is removed already.
pub(crate) fn remove(root: &Path, path: &Path) -> io::Result<()> {
    let (parent, name) = split(path)?;
    let opened = open_root(root).and_then(|dir| open_in(&dir, &parent, OFlag::O_DIRECTORY));
    match absent_is_none(opened)? {
        Some(dir) => remove_at(&dir, name),
        None => Ok(()),
    }
}

fn open_root(root: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(root, flags, Bits::empty())?)
}

fn open_in(root: &impl AsFd, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    // A symbolic link with ".." while anything is renamed on this system gives EAGAIN: openat2(2) says to retry.
    for _ in 0..RETRIES {
        match openat2(root, path, how) {
            Err(nix::Error::EAGAIN) => {}
            opened => return Ok(opened?),
        }
    }
    Ok(openat2(root, path, how)?)
}

fn make_dirs(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    if let Some(dir) = absent_is_none(open_in(root, path, OFlag::O_DIRECTORY))? {
        return Ok(dir);
    }
    let mut so_far = PathBuf::from("/");
    let mut dir = open_in(root, &so_far, OFlag::O_DIRECTORY)?;
    for part in path.components().filter(|part| *part != Component::RootDir) {
        so_far.push(part);
        dir = match absent_is_none(open_in(root, &so_far, OFlag::O_DIRECTORY))? {
            Some(dir) => dir,
            None => {
                match stat::mkdirat(&dir, part.as_os_str(), Bits::from_bits_truncate(0o755)) {
                    // Another task makes the same parents at the same time.
                    Ok(()) | Err(nix::Error::EEXIST) => {}
                    Err(e) => return Err(e.into()),
                }
                open_in(root, &so_far, OFlag::O_DIRECTORY)?
            }
        };
    }
    Ok(dir)
}

fn remove_at(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn split(path: &Path) -> io::Result<(PathBuf, &OsStr)> {
    let clean = path.is_absolute() && !path.components().any(|c| c == Component::ParentDir);
    match (clean, path.parent(), path.file_name()) {
        (true, Some(parent), Some(name)) => Ok((parent.to_owned(), name)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not an absolute path to a file",
        )),
    }
}

fn absent_is_none(opened: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
