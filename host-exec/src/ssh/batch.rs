//! Small files of the other side written in one round trip.

use super::{SshHost, files::path_text};
use crate::{Command, File, FileError, FileErrorKind, Host, RunErrorKind, Stdin};
use std::fmt::Write;
use zeroize::Zeroizing;

/// Replaces small files; their names and modes stand after it, their contents on its standard input.
const WRITE_MANY: &str = include_str!("write_many.sh");

/// The biggest file that goes with others, in bytes: `read` of sh(1) takes its input byte by byte.
const SMALL: usize = 32 * 1024;

/// So much goes at once, in bytes; a slow machine reads it in some seconds.
const TOGETHER: usize = 256 * 1024;

/// So many paths fit into one argument, see `compare`.
const AT_ONCE: usize = 100;

/// Writes `files` in their order: the small ones together, each of the others alone.
pub(super) async fn write(host: &SshHost, files: &[&File]) -> Result<(), FileError> {
    let mut left = files;
    while let Some(file) = left.first() {
        let together = count_together(left);
        if together < 2 {
            host.write_file(file).await?;
            left = &left[1..];
        } else {
            let (some, rest) = left.split_at(together);
            write_together(host, some).await?;
            left = rest;
        }
    }
    Ok(())
}

/// How many of the first of `files` go together.
fn count_together(files: &[&File]) -> usize {
    let mut bytes = 0;
    let fits = |file: &&&File| {
        bytes += file.contents.bytes().len();
        is_small(file) && bytes <= TOGETHER
    };
    files.iter().take(AT_ONCE).take_while(fits).count()
}

/// Whether a shell variable can hold it: no NUL, and not too long.
fn is_small(file: &File) -> bool {
    let bytes = file.contents.bytes();
    bytes.len() <= SMALL && !bytes.contains(&0)
}

async fn write_together(host: &SshHost, files: &[&File]) -> Result<(), FileError> {
    let mut write = Command::new("sh").args(["-c", WRITE_MANY, "write"]);
    write = write.arg(files.len().to_string());
    let mut input = Zeroizing::new(Vec::new());
    for file in files {
        let place = path_text(&file.path).and_then(|path| path.rsplit_once('/'));
        let Some((directory, name)) = place else {
            return write_one_by_one(host, files).await;
        };
        write = write.arg(format!("{directory}/.{name}.new"));
        write = write.args(mask_and_mode(file.mode.bits()));
        spell(file.contents.bytes(), &mut input);
    }
    let write = write.env("LC_ALL", "C").stdin(Stdin::Secret(input));
    match host.run(&write).await {
        Ok(_) => Ok(()),
        Err(e) if matches!(*e.kind, RunErrorKind::Failed { .. }) => {
            write_one_by_one(host, files).await
        }
        Err(e) => Err(FileError {
            host: host.name.clone(),
            operation: "write",
            path: files[0].path.clone(),
            kind: Box::new(FileErrorKind::Run(e.naming_script(WRITE_MANY, "WRITE"))),
        }),
    }
}

/// Alone, each says for itself what is wrong.
async fn write_one_by_one(host: &SshHost, files: &[&File]) -> Result<(), FileError> {
    for file in files {
        host.write_file(file).await?;
    }
    Ok(())
}

/// The umask under which a new file has the mode `bits`, and what chmod(1) has to add.
fn mask_and_mode(bits: u32) -> [String; 2] {
    // A shell makes files with 0666 at most.
    let mask = format!("{:03o}", 0o777 & !bits);
    match bits & !0o666 {
        0 => [mask, "plain".into()],
        _ => [mask, format!("{bits:o}")],
    }
}

/// One line of which `printf %b` makes `bytes` (POSIX.1-2017, printf).
fn spell(bytes: &[u8], line: &mut Vec<u8>) {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 5 + 1));
    for &byte in bytes {
        match byte {
            b' '..=b'~' if byte != b'\\' => text.push(byte.into()),
            _ => {
                // Writing to a String does not fail.
                let _ = write!(text, r"\0{byte:03o}");
            }
        }
    }
    text.push('\n');
    line.extend_from_slice(text.as_bytes());
}
