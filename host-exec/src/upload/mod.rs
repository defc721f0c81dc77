//! Big files: sent as a stream, carried on where a cut connection left them, believed only by their checksum.

mod error;

pub use error::{UploadError, UploadErrorKind};

use crate::{Command, Host, Mode, Sha256Hex, Stdin};
use std::{fs, io, path::Path, time::Duration};

/// The work on the host's side.
const SCRIPT: &str = include_str!("upload.sh");

/// What an upload had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// How many bytes were sent; 0 when the host had the file already.
    pub bytes: u64,
    /// How many of the file's bytes an earlier call had brought there.
    pub resumed_from: u64,
}

/// Has the file `to` on `host` hold what the file `local` of this machine holds, whose checksum is `sha256`.
///
/// The contents go into a part beside it (`.NAME.CHECKSUM.part`, mode 0600), which takes the place of `to` when all of
/// it is there, synced, and has the checksum. A part that a cut or killed call left is carried on, one of other
/// contents removed. If `to` has the checksum already nothing is sent. Missing directories are made with mode 0755.
///
/// Each of the two or three commands that it takes may run for `limit`; reading gigabytes for their checksum takes
/// seconds. Two calls for one `to` at the same time disturb each other: one of them gets an error.
///
/// Needs `sh`, `dd`, `wc` and `sha256sum` or `sha256` on the host (Linux, FreeBSD).
///
/// # Errors
///
/// `local` cannot be read, a path is not absolute, a command failed or took too long (what came across stays for
/// the next call); what came across has another checksum (it is removed).
pub async fn upload(
    host: &dyn Host,
    local: &Path,
    to: &Path,
    mode: Mode,
    sha256: &Sha256Hex,
    limit: Duration,
) -> Result<Uploaded, UploadError> {
    let upload = Upload {
        host,
        local,
        mode,
        sha256,
        limit,
    };
    let done = upload.run(to).await;
    done.map_err(|kind| UploadError {
        host: host.name().clone(),
        local: local.to_owned(),
        to: to.to_owned(),
        kind: Box::new(kind),
    })
}

struct Upload<'a> {
    host: &'a dyn Host,
    local: &'a Path,
    mode: Mode,
    sha256: &'a Sha256Hex,
    limit: Duration,
}

/// What the host has of the file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    sha256: Option<Sha256Hex>,
    part: u64,
}

impl Upload<'_> {
    async fn run(&self, to: &Path) -> Result<Uploaded, UploadErrorKind> {
        let words = self.words(to)?;
        let whole = file_size(self.local).map_err(UploadErrorKind::Local)?;
        let found = self.look(&words).await?;
        if found.sha256.as_ref() == Some(self.sha256) {
            self.keep_mode(to).await?;
            return Ok(Uploaded {
                bytes: 0,
                resumed_from: 0,
            });
        }
        // A part that is longer than the file is none of it.
        let offset = if found.part > whole { 0 } else { found.part };
        self.take(&words, offset, whole).await?;
        Ok(Uploaded {
            bytes: whole - offset,
            resumed_from: offset,
        })
    }

    async fn look(&self, words: &[String]) -> Result<Found, UploadErrorKind> {
        let look = self.script("look", words);
        let said = self.answer(&look).await?;
        read_look(&said).ok_or(UploadErrorKind::Unread(said))
    }

    async fn take(&self, words: &[String], offset: u64, whole: u64) -> Result<(), UploadErrorKind> {
        let take = self
            .script("take", words)
            .args([offset.to_string(), whole.to_string()])
            .args([self.sha256.to_string(), format!("{:o}", self.mode.bits())])
            .stdin(Stdin::FileFrom(self.local.to_owned(), offset));
        let said = self.answer(&take).await?;
        match said.trim().parse::<Sha256Hex>() {
            Ok(found) if found == *self.sha256 => Ok(()),
            Ok(found) => Err(UploadErrorKind::Checksum {
                expected: self.sha256.clone(),
                found,
            }),
            Err(_) => Err(UploadErrorKind::Unread(said)),
        }
    }

    async fn keep_mode(&self, to: &Path) -> Result<(), UploadErrorKind> {
        if self.host.file_mode(to).await? == Some(self.mode) {
            return Ok(());
        }
        let mode = format!("{:o}", self.mode.bits());
        let path = to.to_string_lossy();
        let chmod = Command::new("chmod").args([mode.as_str(), "--", &path]);
        self.host.run(&chmod).await?;
        Ok(())
    }

    async fn answer(&self, command: &Command) -> Result<String, UploadErrorKind> {
        let ran = self.host.run(command).await;
        let output = ran.map_err(|e| e.naming_script(SCRIPT, "UPLOAD"))?;
        Ok(output.stdout_text().into_owned())
    }

    fn script(&self, verb: &str, words: &[String]) -> Command {
        Command::new("sh")
            .args(["-c", SCRIPT, "upload", verb])
            .args(words)
            .env("LC_ALL", "C")
            .timeout(self.limit)
    }

    /// The four words of the script that name files: file, directory, part, and what the names of all parts begin with.
    fn words(&self, to: &Path) -> Result<[String; 4], UploadErrorKind> {
        let climbs = to
            .components()
            .any(|part| part == std::path::Component::ParentDir);
        let (Some(file), Some(directory), Some(name)) = (
            to.to_str().filter(|_| to.is_absolute() && !climbs),
            to.parent().and_then(Path::to_str),
            to.file_name().and_then(|name| name.to_str()),
        ) else {
            return Err(UploadErrorKind::Path);
        };
        let beside = |name: String| format!("{}/{name}", directory.trim_end_matches('/'));
        Ok([
            file.trim_end_matches('/').to_owned(),
            directory.to_owned(),
            beside(format!(".{name}.{}.part", &self.sha256.as_str()[..16])),
            beside(format!(".{name}.")),
        ])
    }
}

fn file_size(path: &Path) -> io::Result<u64> {
    let found = fs::metadata(path)?;
    if found.is_file() {
        return Ok(found.len());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "not a regular file",
    ))
}

/// Reads the answer to `look`: the checksum of the file, or `none`, and the bytes in its part.
///
/// ```text
/// none 65536
/// ```
fn read_look(said: &str) -> Option<Found> {
    let (sum, part) = said.trim().split_once(char::is_whitespace)?;
    let sha256 = match sum {
        "none" => None,
        sum => Some(sum.parse().ok()?),
    };
    let part = part.trim().parse().ok()?;
    Some(Found { sha256, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_has_is_read() {
        let sum = Sha256Hex::of(b"");
        // wc(1) of FreeBSD puts blanks before its number.
        for (said, sha256, part) in [
            ("none        0\n", None, 0),
            ("none 65536", None, 65536),
            (&*format!("{sum} 7\n"), Some(sum.clone()), 7),
        ] {
            assert_eq!(read_look(said), Some(Found { sha256, part }), "{said}");
        }
        for bad in ["", "none", "none x", "none -1", "0123 4", "sh: not found"] {
            assert_eq!(read_look(bad), None, "{bad}");
        }
    }
}
