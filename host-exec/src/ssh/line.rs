//! The one line that the login shell of the other side reads.

use crate::{Command, escape};

/// Puts the command back together and runs it. `$0` holds it with the few characters spelt out that not every
/// login shell leaves alone between single quotes.
const DECODE: &str = r#"eval "$(printf %b "$0")""#;

/// How much longer than here a command may run there, in seconds: killing `ssh` kills nothing there.
const GRACE_S: u64 = 2;

/// What runs `command` there, whichever login shell reads it: `sh` and its kin, `csh`, `tcsh`, `fish`.
///
/// The words are quoted for `sh` by [`escape::quote`]. A C shell, the login shell of root on FreeBSD before 14, takes
/// `!` for its history and refuses a new line even between single quotes, and none of the shells can say a single
/// quote there: so these, and the backslash, go as the octal escapes of printf(1) (POSIX.1-2017, printf, `%b`).
/// A signal is told as 128 + number, as shells do; `ssh` itself would only say 255.
pub(super) fn remote_line(command: &Command) -> String {
    let mut inner = String::new();
    if let Some(limit) = command.timeout {
        inner.push_str(&format!("timeout -s KILL {} ", limit.as_secs() + GRACE_S));
    }
    inner.push_str("env");
    let env = command
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let words = env
        .chain([command.program.clone()])
        .chain(command.args.iter().cloned());
    for word in words {
        inner.push(' ');
        inner.push_str(&escape::quote(&word));
    }
    // Something after the command keeps the shell from becoming it, and so alive to tell of its signal.
    inner.push_str("; exit $?");
    format!("exec sh -c '{DECODE}' '{}'", spell(&inner))
}

fn spell(text: &str) -> String {
    let mut spelt = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => spelt.push_str(r"\0012"),
            '!' => spelt.push_str(r"\0041"),
            '\'' => spelt.push_str(r"\0047"),
            '\\' => spelt.push_str(r"\0134"),
            other => spelt.push(other),
        }
    }
    spelt
}
