//! /etc/pf.conf: the lines that call anchors, `set skip on`, and rules that netplan's reader knows.

use netplan::pf::{Ruleset, Statement};

/// The main rule set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MainConf {
    /// Interfaces whose packets nobody looks at.
    pub(crate) skipped: Vec<String>,
    /// Its rules and calls, in their order.
    pub(crate) items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Call(Call),
    Rule(Box<Statement>),
}

/// `anchor "labcluster/*"`: rules of anchors, asked from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    /// A name, or one with `/*` behind it for all anchors below.
    pub(crate) anchor: String,
}

/// What kind of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nat,
    Rdr,
    Binat,
    Filter,
}

/// Why a text is no main rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfError {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) cause: String,
}

impl Kind {
    /// The word that calls anchors for them.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nat => "nat-anchor",
            Self::Rdr => "rdr-anchor",
            Self::Binat => "binat-anchor",
            Self::Filter => "anchor",
        }
    }

    /// The kind of a rule; none for a table.
    pub(crate) fn of(statement: &Statement) -> Option<Self> {
        match statement {
            Statement::Nat(_) => Some(Self::Nat),
            Statement::Rdr(_) => Some(Self::Rdr),
            Statement::Binat(_) => Some(Self::Binat),
            Statement::Filter(_) => Some(Self::Filter),
            _ => None,
        }
    }
}

impl Call {
    /// Whether it asks the rules of this anchor.
    pub(crate) fn asks(&self, anchor: &str) -> bool {
        match self.anchor.strip_suffix("/*") {
            None => self.anchor == anchor,
            Some(parent) => anchor
                .strip_prefix(parent)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|child| !child.contains('/')),
        }
    }
}

impl MainConf {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// A line that is neither one of its own nor one of an anchor, or in the wrong order.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfError> {
        let mut conf = Self::default();
        let mut calls: Vec<(usize, Call)> = Vec::new();
        // What is not of the main rule set only is read as an anchor is, on its own lines.
        let mut rest = String::new();
        for (line, number) in text.lines().zip(1..) {
            let error = |cause: &str| ConfError {
                line: number,
                cause: cause.to_owned(),
            };
            match words(line)[..] {
                ["set", "skip", "on", ref names @ ..] if !names.is_empty() => {
                    if !calls.is_empty() || !rest.trim().is_empty() {
                        return Err(error("options must precede translation and filtering"));
                    }
                    let names = names.iter().filter(|name| !["{", "}"].contains(name));
                    conf.skipped.extend(names.map(|name| (*name).to_owned()));
                }
                [
                    word @ ("anchor" | "nat-anchor" | "rdr-anchor" | "binat-anchor"),
                    anchor,
                ] => {
                    let call =
                        call(word, anchor).ok_or_else(|| error("not the name of an anchor"))?;
                    calls.push((number, call));
                }
                _ => rest += line,
            }
            rest.push('\n');
        }
        let rules = Ruleset::parse(&rest).map_err(|error| ConfError {
            line: usize::try_from(error.line).unwrap_or(usize::MAX),
            cause: error.problem.to_string(),
        })?;
        conf.items = merged(&rules, calls)?;
        Ok(conf)
    }
}

/// The words of a line, without its comment.
fn words(line: &str) -> Vec<&str> {
    let line = line.split_once('#').map_or(line, |(line, _)| line);
    line.split_whitespace().collect()
}

fn call(word: &str, anchor: &str) -> Option<Call> {
    let kinds = [Kind::Nat, Kind::Rdr, Kind::Binat, Kind::Filter];
    let kind = kinds.into_iter().find(|kind| kind.word() == word)?;
    let anchor = anchor.strip_prefix('"')?.strip_suffix('"')?;
    let parts = anchor.strip_suffix("/*").unwrap_or(anchor);
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    let legal = !parts.is_empty() && parts.chars().all(is_legal);
    legal.then(|| Call {
        kind,
        anchor: anchor.to_owned(),
    })
}

/// By lines; translation before filtering.
fn merged(rules: &Ruleset, calls: Vec<(usize, Call)>) -> Result<Vec<Item>, ConfError> {
    let rules = rules.statements().map(|(line, statement)| {
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        (line, Item::Rule(Box::new(statement.clone())))
    });
    let calls = calls
        .into_iter()
        .map(|(line, call)| (line, Item::Call(call)));
    let mut items: Vec<(usize, Item)> = rules.chain(calls).collect();
    items.sort_by_key(|(line, _)| *line);
    let mut filtering = false;
    for (line, item) in &items {
        let kind = match item {
            Item::Call(call) => Some(call.kind),
            Item::Rule(statement) => Kind::of(statement),
        };
        match kind {
            Some(Kind::Filter) => filtering = true,
            Some(_) if filtering => {
                return Err(ConfError {
                    line: *line,
                    cause: "Rules must be in order: options, ethernet, normalization, queueing, \
                            translation, filtering"
                        .to_owned(),
                });
            }
            _ => {}
        }
    }
    Ok(items.into_iter().map(|(_, item)| item).collect())
}
