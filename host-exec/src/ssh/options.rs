//! The arguments of `ssh`.

use super::{SshHost, line::remote_line};
use crate::{Command, Stdin, escape};
use sha2::{Digest, Sha256};
use std::{io, path::PathBuf, time::Duration};

/// How long an unused connection is kept by whoever was the first to need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persist {
    /// A minute.
    Shortly,
    /// Until it is closed or lost.
    UntilClosed,
}

impl Persist {
    fn seconds(self) -> &'static str {
        match self {
            Self::Shortly => "60",
            Self::UntilClosed => "yes",
        }
    }
}

impl SshHost {
    /// The arguments of `ssh` that run `command` there: what [`Host::output`](crate::Host::output) starts.
    ///
    /// They need the directory of the control sockets, which any call of the host makes.
    pub fn enter(&self, command: &Command) -> Vec<String> {
        self.enter_saying("INFO", command)
    }

    /// The same with `level` as what `ssh` tells of itself.
    pub(super) fn enter_saying(&self, level: &str, command: &Command) -> Vec<String> {
        let mut args = self.options();
        args.extend(["-o".into(), format!("LogLevel={level}")]);
        let terminal = match command.stdin {
            Stdin::Inherit => "-t",
            _ => "-T",
        };
        args.extend([terminal.into(), "--".into(), self.destination.word()]);
        args.push(remote_line(command));
        args
    }

    /// The arguments that open `address` from there as standard input and output.
    pub(super) fn reach(&self, address: &str) -> Vec<String> {
        let mut args = self.options();
        args.extend(["-o", "LogLevel=DEBUG1", "-W", address, "--"].map(String::from));
        args.push(self.destination.word());
        args
    }

    /// The arguments that ask the process of the shared connection for `verb`. No configuration is read: it could
    /// only add forwardings of its own to those that are asked for.
    pub(super) fn control(&self, verb: &str, more: &[String]) -> Vec<String> {
        let mut args: Vec<String> = ["-F", "/dev/null", "-o"].map(String::from).into();
        args.push(self.control_path());
        args.extend(["-O".into(), verb.into()]);
        args.extend(more.iter().cloned());
        args.extend(["--".into(), self.destination.word()]);
        args
    }

    /// The command by which a person logs in and is asked about the host key.
    pub(super) fn by_hand(&self) -> String {
        let mut command = Command::new("ssh");
        if let Some(config) = &self.config {
            command = command.args(["-F", &config.display().to_string()]);
        }
        if let Some(jump) = &self.jump {
            command = command.args(["-J", &jump.destination.to_string()]);
        }
        if let Some(port) = self.destination.port() {
            command = command.args(["-p", &port.to_string()]);
        }
        command.arg(self.destination.word()).to_string()
    }

    /// One socket per destination and settings: 16 hexadecimal digits, see
    /// [`ControlDirectory::MAX_LEN`](super::ControlDirectory::MAX_LEN).
    pub(super) fn socket(&self) -> PathBuf {
        let mut hash = Sha256::new();
        for word in self.settings().iter().chain([&self.destination.word()]) {
            hash.update(word);
            hash.update([0]);
        }
        let name: String = hash.finalize()[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.control.path().join(name)
    }

    fn control_path(&self) -> String {
        format!("ControlPath={}", self.socket().display())
    }

    fn options(&self) -> Vec<String> {
        let mut args = self.settings();
        args.extend(["-o".into(), self.control_path()]);
        args
    }

    /// All that makes one connection different from another.
    fn settings(&self) -> Vec<String> {
        let mut args = Vec::new();
        if let Some(config) = &self.config {
            args.extend(["-F".into(), config.display().to_string()]);
        }
        if let Some(identity) = &self.identity {
            args.extend(["-i".into(), identity.display().to_string()]);
        }
        if let Some(port) = self.destination.port() {
            args.extend(["-p".into(), port.to_string()]);
        }
        let options = self.trust().into_iter().chain(self.way());
        args.extend(options.flat_map(|option| ["-o".into(), option]));
        args
    }

    /// Who is let in, and whom we believe.
    fn trust(&self) -> Vec<String> {
        let mut options = Vec::new();
        if self.identity.is_some() {
            options.push("IdentitiesOnly=yes".into());
        }
        if let Some(known) = &self.known_hosts {
            options.push(format!("UserKnownHostsFile=\"{}\"", known.display()));
            for only in [
                "GlobalKnownHostsFile=/dev/null",
                "KnownHostsCommand=none",
                "VerifyHostKeyDNS=no",
            ] {
                options.push(only.into());
            }
        }
        if let Some(alias) = &self.host_key_alias {
            options.push(format!("HostKeyAlias={alias}"));
        }
        // Whatever the user's configuration says: no key is accepted that nobody has looked at.
        options.push("StrictHostKeyChecking=yes".into());
        options.push("NoHostAuthenticationForLocalhost=no".into());
        options
    }

    /// How it gets there, and how long it stays.
    fn way(&self) -> Vec<String> {
        let mut options = Vec::new();
        if let Some(jump) = &self.jump {
            options.push(format!("ProxyCommand={}", jump.proxy()));
        }
        let connect = whole_seconds(self.connect_timeout);
        options.push(format!("ConnectTimeout={connect}"));
        let keep_alive = whole_seconds(self.keep_alive);
        options.push(format!("ServerAliveInterval={keep_alive}"));
        // Questions would wait for nobody; what the user's configuration adds to a login is not for us.
        for fixed in [
            "ServerAliveCountMax=3",
            "BatchMode=yes",
            "RemoteCommand=none",
            "ClearAllForwardings=yes",
            "ControlMaster=auto",
        ] {
            options.push(fixed.into());
        }
        options.push(format!("ControlPersist={}", self.persist.seconds()));
        options
    }

    /// The command of `ProxyCommand` that reaches another host over the shared connection of this one.
    ///
    /// `ssh` replaces `%h` and `%p` in it; every other `%` is doubled. It never becomes the shared connection itself
    /// (the first value of an option counts), because it ends with the one that it serves.
    fn proxy(&self) -> String {
        let mut words = vec!["ssh".to_owned(), "-o".into(), "ControlMaster=no".into()];
        words.extend(self.options());
        let quoted = |word: &String| escape::quote(word).replace('%', "%%");
        let before: Vec<String> = words.iter().map(quoted).collect();
        let there = self.destination.word();
        format!("{} -W '[%h]:%p' -- {there}", before.join(" "))
    }

    /// Whether the paths of the settings mean to `ssh` what they say: it would expand some characters
    /// (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES).
    pub(super) fn check_paths(&self) -> io::Result<()> {
        let paths = [&self.config, &self.identity, &self.known_hosts];
        for path in paths.into_iter().flatten() {
            let plain = |c: char| !c.is_control() && !"%$\"\\".contains(c);
            if !(path.is_absolute() && path.to_str().is_some_and(|text| text.chars().all(plain))) {
                let text = format!(
                    "{path:?} must be absolute and without any of %, $, \", \\ which ssh would expand"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        Ok(())
    }
}

/// `ssh` counts in seconds, and takes 0 for "never".
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}
