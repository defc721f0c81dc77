//! A network namespace for a test.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};

use crate::program;

/// A network namespace, alive as long as the program that was started in it.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--net", "--", "tee"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        // tee(1) answers once it runs, so the namespace is there when the line comes back.
        let stdin = holder.stdin.as_mut().expect("piped");
        stdin.write_all(b"ready\n").expect("tee reads");
        let mut line = String::new();
        let stdout = holder.stdout.as_mut().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("tee writes");
        assert_eq!(line, "ready\n");
        Self { holder }
    }

    pub(crate) fn run(&self, argv: &[impl AsRef<str>]) -> Output {
        self.run_with(argv, "")
    }

    /// Runs a command that reads this text.
    pub(crate) fn run_with(&self, argv: &[impl AsRef<str>], input: &str) -> Output {
        let mut command = Command::new("nsenter");
        command
            .args(["--user", "--net", "--preserve-credentials", "--target"])
            .arg(self.holder.id().to_string())
            .arg("--")
            .args(argv.iter().map(AsRef::as_ref));
        program::run(&mut command, input)
    }

    /// What a command says that succeeds.
    #[track_caller]
    pub(crate) fn stdout(&self, argv: &[impl AsRef<str>]) -> String {
        let output = self.run(argv);
        let line: Vec<&str> = argv.iter().map(AsRef::as_ref).collect();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {error}", line.join(" "));
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // End of input is the end of tee.
        drop(self.holder.stdin.take());
        self.holder.wait().expect("tee ends");
    }
}
