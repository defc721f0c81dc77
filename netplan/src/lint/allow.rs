//! Findings that are meant so.

use crate::lint::table::{ALLOW_NO_REASON, ALLOW_UNKNOWN, ALLOW_UNUSED};
use crate::lint::{Findings, LINTS};
use crate::requirement::Allow;

/// Puts the reasons beside the findings, and reports the entries that do nothing. Those reports
/// themselves cannot be allowed: whoever wrote the entry can remove it.
pub(super) fn apply(allow: &[Allow], findings: &mut Findings) {
    let found = findings.all.len();
    for (at, entry) in allow.iter().enumerate() {
        let Allow { lint, reason } = entry;
        let subject = format!("allow.{at}");
        if !LINTS.iter().any(|known| known.name == lint) {
            let message = format!("{subject} = {lint:?} is not the name of a lint");
            let remedy = nearest(lint).map_or_else(
                || ALLOW_UNKNOWN.remedy.to_owned(),
                |name| format!("write {name}, or remove the entry"),
            );
            findings.report_with(&ALLOW_UNKNOWN, &subject, message, remedy);
            continue;
        }
        if reason.trim().is_empty() {
            let message = format!("{subject} = {lint:?} gives no reason");
            findings.report(&ALLOW_NO_REASON, &subject, message);
            continue;
        }
        let mut is_used = false;
        let open = findings.all[..found].iter_mut();
        for finding in open.filter(|finding| finding.lint.name == lint) {
            is_used |= finding.allowed.is_none();
            finding.allowed.get_or_insert_with(|| reason.clone());
        }
        if !is_used {
            let message = format!("{subject} = {lint:?} allows nothing");
            findings.report(&ALLOW_UNUSED, &subject, message);
        }
    }
}

/// The lint that a misspelled name most likely means: one that shares most letters in order, and
/// at least two of three.
fn nearest(name: &str) -> Option<&'static str> {
    let names = LINTS.iter().map(|lint| lint.name);
    let (shared, nearest) = names
        .map(|known| (longest_common(known, name), known))
        .max_by_key(|(shared, known)| (*shared, usize::MAX - known.len()))?;
    (shared * 3 >= nearest.len().max(name.len()) * 2).then_some(nearest)
}

/// The length of the longest common subsequence of two texts, in bytes.
fn longest_common(one: &str, other: &str) -> usize {
    let mut row = vec![0; other.len() + 1];
    for a in one.bytes() {
        let mut diagonal = 0;
        for (at, b) in other.bytes().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if a == b {
                diagonal + 1
            } else {
                above.max(row[at])
            };
            diagonal = above;
        }
    }
    row[other.len()]
}
