//! The difference of two trees, for people: unified, section by section.

use crate::tree::Tree;
use std::{collections::BTreeSet, fmt::Write as _};

/// Lines around a change.
const CONTEXT: usize = 2;

/// The titles of sections that are not the same in both.
pub(crate) fn changed<'a>(before: &'a Tree, after: &'a Tree) -> BTreeSet<&'a str> {
    let titles = before.keys().chain(after.keys());
    titles
        .filter(|title| before.get(*title) != after.get(*title))
        .map(String::as_str)
        .collect()
}

/// The difference as a text.
pub(crate) fn unified(before: &Tree, after: &Tree) -> String {
    let mut text = String::new();
    for title in changed(before, after) {
        match (before.get(title), after.get(title)) {
            (Some(_), None) => write!(text, "===== gone: {title}\n\n"),
            (None, Some(new)) => write!(text, "===== new: {title}\n{new}\n"),
            (old, new) => {
                let lines = |text: Option<&'_ String>| -> Vec<String> {
                    text.into_iter()
                        .flat_map(|t| t.lines().map(str::to_owned))
                        .collect()
                };
                let lines = of_lines(&lines(old), &lines(new));
                write!(text, "===== changed: {title}\n{}\n", hunks(&lines))
            }
        }
        .unwrap();
    }
    text
}

/// Every line of both with ` `, `-` or `+` in front, by the longest common subsequence.
fn of_lines(old: &[String], new: &[String]) -> Vec<String> {
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(format!(" {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines
}

/// The changed lines with their surroundings; `@@` where some are left out.
fn hunks(lines: &[String]) -> String {
    let near = |index: usize| {
        let from = index.saturating_sub(CONTEXT);
        let around = &lines[from..lines.len().min(index + CONTEXT + 1)];
        around.iter().any(|line| !line.starts_with(' '))
    };
    let mut text = String::new();
    let mut shown = false;
    for (index, line) in lines.iter().enumerate() {
        if near(index) {
            writeln!(text, "{line}").unwrap();
            shown = true;
        } else if shown || index == 0 {
            text += "@@\n";
            shown = false;
        }
    }
    text
}

#[test]
fn a_difference_is_read_at_a_glance() {
    let tree = |sections: &[(&str, &str)]| -> Tree {
        let sections = sections.iter();
        sections
            .map(|(title, text)| ((*title).to_owned(), (*text).to_owned()))
            .collect()
    };
    let before = tree(&[
        ("a", "1\n2\n3\n4\n5\n6\n7\n"),
        ("b", "x\n"),
        ("c", "same\n"),
    ]);
    let after = tree(&[
        ("a", "1\n2\n3\n4\nfive\n6\n7\n"),
        ("c", "same\n"),
        ("d", "y\n"),
    ]);
    assert_eq!(
        unified(&before, &after),
        "===== changed: a\n@@\n 3\n 4\n-5\n+five\n 6\n 7\n\n\
         ===== gone: b\n\n\
         ===== new: d\ny\n\n"
    );
    assert_eq!(unified(&before, &before), "");
}
