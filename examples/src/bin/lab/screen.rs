//! Writing to the terminal, or to whatever stands in its place.

use crate::settings;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Writes `text` to standard output.
///
/// # Errors
///
/// The system refuses; a reader that has gone (`lab plan | head`) is among these.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes `value` to standard output as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&format!("{}\n", serde_json::to_string(value)?))?)
}

/// Whether a person can type to us and see what comes of it.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Writes `text` to standard error. Nobody can be told that this failed.
pub(crate) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Colours, where they are wanted: on a terminal, unless `NO_COLOR` is set (no-color.org).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn stdout() -> Self {
        Self(io::stdout().is_terminal() && settings::colours_are_welcome())
    }

    pub(crate) fn stderr() -> Self {
        Self(io::stderr().is_terminal() && settings::colours_are_welcome())
    }

    /// No colours, wherever it goes.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(false)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.in_colour("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.in_colour("31", text)
    }

    pub(crate) fn head(self, text: &str) -> String {
        self.in_colour("1", text)
    }

    /// The numbers are those of "Select Graphic Rendition", ECMA-48, 8.3.117.
    fn in_colour(self, number: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{number}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}
