//! The address of a file that is downloaded.

use crate::FileName;
use std::{fmt, str::FromStr};

/// An address `https://HOST/.../FILE`, or with `http`; without credentials, which would show up in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUrl {
    text: String,
    file: FileName,
}

/// A text that is no [`ImageUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an address of an image has to be https://HOST/PATH/FILE, or http, without user name, query or blanks, and FILE of \
    letters, digits, `.`, `_` and `-`{shown}"
)]
pub struct InvalidImageUrl {
    /// What was given, unless it may hold a password.
    shown: String,
}

impl ImageUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the file, the last part of it.
    pub fn file(&self) -> &FileName {
        &self.file
    }

    fn new(text: &str) -> Option<Self> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))?;
        let (host, path) = rest.split_once('/')?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"@?#\"<>\\".contains(&byte);
        if host.is_empty() || text.len() > 1000 || !text.bytes().all(plain) {
            return None;
        }
        Some(Self {
            text: text.to_owned(),
            file: path.rsplit('/').next()?.parse().ok()?,
        })
    }
}

impl FromStr for ImageUrl {
    type Err = InvalidImageUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text).ok_or_else(|| InvalidImageUrl {
            shown: match text.contains(['@', '?']) {
                true => String::new(),
                false => format!(", not {:?}", text.chars().take(120).collect::<String>()),
            },
        })
    }
}

impl fmt::Display for ImageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
