//! How the program ends: status and message.

use crate::{args::Format, screen};
use anyhow::Error;
use cluster_lab::{DraftError, HostError, LabPlanError, PreflightError, SpecError, UpError};
use host_exec::Status;
use serde_json::json;
use std::{fmt, io, process::ExitCode};

/// The exit status; `--help` says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    pub(crate) const DONE: Self = Self(0);
    pub(crate) const FAILED: Self = Self(1);
    pub(crate) const BAD_INPUT: Self = Self(2);
    pub(crate) const NOT_SO: Self = Self(3);
    pub(crate) const NO_SUCH_LAB: Self = Self(4);
    pub(crate) const INTERRUPTED: Self = Self(130);

    /// The status of a program that was run in our place, as a shell gives it.
    pub(crate) fn of(status: Status) -> Self {
        let number = match status {
            Status::Exited(number) => number,
            Status::Signalled(signal) => 128 + signal,
        };
        Self(u8::try_from(number).unwrap_or(1))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.0.into()
    }
}

/// A message that ends the program with a status of its own.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Ended {
    pub(crate) fn bad_input(message: impl Into<String>) -> Error {
        let (exit, message) = (Exit::BAD_INPUT, message.into());
        Error::new(Self { exit, message })
    }

    pub(crate) fn no_such_lab(message: impl Into<String>) -> Error {
        let (exit, message) = (Exit::NO_SUCH_LAB, message.into());
        Error::new(Self { exit, message })
    }

    pub(crate) fn interrupted(message: impl Into<String>) -> Error {
        let (exit, message) = (Exit::INTERRUPTED, message.into());
        Error::new(Self { exit, message })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Ended {}

/// Prints the error on standard error, and says with which status to end.
pub(crate) fn report(error: &Error, output: Format) -> Exit {
    let broken_pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(broken_pipe) {
        // Whoever read our output, such as `head`, has had enough.
        return Exit::DONE;
    }
    let (message, causes) = (error.to_string().trim_end().to_owned(), causes(error));
    let text = match output {
        Format::Text => {
            let mark = screen::Paint::stderr().bad("error:");
            let indented = |cause: &String| cause.replace('\n', "\n    ");
            let causes = causes
                .iter()
                .map(|cause| format!("\n  because: {}", indented(cause)));
            let remedy = remedy(error).map(|remedy| format!("\n  {remedy}"));
            let more: String = causes.chain(remedy).collect();
            format!("{mark} {message}{more}\n")
        }
        Format::Json => {
            let object = json!({ "error": message, "causes": causes, "remedy": remedy(error) });
            format!("{object}\n")
        }
    };
    screen::tell(&text);
    status(error)
}

/// The causes, outermost first, without those whose text the message before has already.
fn causes(error: &Error) -> Vec<String> {
    let mut told = error.to_string();
    let mut causes = Vec::new();
    for cause in error.chain().skip(1) {
        let text = cause.to_string().trim().to_owned();
        if !told.contains(&text) {
            causes.push(text.clone());
            told = text;
        }
    }
    causes
}

fn status(error: &Error) -> Exit {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return ended.exit;
    }
    let bad_lab = |draft: &DraftError| {
        matches!(
            draft,
            DraftError::Spec(_) | DraftError::Change { .. } | DraftError::Blueprint(_)
        )
    };
    let no_host = matches!(
        error.downcast_ref(),
        Some(UpError::Preflight(PreflightError::Host(HostError::None)))
    );
    if draft(error).is_some_and(bad_lab) || error.is::<SpecError>() || no_host {
        return Exit::BAD_INPUT;
    }
    Exit::FAILED
}

/// What to do about an error of a command that only looks, and that cannot know it.
fn remedy(error: &Error) -> Option<&'static str> {
    matches!(draft(error)?, DraftError::Facts(_))
        .then_some("`lab doctor` says what this machine lacks, and what mends it")
}

/// Why the lab could not be worked out, whatever it was worked out for.
fn draft(error: &Error) -> Option<&DraftError> {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(UpError::Draft(draft)), _) | (_, Some(LabPlanError::Draft(draft))) => Some(draft),
        _ => error.downcast_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_its_error_has_told_is_not_told_again() {
        let bad = cluster_lab::LabSpec::from_toml("workers = 1").unwrap_err();
        assert_eq!(causes(&Error::new(bad)), Vec::<String>::new());
        let nested = Error::msg("inner").context("middle").context("outer");
        assert_eq!(causes(&nested), ["middle", "inner"]);
    }

    #[test]
    fn bad_input_is_told_from_failure() {
        let spec = || SpecError::Range {
            field: "machines.control_planes",
            value: "8".to_owned(),
            remedy: "must be 1 to 7",
        };
        let draft = || DraftError::from(spec());
        for error in [
            Error::new(spec()),
            Error::new(draft()),
            Error::new(UpError::from(draft())),
            Error::new(LabPlanError::from(draft())),
        ] {
            assert_eq!(status(&error), Exit::BAD_INPUT, "{error:?}");
        }
        assert_eq!(status(&Error::msg("else")), Exit::FAILED);
        assert_eq!(status(&Ended::no_such_lab("none")), Exit::NO_SUCH_LAB);
    }
}
