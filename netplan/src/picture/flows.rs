//! Flows between single ends, gathered into flows between parties.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::ClassName;
use crate::net::Family;
use crate::plan::Plan;
use crate::policy::{Endpoint, Expectation};

/// Who is drawn as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    Host,
    Class(ClassName),
    Internet,
}

/// What one party may send to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartyFlow {
    pub(super) from: Party,
    pub(super) to: Party,
    /// `all`, or protocols with ports.
    pub(super) what: String,
}

/// Everything that was tried between two parties: by protocol and port, the families in which it
/// is allowed and in which it is not.
#[derive(Default)]
struct Tried {
    by_port: BTreeMap<(String, u16), (BTreeSet<Family>, BTreeSet<Family>)>,
}

/// Pods belong to their node's party here; detours are no flows that anybody wants.
pub(super) fn by_party(plan: &Plan, flows: &[Expectation]) -> Vec<PartyFlow> {
    let mut tried: BTreeMap<(Party, Party), Tried> = BTreeMap::new();
    for flow in flows.iter().filter(|flow| flow.probe.via.is_none()) {
        let probe = &flow.probe;
        let is_pod = |end: &Endpoint| matches!(end, Endpoint::PodOn(_));
        if is_pod(&probe.from) || is_pod(&probe.to) {
            continue;
        }
        if let Some(ends) = party(plan, &probe.from).zip(party(plan, &probe.to)) {
            let what = (probe.protocol.to_string(), probe.port);
            let families = tried.entry(ends).or_default().by_port.entry(what).or_default();
            let set = if flow.allowed {
                &mut families.0
            } else {
                &mut families.1
            };
            set.insert(flow.family);
        }
    }
    let flows = tried.into_iter().filter_map(|((from, to), tried)| {
        let what = tried.allowed()?;
        Some(PartyFlow { from, to, what })
    });
    flows.collect()
}

fn party(plan: &Plan, end: &Endpoint) -> Option<Party> {
    match end {
        Endpoint::Machine(name) => {
            let machine = plan.machine(name.as_str())?;
            Some(Party::Class(machine.class.clone()))
        }
        Endpoint::Host => Some(Party::Host),
        Endpoint::Internet => Some(Party::Internet),
        _ => None,
    }
}

impl Tried {
    fn allowed(&self) -> Option<String> {
        let ports = self.by_port.iter().filter_map(|((protocol, port), (yes, no))| {
            let families: Vec<String> = yes.difference(no).map(ToString::to_string).collect();
            match (families.as_slice(), no.is_empty()) {
                ([], _) => None,
                (_, true) => Some(format!("{protocol} {port}")),
                (some, false) => Some(format!("{protocol} {port} ({})", some.join(", "))),
            }
        });
        let ports: Vec<String> = ports.collect();
        let all = self.by_port.values().all(|(_, no)| no.is_empty());
        match ports.as_slice() {
            [] => None,
            // As good as all: every class of port was tried.
            several if all && several.len() > 3 => Some("all".to_owned()),
            several => Some(several.join(", ")),
        }
    }
}
