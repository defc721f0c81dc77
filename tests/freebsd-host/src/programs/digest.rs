//! sha256(1) and sha256sum(1) of FreeBSD's md5(1).

use super::{fail, getopt::Options, print};
use crate::world::World;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    process::ExitCode,
};

/// `sha256 [-q] [FILE...]`: FreeBSD's own form.
pub(super) fn sha256(_: &World, words: &[String]) -> ExitCode {
    let options = match Options::parse(words, "qr") {
        Ok(options) => options,
        Err(problem) => {
            return fail(
                1,
                format!(
                    "sha256: {problem}\nusage: sha256 [-pqrtx] [-c string] [-s string] [file ...]"
                ),
            );
        }
    };
    each("sha256", &options.operands, |name, digest| match name {
        Some(name) if !options.has('q') && options.has('r') => format!("{digest} {name}\n"),
        Some(name) if !options.has('q') => format!("SHA256 ({name}) = {digest}\n"),
        _ => format!("{digest}\n"),
    })
}

/// `sha256sum [FILE...]`: the form of GNU, which FreeBSD has since 14.
pub(super) fn sha256sum(_: &World, words: &[String]) -> ExitCode {
    match Options::parse(words, "bt") {
        Ok(options) => each("sha256sum", &options.operands, |name, digest| {
            format!("{digest}  {}\n", name.unwrap_or("-"))
        }),
        Err(problem) => fail(1, format!("sha256sum: {problem}")),
    }
}

fn each(program: &str, files: &[String], line: impl Fn(Option<&str>, &str) -> String) -> ExitCode {
    let mut status = ExitCode::SUCCESS;
    if files.is_empty() {
        return match digest(io::stdin()) {
            Ok(digest) => print(line(None, &digest)),
            Err(error) => fail(1, format!("{program}: stdin: {error}")),
        };
    }
    for file in files {
        match File::open(file).and_then(digest) {
            Ok(digest) => drop(print(line(Some(file), &digest))),
            Err(error) => {
                let why = super::strerror(&error);
                status = fail(1, format!("{program}: {file}: {why}"));
            }
        }
    }
    status
}

/// In large pieces: of this, only what digests a piece is optimized in a debug build.
fn digest(mut from: impl Read) -> io::Result<String> {
    let mut piece = vec![0; 1 << 20];
    let mut digest = Sha256::new();
    loop {
        match from.read(&mut piece)? {
            0 => break,
            length => digest.update(&piece[..length]),
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}
