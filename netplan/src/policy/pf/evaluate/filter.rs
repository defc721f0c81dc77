//! Which filter rule decides.

use super::{Content, Packet, World};
use crate::names::InterfaceName;
use crate::net::Family;
use crate::policy::pf::ast::{Direction, Filter, IcmpTypes, List, On, Protocol, Statement, Table};
use crate::policy::pf::names::Tag;

impl<'a> World<'a> {
    pub(super) fn tables(&self) -> impl Iterator<Item = &'a Table> {
        let statements = self.rules.statements();
        statements.filter_map(|(_, statement)| match statement {
            Statement::Table(table) => Some(table),
            _ => None,
        })
    }

    /// The rule that decides, with its line. Rules that match give their tag, also those that a
    /// later one overrules.
    pub(super) fn filter(
        &self,
        interface: &InterfaceName,
        direction: Direction,
        packet: Packet,
        tag: &mut Option<Tag>,
    ) -> Option<(u32, &'a Filter)> {
        let mut last = None;
        for (line, statement) in self.rules.statements() {
            let Statement::Filter(rule) = statement else {
                continue;
            };
            if !self.matches(rule, interface, direction, packet, tag.as_ref()) {
                continue;
            }
            if rule.tag.is_some() {
                tag.clone_from(&rule.tag);
            }
            last = Some((line, rule));
            if rule.quick {
                break;
            }
        }
        last
    }

    fn matches(
        &self,
        rule: &Filter,
        interface: &InterfaceName,
        direction: Direction,
        packet: Packet,
        tag: Option<&Tag>,
    ) -> bool {
        rule.direction.is_none_or(|own| own == direction)
            && rule.on.as_ref().is_none_or(|on| on.has(interface))
            && rule.family.is_none_or(|family| family == packet.family())
            && rule
                .protocols
                .as_ref()
                .is_none_or(|list| list.items().contains(&packet.protocol()))
            && self.is_among(&rule.from, packet.source)
            && self.is_among(&rule.to, packet.destination)
            && rule.ports.as_ref().is_none_or(|list| packet.is_to(list))
            && rule.icmp.as_ref().is_none_or(|types| packet.is_icmp(types))
            && rule.tagged.as_ref().is_none_or(|own| tag == Some(own))
    }
}

impl On {
    pub(super) fn has(&self, interface: &InterfaceName) -> bool {
        match self {
            Self::OneOf(list) => list.items().contains(interface),
            Self::Not(other) => other != interface,
        }
    }
}

impl Packet {
    pub(super) fn family(self) -> Family {
        Family::of(self.source)
    }

    pub(super) fn protocol(self) -> Protocol {
        match (self.content, self.family()) {
            (Content::Tcp(_), _) => Protocol::Tcp,
            (Content::Udp(_), _) => Protocol::Udp,
            (Content::Icmp(_), Family::V4) => Protocol::Icmp,
            (Content::Icmp(_), Family::V6) => Protocol::Icmp6,
        }
    }

    fn is_to(self, ports: &List<u16>) -> bool {
        match self.content {
            Content::Tcp(port) | Content::Udp(port) => ports.items().contains(&port),
            Content::Icmp(_) => false,
        }
    }

    fn is_icmp(self, types: &IcmpTypes) -> bool {
        match (types, self.content, self.family()) {
            (IcmpTypes::V4(list), Content::Icmp(number), Family::V4)
            | (IcmpTypes::V6(list), Content::Icmp(number), Family::V6) => {
                list.items().contains(&number)
            }
            _ => false,
        }
    }
}
