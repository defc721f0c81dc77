//! What `ssh` says when it will not, or may not, log in.

use crate::LoginRefusal;
use std::path::Path;

/// Reads the words of OpenSSH, in which no language setting changes anything.
///
/// `pinned` is the one file of host keys that is asked, `by_hand` the command by which a person logs in.
///
/// ```text
/// debug1: Server host key: ssh-ed25519 SHA256:3aXf...
/// No ED25519 host key is known for [192.0.2.1]:2222 and you have requested strict checking.
/// Host key verification failed.
/// ```
/// ```text
/// Offending ED25519 key in /home/ann/.ssh/known_hosts:7
/// Host key for [192.0.2.1]:2222 has changed and you have requested strict checking.
/// ```
/// ```text
/// root@192.0.2.1: Permission denied (publickey,keyboard-interactive).
/// ```
pub(super) fn read(said: &str, pinned: Option<&Path>, by_hand: &str) -> Option<LoginRefusal> {
    let lines = || said.lines().map(str::trim);
    let shown = lines()
        .find_map(|line| line.split_once("Server host key: "))
        .map_or_else(|| "a key".to_owned(), |(_, key)| key.to_owned());
    for line in lines() {
        if let Some(address) = between(line, "Host key for ", " has changed and") {
            let at = lines()
                .filter(|line| line.starts_with("Offending"))
                .find_map(|line| line.split_once(" key in "))
                .map_or_else(|| "the known hosts".to_owned(), |(_, at)| at.to_owned());
            return Some(LoginRefusal::ChangedHostKey { address, shown, at });
        }
        if let Some(address) = between(line, " host key is known for ", " and you have") {
            return Some(match pinned {
                Some(file) => LoginRefusal::ForeignHostKey {
                    address,
                    shown,
                    file: file.to_owned(),
                },
                None => LoginRefusal::UnknownHostKey {
                    address,
                    shown,
                    by_hand: by_hand.to_owned(),
                },
            });
        }
        if let Some((who, methods)) = line.split_once(": Permission denied (") {
            let (user, address) = who.rsplit_once('@')?;
            return Some(LoginRefusal::PermissionDenied {
                user: user.to_owned(),
                address: address.to_owned(),
                methods: methods.trim_end_matches(['.', ')']).to_owned(),
            });
        }
    }
    None
}

fn between(line: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = line.split_once(before)?;
    Some(rest.split_once(after)?.0.to_owned())
}
