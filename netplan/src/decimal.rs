//! Numbers as texts, each written in one way only.

use std::str::FromStr;

/// A decimal number without sign and leading zeros; `parse` would take "+24" and "024".
pub(crate) fn decimal<N: FromStr>(text: &str) -> Option<N> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    (is_plain && is_short).then(|| text.parse().ok())?
}
