//! A text in YAML that never grows past its limit, and so never leaves a copy of a secret behind.

use std::fmt::Write as _;
use zeroize::Zeroizing;

/// A text under construction. Its memory is taken once: a `String` that grows leaves its old bytes where they were.
pub(super) struct Yaml {
    text: Zeroizing<String>,
    limit_bytes: usize,
    full: bool,
}

impl Yaml {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            text: Zeroizing::new(String::with_capacity(limit_bytes)),
            limit_bytes,
            full: false,
        }
    }

    /// Adds a text as it is.
    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        if self.full || self.text.len() + text.len() > self.limit_bytes {
            self.full = true;
        } else {
            self.text.push_str(text);
        }
        self
    }

    /// Adds a scalar in double quotes and ends the line.
    ///
    /// Only printable ASCII stands for itself. YAML 1.1, which cloud-init reads, folds line breaks within quotes,
    /// counts U+0085, U+2028 and U+2029 among them, and refuses control characters.
    pub(super) fn quoted(&mut self, text: &str) -> &mut Self {
        self.raw("\"");
        for c in text.chars() {
            self.quoted_char(c);
        }
        self.raw("\"\n")
    }

    fn quoted_char(&mut self, c: char) {
        if matches!(c, ' '..='~') && c != '"' && c != '\\' {
            self.raw(c.encode_utf8(&mut [0; 4]));
            return;
        }
        // Room for the longest escape, `\U0010ffff`; cleared, since the character may be one of a key.
        let mut escape = Zeroizing::new(String::with_capacity(10));
        let code = u32::from(c);
        let written = match c {
            '"' | '\\' => write!(escape, "\\{c}"),
            '\n' => write!(escape, "\\n"),
            _ if code <= 0xff => write!(escape, "\\x{code:02x}"),
            _ if code <= 0xffff => write!(escape, "\\u{code:04x}"),
            _ => write!(escape, "\\U{code:08x}"),
        };
        written.expect("a String takes any text");
        self.raw(&escape);
    }

    /// The text, or nothing if it did not fit.
    pub(super) fn finish(self) -> Option<Zeroizing<String>> {
        (!self.full).then_some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Yaml;

    fn quoted(text: &str) -> String {
        let mut yaml = Yaml::new(1000);
        yaml.quoted(text);
        yaml.finish().unwrap().to_string()
    }

    #[test]
    fn what_yaml_would_take_for_something_else_is_escaped() {
        for (text, yaml) in [
            ("", r#""""#),
            ("no", r#""no""#),
            ("12:34:56", r#""12:34:56""#),
            ("a \"b\" \\c", r#""a \"b\" \\c""#),
            ("a\nb\tc\r", r#""a\nb\x09c\x0d""#),
            ("\0\u{7f}\u{85}é", r#""\x00\x7f\x85\xe9""#),
            ("\u{2028}\u{feff}𝄞", r#""\u2028\ufeff\U0001d11e""#),
        ] {
            assert_eq!(quoted(text), format!("{yaml}\n"));
            assert_eq!(
                serde_norway::from_str::<String>(&quoted(text)).unwrap(),
                text
            );
        }
    }

    #[test]
    fn a_full_text_is_none() {
        let mut yaml = Yaml::new(4);
        assert_eq!(yaml.raw("abcd").text.capacity(), 4);
        yaml.raw("e").raw("");
        assert!(yaml.finish().is_none());
    }
}
