//! The part of pf.conf(5) that this crate writes, as data.

use std::net::IpAddr;

use super::names::{Label, TableName, Tag};
use crate::names::InterfaceName;
use crate::net::{Family, Net};

/// The statements of an anchor, each with the line that it begins on.
///
/// Printed with `Display`, one statement a line; read with
/// [`Ruleset::parse`](super::Ruleset::parse).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    pub(super) statements: Vec<(u32, Statement)>,
}

impl Ruleset {
    /// Statements in the order in which they count: translation before filtering, and within
    /// either the first that matches, respectively the first `quick` one.
    #[must_use]
    pub fn new(statements: Vec<Statement>) -> Self {
        Self {
            statements: (1..).zip(statements).collect(),
        }
    }

    /// The statements, each with the line that it begins on, from 1.
    pub fn statements(&self) -> impl Iterator<Item = (u32, &Statement)> {
        self.statements
            .iter()
            .map(|(line, statement)| (*line, statement))
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statement {
    /// `table <NAME> { ... }`
    Table(Table),
    /// `nat on ... -> ...`
    Nat(Nat),
    /// `binat on ... -> ...`
    Binat(Binat),
    /// `rdr on ... -> ...`
    Rdr(Rdr),
    /// `pass ...` or `block ...`
    Filter(Filter),
}

/// A named set of networks of both families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Whether nobody may change it once it is loaded.
    pub constant: bool,
    /// Its members.
    pub members: Vec<Net>,
}

/// One or more: alone, or in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    /// A list of one.
    #[must_use]
    pub fn one(item: T) -> Self {
        Self(vec![item])
    }

    /// All of these; `None` when there are none.
    #[must_use]
    pub fn new(items: Vec<T>) -> Option<Self> {
        (!items.is_empty()).then_some(Self(items))
    }

    /// The items, at least one.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.0
    }
}

/// Interfaces that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// One of these.
    OneOf(List<InterfaceName>),
    /// Any other than this.
    Not(InterfaceName),
}

/// Addresses that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// `any`
    Any,
    /// These.
    In(Address),
    /// All but these.
    NotIn(Address),
}

/// An address or a set of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `<NAME>`: the members of a table. A table that nobody defines is empty, without an error.
    Table(TableName),
    /// `(self)`: all addresses of this machine, at the time of the packet.
    Own,
    /// `(em0)` or `(em0:0)`: the addresses of an interface at the time of the packet.
    Interface(InterfaceAddress),
    /// A network, or one address.
    Net(Net),
}

/// The addresses of an interface, at the time of the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface.
    pub interface: InterfaceName,
    /// Whether its first address only (`:0`); else all, and translation takes them in turn.
    pub first_only: bool,
}

/// Protocols, by the names that every release knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `icmp`, of IPv4 only.
    Icmp,
    /// `ipv6-icmp`; the name `icmp6` depends on /etc/protocols.
    Icmp6,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Icmp6];

    /// The name as written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmp6 => "ipv6-icmp",
        }
    }

    pub(super) const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

/// Source translation of what leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Where it leaves.
    pub on: On,
    /// Its family; without one as the addresses have it.
    pub family: Option<Family>,
    /// Its sources.
    pub from: Hosts,
    /// Its destinations.
    pub to: Hosts,
    /// The source that it gets.
    pub source: NatSource,
}

/// The source that a translated packet gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatSource {
    /// One that an interface has at that time.
    Interface(InterfaceAddress),
    /// This one.
    Address(IpAddr),
}

/// Translation of a whole prefix, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binat {
    /// The interface to the outside.
    pub on: InterfaceName,
    /// The prefix inside; its family is the rule's.
    pub inside: Net,
    /// Destinations.
    pub to: Hosts,
    /// The prefix outside, of the same length.
    pub outside: Net,
}

/// Destination translation of what enters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rdr {
    /// Where it enters.
    pub on: On,
    /// Its family.
    pub family: Family,
    /// Its protocols.
    pub protocols: List<Protocol>,
    /// Its sources.
    pub from: Hosts,
    /// Its destinations.
    pub to: Hosts,
    /// Its destination port.
    pub port: u16,
    /// The destinations that it gets, in turn where there are several.
    pub servers: List<IpAddr>,
    /// The port that it gets.
    pub server_port: u16,
}

/// What a filter rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The packet passes.
    Pass,
    /// It vanishes.
    Drop,
    /// It is answered with a TCP reset or an ICMP error.
    Return,
}

/// The way of a packet over an interface, seen from this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// It enters.
    In,
    /// It leaves.
    Out,
}

/// Kinds of ICMP packets, by number: names depend on the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IcmpTypes {
    /// `icmp-type`
    V4(List<u8>),
    /// `icmp6-type`
    V6(List<u8>),
}

/// Whether a rule that passes the first packet of a flow lets the others pass as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not said: as `keep state` on rules that pass, since FreeBSD 7.
    #[default]
    Unsaid,
    /// `keep state`
    Keep,
    /// `no state`
    No,
}

/// A filter rule. The last one that matches decides, or the first `quick` one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What is done.
    pub action: Action,
    /// The way; without one both.
    pub direction: Option<Direction>,
    /// Whether its packets go to pflog(4).
    pub log: bool,
    /// Whether no later rule is asked.
    pub quick: bool,
    /// Interfaces; without any all.
    pub on: Option<On>,
    /// The family; without one both.
    pub family: Option<Family>,
    /// Protocols; without any all.
    pub protocols: Option<List<Protocol>>,
    /// Sources.
    pub from: Hosts,
    /// Destinations.
    pub to: Hosts,
    /// Destination ports; without any all.
    pub ports: Option<List<u16>>,
    /// Kinds of ICMP packets; without any all.
    pub icmp: Option<IcmpTypes>,
    /// Packets with this tag only.
    pub tagged: Option<Tag>,
    /// The tag that its packets get.
    pub tag: Option<Tag>,
    /// Whether state is kept.
    pub state: State,
    /// Its name in logs and counters.
    pub label: Option<Label>,
}

impl Filter {
    /// A `quick` rule about all packets, to be narrowed.
    #[must_use]
    pub fn quick(action: Action) -> Self {
        Self {
            action,
            direction: None,
            log: false,
            quick: true,
            on: None,
            family: None,
            protocols: None,
            from: Hosts::Any,
            to: Hosts::Any,
            ports: None,
            icmp: None,
            tagged: None,
            tag: None,
            state: State::Unsaid,
            label: None,
        }
    }
}
