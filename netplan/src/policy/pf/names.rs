//! Names inside a rule set, each within pf's limit.

use std::fmt;

use crate::hash::stable_hash;
use crate::names::NameError;

/// The words that pfctl's lexer takes for itself (the table in its parse.y): those of FreeBSD 12
/// to 14, and the rule options that 15 took over from OpenBSD. In quotes they are plain strings.
const KEYWORDS: &str = "\
    af-to all allow-opts altq anchor antispoof any bandwidth binat binat-anchor binat-to bitmask \
    block block-policy bridge-to buckets cbq code codelq debug divert-reply divert-to dnpipe \
    dnqueue drop dup-to ether fail-policy fairq fastroute file fingerprints flags floating flush \
    for fragment from global group hfsc hogs hostid icmp-type icmp6-type if-bound in include inet \
    inet6 interval keep keepcounters l3 label limit linkshare load log loginterface map-e-portset \
    match matches max max-mss max-src-conn max-src-conn-rate max-src-nodes max-src-states min-ttl \
    modulate nat nat-anchor nat-to no no-df no-route no-sync on once optimization os out overload \
    pass port prio priority priq probability proto qlimit queue quick random random-id rdr \
    rdr-anchor rdr-to realtime reassemble received-on reply-to require-order return return-icmp \
    return-icmp6 return-rst ridentifier round-robin route route-to rtable rule \
    ruleset-optimization scrub set set-tos skip sloppy source-hash source-track state \
    state-defaults state-policy static-port sticky-address syncookies synproxy table tag tagged \
    target tbrsize timeout to tos ttl upperlimit urpf-failed user";

/// Whether pfctl takes this word for itself unless it is in quotes.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .split_ascii_whitespace()
        .any(|keyword| keyword == word)
}

/// Letters, digits, `_` and `-`, a letter first: one string for pfctl's lexer.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

macro_rules! pf_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The longest, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Checks a text.
            ///
            /// # Errors
            /// When the text breaks the rule of this kind of name; the error says the rule.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if text.len() <= Self::MAX_LEN && check(&text) {
                    Ok(Self(text))
                } else {
                    Err(NameError { text, kind: $kind, rule: $rule })
                }
            }

            /// The text, or where that is too long its start and the hash of all of it.
            ///
            /// # Errors
            /// When the text breaks the rule in another way than by its length.
            pub fn fitted(text: &str) -> Result<Self, NameError> {
                if text.len() <= Self::MAX_LEN {
                    return Self::new(text);
                }
                let start: String = text.chars().take(Self::MAX_LEN - 17).collect();
                let hash = stable_hash(&[$kind.as_bytes(), text.as_bytes()]);
                Self::new(format!("{start}-{hash:016x}"))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

pf_name!(
    /// The name of a table: at most 31 bytes (`PF_TABLE_NAME_SIZE` is 32 with the final zero), no
    /// keyword.
    TableName,
    "table name",
    31,
    "write 1 to 31 of a-z, A-Z, 0-9, '_' and '-', a letter first, and no keyword of pf.conf",
    |text| is_word(text) && !is_keyword(text)
);

pf_name!(
    /// A label of a filter rule: at most 63 bytes (`PF_RULE_LABEL_SIZE` is 64 with the final
    /// zero). No `$`: pfctl would put interface, addresses or rule number in its place.
    Label,
    "label",
    63,
    "write 1 to 63 of a-z, A-Z, 0-9, '_', '-', '.' and ':'",
    |text| !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
);

pf_name!(
    /// A mark on a packet, the same in all anchors of a host: at most 63 bytes
    /// (`PF_TAG_NAME_SIZE` is 64 with the final zero), no keyword.
    Tag,
    "tag",
    63,
    "write 1 to 63 of a-z, A-Z, 0-9, '_' and '-', a letter first, and no keyword of pf.conf",
    |text| is_word(text) && !is_keyword(text)
);
