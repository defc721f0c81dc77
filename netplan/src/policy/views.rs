//! The matrix for people: as a table and as graphs, by class.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;

use crate::columns::columns;
use crate::names::{ClassName, MachineName};
use crate::plan::Plan;
use crate::policy::reachability::OTHER_PORT;
use crate::policy::{Endpoint, Expectation};

/// An endpoint, as its class has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Class(ClassName),
    PodsOn(ClassName),
    Router,
    Host,
    Internet,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => f.pad(class.as_str()),
            Self::PodsOn(class) => f.pad(&format!("pods on {class}")),
            Self::Router => f.pad("router"),
            Self::Host => f.pad("host"),
            Self::Internet => f.pad("internet"),
        }
    }
}

fn class_of(plan: &Plan, machine: &MachineName) -> Option<ClassName> {
    let machine = plan.machine(machine.as_str())?;
    Some(machine.class.clone())
}

fn party(plan: &Plan, endpoint: &Endpoint) -> Option<Party> {
    match endpoint {
        Endpoint::Machine(name) => class_of(plan, name).map(Party::Class),
        Endpoint::PodOn(node) => class_of(plan, node).map(Party::PodsOn),
        Endpoint::Router => Some(Party::Router),
        Endpoint::Host => Some(Party::Host),
        Endpoint::Internet => Some(Party::Internet),
    }
}

/// What is known about one cell.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    /// For IPv4 and IPv6: whether something is allowed, and whether something is not.
    yes: [bool; 2],
    no: [bool; 2],
}

impl Seen {
    fn add(&mut self, row: &Expectation) {
        let at = usize::from(row.family == crate::net::Family::V6);
        if row.allowed {
            self.yes[at] = true;
        } else {
            self.no[at] = true;
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.yes, self.no) {
            ([false, false], [false, false]) => "",
            ([false, false], _) => "no",
            (_, [false, false]) => "yes",
            ([true, false], [false, true]) => "v4",
            ([false, true], [true, false]) => "v6",
            _ => "some",
        })
    }
}

/// A line of the table: destination, the network that it is reached on, port, and the class that
/// is tried as a router.
type Line = (Party, String, u16, Option<ClassName>);

/// The matrix by class: a line for each destination and port, a column for each sender. A cell
/// says `yes` or `no`, `v4` or `v6` where only that family passes, `some` where machines of one
/// class differ, and nothing where nothing was asked.
#[must_use]
pub fn matrix_table(plan: &Plan, rows: &[Expectation]) -> String {
    let mut cells: BTreeMap<Line, BTreeMap<Party, Seen>> = BTreeMap::new();
    let mut senders = BTreeSet::new();
    for row in rows {
        let probe = &row.probe;
        let (Some(from), Some(to)) = (party(plan, &probe.from), party(plan, &probe.to)) else {
            continue;
        };
        let via = probe.via.as_ref().and_then(|via| class_of(plan, via));
        let line = (to, network_of(plan, row), probe.port, via);
        let cells = cells.entry(line).or_default();
        cells.entry(from.clone()).or_default().add(row);
        senders.insert(from);
    }
    let mut head = ["TO", "ON", "PORT", "VIA"].map(str::to_owned).to_vec();
    head.extend(senders.iter().map(ToString::to_string));
    let mut table = vec![head];
    for ((to, network, port, via), seen) in cells {
        let via = via.map_or_else(String::new, String::from);
        let mut line = vec![to.to_string(), network, port.to_string(), via];
        let cell = |sender| seen.get(sender).copied().unwrap_or_default().to_string();
        line.extend(senders.iter().map(cell));
        table.push(line);
    }
    columns(&table)
}

/// The network that the destination is on, where it is on one.
fn network_of(plan: &Plan, row: &Expectation) -> String {
    let mut networks = plan.networks.iter();
    let network = networks.find(|network| {
        let net = network.nets.of(row.family);
        net.is_some_and(|net| net.contains(row.probe.destination))
    });
    network.map_or_else(String::new, |network| network.name.to_string())
}

/// Who may begin a flow to whom, with the ports in words; not what is tried as a detour.
pub(crate) fn edges(plan: &Plan, rows: &[Expectation]) -> BTreeMap<(Party, Party), String> {
    let mut edges: BTreeMap<(Party, Party), BTreeSet<u16>> = BTreeMap::new();
    for row in rows {
        let (from, to) = (party(plan, &row.probe.from), party(plan, &row.probe.to));
        if let (true, None, Some(from), Some(to)) = (row.allowed, &row.probe.via, from, to) {
            edges.entry((from, to)).or_default().insert(row.probe.port);
        }
    }
    let labelled = edges.into_iter().map(|(ends, ports)| {
        let label = label(&ends.1, &ports);
        (ends, label)
    });
    labelled.collect()
}

/// The ports of an edge; `all` where one passes that no rule names, and on the way out, where no
/// rule asks for the port.
fn label(to: &Party, ports: &BTreeSet<u16>) -> String {
    if ports.contains(&OTHER_PORT) || *to == Party::Internet {
        return "all".to_owned();
    }
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    ports.join(", ")
}

/// The parties of a graph, numbered.
fn nodes(edges: &BTreeMap<(Party, Party), String>) -> BTreeMap<&Party, usize> {
    let parties: BTreeSet<&Party> = edges.keys().flat_map(|(from, to)| [from, to]).collect();
    let numbered = parties.into_iter().enumerate();
    numbered.map(|(number, party)| (party, number)).collect()
}

/// The allowed flows between classes as a flowchart of Mermaid.
#[must_use]
pub fn mermaid(plan: &Plan, rows: &[Expectation]) -> String {
    let edges = edges(plan, rows);
    let nodes = nodes(&edges);
    let mut text = "flowchart LR\n".to_owned();
    for (party, number) in &nodes {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "  n{number}[\"{party}\"]");
    }
    for ((from, to), ports) in &edges {
        let (from, to) = (nodes[from], nodes[to]);
        let _infallible = writeln!(text, "  n{from} -->|\"{ports}\"| n{to}");
    }
    text
}

/// The allowed flows between classes as a graph for dot(1).
#[must_use]
pub fn dot(plan: &Plan, rows: &[Expectation]) -> String {
    let edges = edges(plan, rows);
    let nodes = nodes(&edges);
    let mut text = format!(
        "digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n",
        plan.lab
    );
    for (party, number) in &nodes {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "  n{number} [label=\"{party}\"];");
    }
    for ((from, to), ports) in &edges {
        let (from, to) = (nodes[from], nodes[to]);
        let _infallible = writeln!(text, "  n{from} -> n{to} [label=\"{ports}\"];");
    }
    text.push_str("}\n");
    text
}
