//! pf(4): its state, and what of it real packets meet.

mod conf;
mod flat;
mod nft;
mod print;

pub(crate) use conf::ConfError;

use crate::{
    net::{
        interfaces::Interfaces,
        kernel,
        said::{Answer, Said},
    },
    store::Stored,
    world::World,
};
use conf::MainConf;
use flat::Flat;
use netplan::pf::{Ruleset, Statement};
use nft::Facts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The filter, locked against other programs until dropped.
pub(crate) struct Pf {
    kept: Stored<Kept>,
    facts: Facts,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    enabled: bool,
    /// The text of the main rule set.
    main: String,
    /// The texts of anchors.
    anchors: BTreeMap<String, String>,
    /// Numbers of tags, which states know.
    tags: nft::Tags,
    /// Of states: those of an earlier one are flushed.
    generation: u8,
}

/// What one anchor, or the main rule set without a name, has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Rules,
    Nat,
    Tables,
}

impl Pf {
    /// Opens the device.
    pub(crate) fn open(world: &World) -> Answer<Self> {
        if !crate::net::modules::is_loaded(world, "pf")? {
            return Err(Said::refused("pfctl: /dev/pf: No such file or directory"));
        }
        let interfaces = Interfaces::lock(world)?;
        let mut facts = Facts::default();
        for own in interfaces.iter() {
            facts.groups.extend(own.groups.iter().cloned());
            let link = interfaces.link(&own.name).into_iter();
            let addresses = link
                .flat_map(|link| link.addresses())
                .map(|(address, _)| address);
            facts
                .addresses
                .insert(own.name.clone(), addresses.collect());
        }
        drop(interfaces);
        Ok(Self {
            kept: Stored::open(world, "pf")?,
            facts,
        })
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.kept.value.enabled
    }

    /// Switches it on or off; states stay.
    pub(crate) fn enable(&mut self, enabled: bool) -> Answer<()> {
        let mut next = self.kept.value.clone();
        next.enabled = enabled;
        self.put(next)
    }

    /// Puts a text in the place of the main rule set, or of an anchor's.
    pub(crate) fn load(&mut self, anchor: Option<&str>, text: &str) -> Answer<()> {
        let mut next = self.kept.value.clone();
        match anchor {
            None => text.clone_into(&mut next.main),
            Some(name) => {
                next.anchors.insert(name.to_owned(), text.to_owned());
            }
        }
        self.put(next)
    }

    /// Whether a text can be loaded, without doing it.
    pub(crate) fn check(&self, anchor: Option<&str>, text: &str) -> Answer<()> {
        let tags = &mut self.kept.value.tags.clone();
        match anchor {
            // Whether it is asked or not: what has no words here must not be loaded in silence.
            Some(_) => {
                let rules = Ruleset::parse(text).map_err(|error| internal(&error))?;
                told(nft::table(&Flat::alone(&rules), &self.facts, tags, 0))?;
            }
            None => {
                let main = MainConf::parse(text).map_err(|error| internal(&error.cause))?;
                told(nft::table(
                    &Flat::new(&main, &BTreeMap::new()),
                    &self.facts,
                    tags,
                    0,
                ))?;
            }
        }
        Ok(())
    }

    /// Takes these parts away.
    pub(crate) fn flush(&mut self, anchor: Option<&str>, parts: &[Part]) -> Answer<()> {
        let mut next = self.kept.value.clone();
        let text = match anchor {
            None => &mut next.main,
            Some(name) => next.anchors.entry(name.to_owned()).or_default(),
        };
        *text = print::without(text, anchor.is_none(), parts)?;
        next.anchors.retain(|_, text| !text.trim().is_empty());
        self.put(next)
    }

    /// Forgets all states.
    pub(crate) fn flush_states(&mut self) -> Answer<()> {
        let mut next = self.kept.value.clone();
        next.generation = next.generation.wrapping_add(1);
        self.put(next)
    }

    /// The lines that `pfctl -s` shows of a part; none of an anchor that is not there.
    pub(crate) fn show(&self, anchor: Option<&str>, part: Part) -> Answer<Option<Vec<String>>> {
        match anchor {
            None => Ok(Some(print::main(&self.main()?, part))),
            Some(name) => {
                let rules = self.anchors()?;
                Ok(rules.get(name).map(|rules| print::anchor(rules, part)))
            }
        }
    }

    /// The anchors directly below.
    pub(crate) fn children(&self, anchor: Option<&str>) -> Answer<Vec<String>> {
        let main = self.main()?;
        let called = main.items.iter().filter_map(|item| match item {
            conf::Item::Call(call) => Some(call.anchor.trim_end_matches("/*")),
            conf::Item::Rule(_) => None,
        });
        let loaded = self.kept.value.anchors.keys().map(String::as_str);
        let below = |name: &str| -> Option<String> {
            let (before, rest) = match anchor {
                None => (String::new(), name),
                Some(parent) => (
                    format!("{parent}/"),
                    name.strip_prefix(parent)?.strip_prefix('/')?,
                ),
            };
            let child = rest.split('/').next()?;
            Some(format!("{before}{child}"))
        };
        let mut names: Vec<String> = called.chain(loaded).filter_map(below).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The members of a table.
    pub(crate) fn table(&self, anchor: Option<&str>, name: &str) -> Answer<Option<Vec<String>>> {
        let (main, mut anchors) = (self.main()?, self.anchors()?);
        let statements: Vec<Statement> = match anchor {
            None => {
                let items = main.items.into_iter().filter_map(|item| match item {
                    conf::Item::Rule(statement) => Some(*statement),
                    conf::Item::Call(_) => None,
                });
                items.collect()
            }
            Some(anchor) => {
                let rules = anchors.remove(anchor);
                let all = rules.iter().flat_map(Ruleset::statements);
                all.map(|(_, own)| own.clone()).collect()
            }
        };
        Ok(statements
            .into_iter()
            .find_map(|statement| match statement {
                Statement::Table(table) if table.name.as_str() == name => {
                    Some(table.members.iter().map(print::net).collect())
                }
                _ => None,
            }))
    }

    fn main(&self) -> Answer<MainConf> {
        MainConf::parse(&self.kept.value.main).map_err(|error| internal(&error.cause))
    }

    fn anchors(&self) -> Answer<BTreeMap<String, Ruleset>> {
        parsed(&self.kept.value.anchors)
    }

    /// Real packets meet it first; it is kept only if they do.
    fn put(&mut self, mut next: Kept) -> Answer<()> {
        let text = if next.enabled {
            let main = MainConf::parse(&next.main).map_err(|error| internal(&error.cause))?;
            let anchors = parsed(&next.anchors)?;
            let flat = Flat::new(&main, &anchors);
            told(nft::table(
                &flat,
                &self.facts,
                &mut next.tags,
                next.generation,
            ))?
        } else {
            nft::NO_TABLE.to_owned()
        };
        kernel::run(&["nft", "-f", "-"], Some(&text))?;
        self.kept.value = next;
        Ok(self.kept.save()?)
    }
}

/// After addresses or groups of interfaces have changed: rules that name them by an interface follow.
pub(crate) fn follow_interfaces(world: &World) -> Answer<()> {
    if !crate::net::modules::is_loaded(world, "pf")? {
        return Ok(());
    }
    let mut pf = Pf::open(world)?;
    if pf.is_enabled() {
        let same = pf.kept.value.clone();
        pf.put(same)?;
    }
    Ok(())
}

/// Reads the main rule set, for its complaints.
pub(crate) fn read_main(text: &str) -> Result<Vec<String>, ConfError> {
    let main = MainConf::parse(text)?;
    Ok(print::everything(&main))
}

/// Reads an anchor, for its complaints.
pub(crate) fn read_anchor(text: &str) -> Result<Vec<String>, ConfError> {
    let rules = Ruleset::parse(text).map_err(|error| ConfError {
        line: usize::try_from(error.line).unwrap_or(usize::MAX),
        cause: error.problem.to_string(),
    })?;
    let parts = [Part::Tables, Part::Nat, Part::Rules];
    Ok(parts
        .iter()
        .flat_map(|part| print::anchor(&rules, *part))
        .collect())
}

fn parsed(texts: &BTreeMap<String, String>) -> Answer<BTreeMap<String, Ruleset>> {
    let rules = texts.iter().map(|(name, text)| {
        let rules = Ruleset::parse(text).map_err(|error| internal(&error))?;
        Ok((name.clone(), rules))
    });
    rules.collect()
}

fn told<T>(result: Result<T, nft::Inexpressible>) -> Answer<T> {
    result.map_err(|error| Said::refused(format!("pfctl: stand-in: {}", error.0)))
}

fn internal(error: &dyn std::fmt::Display) -> Said {
    Said::refused(format!("freebsd-host: pf: {error}"))
}
