//! The rules that are asked, in the order in which pf(4) asks them.

use super::conf::{Item, Kind, MainConf};
use netplan::{
    Net,
    pf::{Binat, Filter, Nat, Rdr, Ruleset, Statement, TableName},
};
use std::collections::BTreeMap;

/// Rules, each with the rule set that it is of: tables are known in their own only.
///
/// Anchors are flattened: a `quick` rule in one ends all, and of the others the last one counts, wherever it is.
#[derive(Debug, Default)]
pub(crate) struct Flat<'a> {
    /// Interfaces whose packets nobody looks at.
    pub(crate) skipped: Vec<&'a str>,
    pub(crate) scopes: Vec<Scope<'a>>,
    pub(crate) rdr: Vec<Of<'a, Rdr>>,
    pub(crate) binat: Vec<Of<'a, Binat>>,
    pub(crate) nat: Vec<Of<'a, Nat>>,
    pub(crate) filter: Vec<Of<'a, Filter>>,
}

/// A rule, and the number of its rule set.
#[derive(Debug)]
pub(crate) struct Of<'a, T> {
    pub(crate) scope: usize,
    pub(crate) rule: &'a T,
}

/// The tables of a rule set.
#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    tables: BTreeMap<&'a str, &'a [Net]>,
}

impl Scope<'_> {
    /// The members of a table; of one that nobody defines none.
    pub(crate) fn members(&self, name: &TableName) -> &[Net] {
        self.tables.get(name.as_str()).copied().unwrap_or_default()
    }
}

impl<'a> Flat<'a> {
    /// What the main rule set asks, of itself and of anchors by their names.
    pub(crate) fn new(main: &'a MainConf, anchors: &'a BTreeMap<String, Ruleset>) -> Self {
        let mut flat = Self {
            skipped: main.skipped.iter().map(String::as_str).collect(),
            ..Self::default()
        };
        let own = main.items.iter().filter_map(|item| match item {
            Item::Rule(statement) => Some(&**statement),
            Item::Call(_) => None,
        });
        flat.scope(own);
        let numbers: Vec<usize> = anchors
            .values()
            .map(|rules| flat.scope(rules.statements().map(|(_, statement)| statement)))
            .collect();
        for item in &main.items {
            match item {
                Item::Rule(statement) => flat.push(0, statement),
                Item::Call(call) => {
                    for ((name, rules), scope) in anchors.iter().zip(&numbers) {
                        if call.asks(name) {
                            flat.push_all(*scope, rules, Some(call.kind));
                        }
                    }
                }
            }
        }
        flat
    }

    /// One rule set as if everything in it were asked.
    pub(crate) fn alone(rules: &'a Ruleset) -> Self {
        let mut flat = Self::default();
        let scope = flat.scope(rules.statements().map(|(_, statement)| statement));
        flat.push_all(scope, rules, None);
        flat
    }

    fn scope(&mut self, statements: impl Iterator<Item = &'a Statement>) -> usize {
        let tables = statements.filter_map(|statement| match statement {
            Statement::Table(table) => Some((table.name.as_str(), table.members.as_slice())),
            _ => None,
        });
        self.scopes.push(Scope {
            tables: tables.collect(),
        });
        self.scopes.len() - 1
    }

    fn push_all(&mut self, scope: usize, rules: &'a Ruleset, kind: Option<Kind>) {
        for (_, statement) in rules.statements() {
            if kind.is_none() || Kind::of(statement) == kind {
                self.push(scope, statement);
            }
        }
    }

    fn push(&mut self, scope: usize, statement: &'a Statement) {
        match statement {
            Statement::Rdr(rule) => self.rdr.push(Of { scope, rule }),
            Statement::Binat(rule) => self.binat.push(Of { scope, rule }),
            Statement::Nat(rule) => self.nat.push(Of { scope, rule }),
            Statement::Filter(rule) => self.filter.push(Of { scope, rule }),
            // Tables are known by their scope.
            _ => {}
        }
    }
}
