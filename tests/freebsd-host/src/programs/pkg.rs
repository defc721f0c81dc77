//! pkg(8), as far as it tells what is installed.

use super::{fail, print};
use crate::world::World;
use std::{path::Path, process::ExitCode};

const FIRMWARE: &str = "/usr/local/share/uefi-firmware/BHYVE_UEFI_CODE.fd";
const NAME: &str = "edk2-bhyve";
const VERSION: &str = "g202411";

/// `pkg info [-e|-q] [NAME]`: the one package that a host of ours needs is there while its files are.
pub(super) fn main(_: &World, words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let installed = Path::new(FIRMWARE).exists();
    match words[..] {
        ["info"] if installed => print(format!(
            "{NAME}-{VERSION}                UEFI firmware for bhyve\n"
        )),
        ["info"] => ExitCode::SUCCESS,
        ["info", "-q"] if installed => print(format!("{NAME}-{VERSION}\n")),
        ["info", "-q"] => ExitCode::SUCCESS,
        ["info", "-e", name] => ExitCode::from(u8::from(!(installed && name == NAME))),
        ["info", name] if installed && name == NAME => print(format!("{NAME}-{VERSION}\n")),
        ["info", name] => fail(70, format!("pkg: No package(s) matching {name}")),
        _ => fail(
            64,
            "usage: pkg info [-e|-q] [name]: this host's packages can only be asked for",
        ),
    }
}
