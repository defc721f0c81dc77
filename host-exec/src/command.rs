//! A command as a value.

use std::{fmt, path::PathBuf, time::Duration};
use zeroize::Zeroizing;

/// What a command reads on its standard input.
#[derive(Clone, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    Null,
    /// These bytes, which may be shown.
    Bytes(Vec<u8>),
    /// These bytes, which are never shown and are cleared when dropped.
    Secret(Zeroizing<Vec<u8>>),
    /// The contents of a file of *this* machine, which are not read into memory.
    File(PathBuf),
    /// The same from this byte on.
    FileFrom(PathBuf, u64),
    /// The caller's own standard input, and its outputs too: for interactive programs (see [`Command::interactive`]).
    Inherit,
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Secret(_) => f.write_str("Secret(..)"),
            Self::File(path) => write!(f, "File({path:?})"),
            Self::FileFrom(path, offset) => write!(f, "FileFrom({path:?}, {offset})"),
            Self::Inherit => f.write_str("Inherit"),
        }
    }
}

/// A program with its arguments, to be run by a [`Host`](crate::Host).
///
/// There is no way to hand over a command line as one text. `Display` quotes it as a POSIX shell would
/// need it, for people to read and paste; environment values are shown, standard input is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Option<PathBuf>,
    pub(crate) timeout: Option<Duration>,
}

impl Command {
    /// The time a command may take unless [`Command::timeout`] says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// A command with no arguments, nothing on its standard input, and the default time-out.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Stdin::Null,
            stdout: None,
            timeout: Some(Self::DEFAULT_TIMEOUT),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable in the environment of the program. Not for secrets: others can read it.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// What the program reads on its standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Has what the program writes to its standard output go into a file of *this* machine and not into memory:
    /// [`Output::stdout`](crate::Output::stdout) is empty then. The file is made anew with mode 0600; one that was there
    /// is removed first.
    #[must_use]
    pub fn stdout_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.stdout = Some(path.into());
        self
    }

    /// How long the program may run before it is killed and the call fails.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Connects the program with the caller's own terminal and lets it run without a time limit.
    #[must_use]
    pub fn interactive(mut self) -> Self {
        self.stdin = Stdin::Inherit;
        self.timeout = None;
        self
    }

    /// The program's name or path.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The arguments, without the program.
    pub fn arguments(&self) -> &[String] {
        &self.args
    }

    /// How long it may run; none for interactive programs.
    pub fn time_limit(&self) -> Option<Duration> {
        self.timeout
    }

    /// What it reads on its standard input.
    pub fn input(&self) -> &Stdin {
        &self.stdin
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", crate::escape::quote(value))?;
        }
        f.write_str(&crate::escape::quote(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", crate::escape::quote(arg))?;
        }
        Ok(())
    }
}
