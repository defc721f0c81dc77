//! Questions to a host: commands that change nothing.

use crate::ObserveError;
use host_exec::{Command, FileError, Host, HostName, RunError, RunErrorKind};
use std::path::Path;

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{host}: cannot tell {what}")]
#[non_exhaustive]
pub struct AskError {
    /// The host.
    pub host: HostName,
    /// What was asked, as a noun phrase.
    pub what: &'static str,
    /// Why there is no answer.
    #[source]
    pub kind: AskErrorKind,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskErrorKind {
    /// The command failed, or the host is out of reach.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The answer is not as the command prints it.
    #[error(transparent)]
    Read(#[from] ObserveError),
    /// A file of ours holds something else.
    #[error("{path} is not as it was written here: {problem}; move it away, or mend it")]
    Definition {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Asks one host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) host: &'a dyn Host,
}

/// A command in the C locale, whose messages can be compared.
pub(super) fn question(words: &[&str]) -> Command {
    crate::plan::command(words).env("LC_ALL", "C")
}

impl Asker<'_> {
    pub(super) fn error(&self, what: &'static str, kind: impl Into<AskErrorKind>) -> AskError {
        AskError {
            host: self.host.name().clone(),
            what,
            kind: kind.into(),
        }
    }

    /// What a command prints that has to succeed.
    pub(super) async fn text(
        &self,
        what: &'static str,
        words: &[&str],
    ) -> Result<String, AskError> {
        let ran = self.host.run(&question(words)).await;
        let output = ran.map_err(|error| self.error(what, error))?;
        Ok(output.stdout_text().into_owned())
    }

    /// What a command prints; `None` if it fails and says one of `absent`.
    pub(super) async fn text_unless(
        &self,
        what: &'static str,
        words: &[&str],
        absent: &[&str],
    ) -> Result<Option<String>, AskError> {
        match self.host.run(&question(words)).await {
            Ok(output) => Ok(Some(output.stdout_text().into_owned())),
            Err(error) if says(&error, absent) => Ok(None),
            Err(error) => Err(self.error(what, error)),
        }
    }

    /// What a command prints, whether it succeeds or not: for those that fail where something of many is missing.
    pub(super) async fn text_in_part(
        &self,
        what: &'static str,
        words: &[&str],
    ) -> Result<String, AskError> {
        let ran = self.host.output(&question(words)).await;
        let output = ran.map_err(|error| self.error(what, error))?;
        Ok(output.stdout_text().into_owned())
    }

    /// A file as text; `None` if it is not there.
    pub(super) async fn file(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<Option<String>, AskError> {
        let read = self.host.read_file(Path::new(path)).await;
        let bytes = read.map_err(|error| self.error(what, error))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Reads an answer.
    pub(super) fn read<T>(
        &self,
        what: &'static str,
        read: Result<T, ObserveError>,
    ) -> Result<T, AskError> {
        read.map_err(|error| self.error(what, error))
    }
}

/// Whether a command failed and said one of these.
pub(super) fn says(error: &RunError, texts: &[&str]) -> bool {
    let RunErrorKind::Failed { stderr_tail, .. } = &*error.kind else {
        return false;
    };
    texts.iter().any(|text| stderr_tail.contains(text))
}
