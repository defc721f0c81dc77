//! Files of a host that is reached by commands only: `cat`, `ls`, `rm` and one constant script, all in POSIX.

use crate::{
    Command, Contents, File, FileError, FileErrorKind, Host, HostName, Mode, Output, RunErrorKind,
    Stdin, output,
};
use std::{io, path::Path, time::Duration};

/// Writes a file as a whole; the words after it are directory, temporary name, name, mode and size.
const WRITE: &str = include_str!("write.sh");

/// The slowest link on which a file still arrives in time, in bytes per second.
const SLOWEST: u64 = 128 * 1024;

/// One piece of work on one file, and how its failure is told.
pub(super) struct Work<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) operation: &'static str,
    pub(super) path: &'a Path,
}

impl Work<'_> {
    pub(super) async fn read(&self) -> Result<Option<Vec<u8>>, FileError> {
        let cat = Command::new("cat").args(["--", self.path_text()?]);
        Ok(self.output_if_present(cat).await?.map(|o| o.stdout))
    }

    pub(super) async fn mode(&self) -> Result<Option<Mode>, FileError> {
        // stat(1) differs between Linux and FreeBSD; the long format of ls(1) is POSIX.
        let ls = Command::new("ls").args(["-lLd", "--", self.path_text()?]);
        let Some(output) = self.output_if_present(ls).await? else {
            return Ok(None);
        };
        let text = output.stdout_text();
        // FreeBSD shows a symbolic link that leads nowhere as itself.
        if text.starts_with('l') {
            return Ok(None);
        }
        let unread = || {
            self.error(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("cannot read this answer of ls: {text}"),
            ))
        };
        parse_mode(&text).map(Some).ok_or_else(unread)
    }

    pub(super) async fn write(&self, file: &File) -> Result<(), FileError> {
        let path = self.path_text()?;
        let (Some((dir, name)), size) = (path.rsplit_once('/'), file.contents.bytes().len()) else {
            return Err(self.error(io::ErrorKind::InvalidInput.into()));
        };
        let dir = if dir.is_empty() { "/" } else { dir };
        let input = match &file.contents {
            Contents::Public(bytes) => Stdin::Bytes(bytes.clone()),
            Contents::Secret(bytes) => Stdin::Secret(bytes.clone()),
        };
        let transfer = Duration::from_secs(u64::try_from(size).unwrap_or(u64::MAX) / SLOWEST);
        let write = Command::new("sh")
            .args(["-c", WRITE, "sh", dir])
            .arg(format!("{dir}/.{name}.new"))
            .args([path, &format!("{:o}", file.mode.bits())])
            .arg(size.to_string())
            .stdin(input)
            .timeout(Command::DEFAULT_TIMEOUT + transfer);
        self.run(write).await.map(drop)
    }

    pub(super) async fn remove(&self) -> Result<(), FileError> {
        let rm = Command::new("rm").args(["-f", "--", self.path_text()?]);
        self.run(rm).await.map(drop)
    }

    async fn run(&self, command: Command) -> Result<Output, FileError> {
        let ran = self.host.run(&command.env("LC_ALL", "C")).await;
        ran.map_err(|e| FileError {
            kind: Box::new(FileErrorKind::Run(e.naming_script(WRITE, "WRITE"))),
            ..self.error(io::ErrorKind::Other.into())
        })
    }

    async fn output_if_present(&self, command: Command) -> Result<Option<Output>, FileError> {
        match self.run(command).await {
            Ok(output) => Ok(Some(output)),
            Err(e) if says_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn error(&self, cause: io::Error) -> FileError {
        FileError {
            host: HostName::clone(self.host.name()),
            operation: self.operation,
            path: self.path.to_owned(),
            kind: Box::new(FileErrorKind::Io(cause)),
        }
    }

    fn path_text(&self) -> Result<&str, FileError> {
        path_text(self.path).ok_or_else(|| {
            self.error(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not an absolute path to a file",
            ))
        })
    }
}

/// The path, if it is absolute, text, and without `..`: then it is no option and means one place.
pub(super) fn path_text(path: &Path) -> Option<&str> {
    let plain = path.is_absolute()
        && !path
            .components()
            .any(|part| part == std::path::Component::ParentDir);
    let text = path.to_str().filter(|_| plain)?;
    Some(text.trim_end_matches('/')).filter(|text| !text.is_empty())
}

/// Whether a program said, in the C locale, that there is no such file.
///
/// ```text
/// cat: /no/such/file: No such file or directory
/// ```
fn says_absent(error: &FileError) -> bool {
    let FileErrorKind::Run(run) = &*error.kind else {
        return false;
    };
    let RunErrorKind::Failed { stderr_tail, .. } = &*run.kind else {
        return false;
    };
    let said = stderr_tail.trim_end();
    said.ends_with(": No such file or directory") || said.ends_with(": Not a directory")
}

/// Reads the first column of `ls -l` (POSIX.1-2017, ls, "The file mode").
///
/// ```text
/// -rw-r--r-- 1 root root 220 Apr 23  2023 /etc/skel/.bash_logout
/// ```
pub(super) fn parse_mode(line: &str) -> Option<Mode> {
    let column = line.as_bytes().get(1..10)?;
    let mut bits = 0;
    for (class, letters) in column.chunks_exact(3).enumerate() {
        let (read, write, execute) = (letters[0], letters[1], letters[2]);
        // Set-user-ID, set-group-ID and the sticky bit stand in the place of the three execute bits.
        let special = 0o4000 >> class;
        let three = u32::from(read == b'r') << 2
            | u32::from(write == b'w') << 1
            | u32::from(matches!(execute, b'x' | b's' | b't'));
        bits |= three << (6 - 3 * class);
        bits |= match execute {
            b's' | b'S' | b't' | b'T' => special,
            b'x' | b'-' => 0,
            _ => return None,
        };
    }
    Some(Mode::new(bits))
}

/// The end of what `ssh` said, or a sentence if it said nothing.
pub(super) fn said(stderr: &[u8]) -> String {
    let said = output::tail(stderr);
    if said.is_empty() {
        return "the connection is lost".to_owned();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_from_a_long_listing() {
        for (column, bits) in [
            ("-rw-r--r--", 0o644),
            ("-rw-------.", 0o600),
            ("-rwsr-x--T+", 0o5750),
            ("drwxrwsrwt", 0o3777),
            ("----------", 0),
        ] {
            let line = format!("{column} 1 root root 220 Apr 23  2023 /x");
            assert_eq!(parse_mode(&line), Some(Mode::new(bits)), "{column}");
        }
        for bad in ["", "-rw", "total 12 and more"] {
            assert_eq!(parse_mode(bad), None, "{bad}");
        }
    }
}
