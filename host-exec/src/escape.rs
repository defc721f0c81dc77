//! Quoting for a POSIX shell: for people to read, and for SSH, which hands its words to a remote shell.

use std::borrow::Cow;

/// One word that a POSIX shell reads back as exactly `text` (POSIX.1-2017, Shell Command Language 2.2.2).
///
/// Words of harmless characters stay as they are; all others stand in single quotes.
///
/// ```
/// assert_eq!(host_exec::escape::quote("--name=etcd-0"), "--name=etcd-0");
/// assert_eq!(host_exec::escape::quote("it's"), r"'it'\''s'");
/// ```
pub fn quote(text: &str) -> Cow<'_, str> {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-_=./:,@%+".contains(&b);
    if !text.is_empty() && text.bytes().all(harmless) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}
