//! Commands and what they say, as files: each stand-in does and refuses what the real program does and refuses.
//!
//! A line `$ COMMAND` is run by the host's sh(1); what follows is what it says on both outputs, and `? STATUS` if that is
//! not 0. With UPDATE_TRANSCRIPTS set, the files are written instead, to be compared by a person with the real thing.

use crate::stand_in::StandIn;
use std::{env, fs, path::Path};

fn check(name: &str) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/transcripts");
    let path = data.join(format!("{name}.transcript"));
    let wanted = fs::read_to_string(&path).unwrap();
    let host = StandIn::up();
    let mut seen = String::new();
    for command in wanted.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let output = host.try_sh(&format!("exec 2>&1; {command}"));
        seen.push_str(&format!(
            "$ {command}\n{}",
            String::from_utf8_lossy(&output.stdout)
        ));
        match output.status.code() {
            Some(0) => {}
            status => seen.push_str(&format!("? {}\n", status.unwrap())),
        }
    }
    if env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        fs::write(&path, &seen).unwrap();
    }
    assert_eq!(seen, wanted, "{name}");
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn zfs_and_zpool() {
    check("zfs");
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn bhyve_and_bhyvectl() {
    check("bhyve");
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn processes_modules_and_the_rest() {
    check("base");
}
