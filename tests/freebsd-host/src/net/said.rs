//! What a program says before it ends.

use std::process::ExitCode;

/// Standard output, standard error and exit status of a program that is played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: u8,
}

/// An answer, or the complaint that a program ends with.
pub(crate) type Answer<T = Said> = Result<T, Said>;

impl Said {
    /// It ends well, with this text.
    pub(crate) fn out(text: impl Into<String>) -> Self {
        Self {
            out: text.into(),
            ..Self::default()
        }
    }

    /// It fails as err(3) does: status 1, and one line.
    pub(crate) fn refused(line: impl std::fmt::Display) -> Self {
        Self {
            err: format!("{line}\n"),
            status: 1,
            ..Self::default()
        }
    }

    /// Says it, and gives the status.
    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "it plays programs that print"
    )]
    pub(crate) fn conclude(answer: Answer) -> ExitCode {
        let said = answer.unwrap_or_else(|said| said);
        print!("{}", said.out);
        eprint!("{}", said.err);
        ExitCode::from(said.status)
    }
}

/// What the stand-in itself cannot do.
impl From<std::io::Error> for Said {
    fn from(error: std::io::Error) -> Self {
        Self::refused(format!("freebsd-host: {error}"))
    }
}
