//! How rules are written down: one for all packets, and then narrowed.

use crate::net::Family;
use crate::policy::{AddressSet, Rule, Source, Traffic, Verdict, Zone};

impl Rule {
    /// A rule for all packets, to be narrowed.
    pub(crate) fn new(name: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            name: name.into(),
            entering: Vec::new(),
            leaving: Vec::new(),
            family: None,
            from: None,
            to: None,
            traffic: Traffic::Any,
            verdict,
        }
    }

    /// Replies to what was allowed: the first rule of a chain that keeps state.
    pub(crate) fn established() -> Self {
        Self::new("established", Verdict::Allow).traffic(Traffic::Replies)
    }

    /// What belongs to no flow.
    pub(crate) fn invalid() -> Self {
        Self::new("invalid", Verdict::Drop).traffic(Traffic::Invalid)
    }

    pub(crate) fn entering(mut self, zones: &[Zone]) -> Self {
        self.entering = zones.to_vec();
        self
    }

    pub(crate) fn leaving(mut self, zones: &[Zone]) -> Self {
        self.leaving = zones.to_vec();
        self
    }

    pub(crate) fn from(mut self, source: Source) -> Self {
        self.from = Some(source);
        self
    }

    pub(crate) fn to(mut self, set: AddressSet) -> Self {
        self.to = Some(set);
        self
    }

    pub(crate) fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    pub(crate) fn traffic(mut self, traffic: Traffic) -> Self {
        self.traffic = traffic;
        self
    }
}
