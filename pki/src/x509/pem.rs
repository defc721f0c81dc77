//! PEM (RFC 7468): the first block of a text whose label is asked for, and texts from bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Characters of a line, RFC 7468 section 2.
const LINE: usize = 64;

/// One block of a text.
pub(super) struct Block<'a> {
    /// What is between `BEGIN` and the dashes.
    pub(super) label: &'a str,
    /// The text between the two lines, not decoded.
    body: &'a str,
}

impl Block<'_> {
    /// The bytes, or `None` when the body is not base64. They may be a key, so they are wiped when dropped.
    pub(super) fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(String::with_capacity(self.body.len()));
        text.extend(self.body.split_ascii_whitespace());
        STANDARD.decode(text.as_bytes()).ok().map(Zeroizing::new)
    }

    /// Whether the body has the headers of RFC 1421, as keys encrypted in OpenSSL's old way have.
    pub(super) fn has_headers(&self) -> bool {
        self.body.contains(':')
    }
}

/// The whole blocks of a text in their order. What is outside of them is skipped, as every reader does.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, begin) = rest.split_once("-----BEGIN ")?;
        let (label, body) = begin.split_once("-----")?;
        let end = format!("-----END {label}-----");
        let (body, tail) = body.split_once(end.as_str())?;
        rest = tail;
        Some(Block { label, body })
    })
}

/// A text of one block with lines of 64 characters.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let room = body.len() + body.len() / LINE + 2 * label.len() + 64;
    let mut pem = Zeroizing::new(String::with_capacity(room));
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(LINE));
        pem.extend([line, "\n"]);
        rest = tail;
    }
    pem.extend(["-----END ", label, "-----\n"]);
    pem
}
