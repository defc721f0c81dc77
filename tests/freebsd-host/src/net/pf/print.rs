//! Rules as pfctl(8) shows what is loaded: one line for each that the kernel has, lists taken apart.

use super::{
    Part,
    conf::{Item, Kind, MainConf},
    internal,
};
use crate::net::said::Answer;
use netplan::{
    Net,
    pf::{
        Action, Direction, Filter, Hosts, IcmpTypes, Nat, NatSource, On, Protocol, Rdr, Ruleset,
        State, Statement,
    },
};
use std::fmt::Write as _;

/// A part of the main rule set.
pub(super) fn main(main: &MainConf, part: Part) -> Vec<String> {
    main.items
        .iter()
        .flat_map(|item| shown(item, part))
        .collect()
}

/// All of it, as `pfctl -vnf` does.
pub(super) fn everything(main: &MainConf) -> Vec<String> {
    let skipped = main
        .skipped
        .iter()
        .map(|name| format!("set skip on {{ {name} }}"));
    let parts = [Part::Tables, Part::Nat, Part::Rules].into_iter();
    let rest = parts.flat_map(|part| main.items.iter().flat_map(move |item| shown(item, part)));
    skipped.chain(rest).collect()
}

/// A part of an anchor.
pub(super) fn anchor(rules: &Ruleset, part: Part) -> Vec<String> {
    rules
        .statements()
        .flat_map(|(_, statement)| statement_lines(statement, part))
        .collect()
}

/// The text of a rule set without these parts.
pub(super) fn without(text: &str, is_main: bool, parts: &[Part]) -> Answer<String> {
    if is_main {
        // Options stay; a rule set of which only some parts are flushed is nobody's business here.
        let all = [Part::Rules, Part::Nat, Part::Tables];
        if all.iter().any(|part| !parts.contains(part)) {
            return Err(internal(
                &"the main rule set is flushed as a whole (-F all)",
            ));
        }
        let options = text
            .lines()
            .filter(|line| line.trim_start().starts_with("set "));
        return Ok(options.fold(String::new(), |text, line| text + line + "\n"));
    }
    let rules = Ruleset::parse(text).map_err(|error| internal(&error))?;
    let kept = rules
        .statements()
        .filter(|(_, statement)| !parts.contains(&part_of(statement)));
    Ok(kept.fold(String::new(), |text, (_, statement)| {
        format!("{text}{statement}\n")
    }))
}

fn part_of(statement: &Statement) -> Part {
    match Kind::of(statement) {
        None => Part::Tables,
        Some(Kind::Filter) => Part::Rules,
        Some(_) => Part::Nat,
    }
}

fn shown(item: &Item, part: Part) -> Vec<String> {
    match item {
        Item::Call(call) => {
            let own = if call.kind == Kind::Filter {
                Part::Rules
            } else {
                Part::Nat
            };
            let line = format!("{} \"{}\" all", call.kind.word(), call.anchor);
            if own == part { vec![line] } else { Vec::new() }
        }
        Item::Rule(statement) => statement_lines(statement, part),
    }
}

fn statement_lines(statement: &Statement, part: Part) -> Vec<String> {
    if part_of(statement) != part {
        return Vec::new();
    }
    match statement {
        Statement::Table(table) => vec![table.name.to_string()],
        Statement::Nat(rule) => nat(rule),
        Statement::Rdr(rule) => rdr(rule),
        Statement::Filter(rule) => filter(rule),
        // One line each, as it is written.
        other => vec![other.to_string()],
    }
}

/// Interfaces one by one, with `on` before; a rule about all has one empty text.
fn interfaces(on: Option<&On>) -> Vec<String> {
    match on {
        None => vec![String::new()],
        Some(On::Not(name)) => vec![format!(" on ! {name}")],
        Some(On::OneOf(list)) => list
            .items()
            .iter()
            .map(|name| format!(" on {name}"))
            .collect(),
    }
}

fn nat(rule: &Nat) -> Vec<String> {
    let family = rule
        .family
        .map(|own| format!(" {}", family_word(own)))
        .unwrap_or_default();
    let source = match &rule.source {
        NatSource::Address(address) => address.to_string(),
        // Several addresses are taken in turn.
        NatSource::Interface(own) if own.first_only => own_text(&own.interface, true),
        NatSource::Interface(own) => format!("{} round-robin", own_text(&own.interface, false)),
    };
    let hosts = from_to(&rule.from, &rule.to, "");
    let interfaces = interfaces(Some(&rule.on)).into_iter();
    interfaces
        .map(|on| format!("nat{on}{family}{hosts} -> {source}"))
        .collect()
}

fn own_text(interface: &netplan::InterfaceName, first_only: bool) -> String {
    format!("({interface}{})", if first_only { ":0" } else { "" })
}

fn rdr(rule: &Rdr) -> Vec<String> {
    let servers = rule.servers.items();
    let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let (servers, pool) = match &names[..] {
        [one] => (one.clone(), ""),
        several => (format!("{{ {} }}", several.join(", ")), " round-robin"),
    };
    let family = family_word(rule.family);
    let mut lines = Vec::new();
    for on in interfaces(Some(&rule.on)) {
        for protocol in rule.protocols.items() {
            let hosts = from_to(&rule.from, &rule.to, &port(rule.port));
            lines.push(format!(
                "rdr{on} {family} proto {}{hosts} -> {servers} port {}{pool}",
                protocol.as_str(),
                rule.server_port
            ));
        }
    }
    lines
}

fn filter(rule: &Filter) -> Vec<String> {
    let protocols: Vec<Option<Protocol>> = match &rule.protocols {
        None => vec![None],
        Some(list) => list.items().iter().copied().map(Some).collect(),
    };
    let types: Vec<String> = match &rule.icmp {
        None => vec![String::new()],
        Some(IcmpTypes::V4(list)) => each(list.items(), "icmp-type", |number| match number {
            8 => "echoreq".to_owned(),
            0 => "echorep".to_owned(),
            3 => "unreach".to_owned(),
            11 => "timex".to_owned(),
            other => other.to_string(),
        }),
        Some(IcmpTypes::V6(list)) => each(list.items(), "icmp6-type", |number| icmp6(*number)),
    };
    let ports: Vec<String> = match &rule.ports {
        None => vec![String::new()],
        Some(list) => list.items().iter().map(|own| port(*own)).collect(),
    };
    let mut lines = Vec::new();
    for on in interfaces(rule.on.as_ref()) {
        for protocol in &protocols {
            for kind in &types {
                for port in &ports {
                    lines.push(filter_line(rule, &on, *protocol, (kind, port)));
                }
            }
        }
    }
    lines
}

fn each(numbers: &[u8], word: &str, name: impl Fn(&u8) -> String) -> Vec<String> {
    let names = numbers
        .iter()
        .map(|number| format!(" {word} {}", name(number)));
    names.collect()
}

/// What is done, and with which packets first of all.
fn beginning(rule: &Filter) -> String {
    let action = match rule.action {
        Action::Pass => "pass",
        Action::Drop => "block drop",
        Action::Return => "block return",
    };
    let direction = match rule.direction {
        Some(Direction::In) => " in",
        Some(Direction::Out) => " out",
        None => "",
    };
    let log = if rule.log { " log" } else { "" };
    let quick = if rule.quick { " quick" } else { "" };
    format!("{action}{direction}{log}{quick}")
}

fn filter_line(
    rule: &Filter,
    on: &str,
    protocol: Option<Protocol>,
    (kind, port): (&str, &str),
) -> String {
    let mut line = beginning(rule);
    line += on;
    if let Some(family) = rule.family {
        let _ = write!(line, " {}", family_word(family));
    }
    if let Some(protocol) = protocol {
        let _ = write!(line, " proto {}", protocol.as_str());
    }
    line += &from_to(&rule.from, &rule.to, port);
    let keeps = rule.action == Action::Pass && rule.state != State::No;
    if keeps && protocol.is_none_or(|own| own == Protocol::Tcp) {
        line += " flags S/SA";
    }
    line += kind;
    line += match (rule.action, rule.state) {
        (Action::Pass, State::No) => " no state",
        (Action::Pass, _) => " keep state",
        _ => "",
    };
    if let Some(label) = &rule.label {
        let _ = write!(line, " label \"{label}\"");
    }
    if let Some(tag) = &rule.tag {
        let _ = write!(line, " tag {tag}");
    }
    if let Some(tag) = &rule.tagged {
        let _ = write!(line, " tagged {tag}");
    }
    line
}

fn from_to(from: &Hosts, to: &Hosts, port: &str) -> String {
    if (from, to, port) == (&Hosts::Any, &Hosts::Any, "") {
        return " all".to_owned();
    }
    format!(" from {from} to {to}{port}")
}

/// By the names of services(5).
fn port(number: u16) -> String {
    let name = match number {
        22 => "ssh",
        53 => "domain",
        80 => "http",
        123 => "ntp",
        443 => "https",
        6443 => "sun-sr-https",
        other => return format!(" port = {other}"),
    };
    format!(" port = {name}")
}

fn icmp6(number: u8) -> String {
    match number {
        1 => "unreach",
        2 => "toobig",
        3 => "timex",
        4 => "paramprob",
        128 => "echoreq",
        129 => "echorep",
        130 => "groupqry",
        131 => "grouprep",
        132 => "groupterm",
        133 => "routersol",
        134 => "routeradv",
        135 => "neighbrsol",
        136 => "neighbradv",
        137 => "redir",
        other => return other.to_string(),
    }
    .to_owned()
}

fn family_word(family: netplan::Family) -> &'static str {
    match family {
        netplan::Family::V4 => "inet",
        netplan::Family::V6 => "inet6",
    }
}

/// A network, or one address without its length.
pub(super) fn net(net: &Net) -> String {
    if net.is_single() {
        net.address().to_string()
    } else {
        net.to_string()
    }
}
