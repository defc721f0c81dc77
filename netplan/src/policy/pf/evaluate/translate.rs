//! Which translation applies, and what it makes of a packet.

use std::net::IpAddr;

use super::{Content, Packet, World};
use crate::names::InterfaceName;
use crate::net::{Family, Net, bits_of};
use crate::policy::pf::ast::{Binat, Direction, Nat, NatSource, Rdr, Statement};

impl World<'_> {
    /// The translated packet and the line of the rule; `None` when none matches.
    pub(super) fn translate(
        &self,
        interface: &InterfaceName,
        direction: Direction,
        packet: Packet,
    ) -> Option<(u32, Packet)> {
        let first = |translation: &dyn Fn(&Statement) -> Option<Packet>| {
            let mut statements = self.rules.statements();
            statements.find_map(|(line, statement)| Some((line, translation(statement)?)))
        };
        match direction {
            Direction::In => first(&|statement| match statement {
                Statement::Rdr(rdr) => self.rdr(rdr, interface, packet),
                _ => None,
            })
            .or_else(|| {
                first(&|statement| match statement {
                    Statement::Binat(binat) => self.binat_in(binat, interface, packet),
                    _ => None,
                })
            }),
            Direction::Out => first(&|statement| match statement {
                Statement::Binat(binat) => self.binat_out(binat, interface, packet),
                _ => None,
            })
            .or_else(|| {
                first(&|statement| match statement {
                    Statement::Nat(nat) => self.nat(nat, interface, packet),
                    _ => None,
                })
            }),
        }
    }

    fn nat(&self, nat: &Nat, interface: &InterfaceName, packet: Packet) -> Option<Packet> {
        let family = packet.family();
        let source = match &nat.source {
            NatSource::Address(address) => *address,
            NatSource::Interface(own) => self.router.interface(&own.interface)?.first(family)?,
        };
        let applies = nat.on.has(interface)
            && nat.family.is_none_or(|own| own == family)
            && Family::of(source) == family
            && self.is_among(&nat.from, packet.source)
            && self.is_among(&nat.to, packet.destination);
        applies.then_some(Packet { source, ..packet })
    }

    fn binat_out(&self, rule: &Binat, interface: &InterfaceName, packet: Packet) -> Option<Packet> {
        let applies = rule.on == *interface
            && rule.inside.contains(packet.source)
            && self.is_among(&rule.to, packet.destination);
        let source = applies.then(|| moved(packet.source, rule.inside, rule.outside))??;
        Some(Packet { source, ..packet })
    }

    fn binat_in(&self, rule: &Binat, interface: &InterfaceName, packet: Packet) -> Option<Packet> {
        let applies = rule.on == *interface
            && rule.outside.contains(packet.destination)
            && self.is_among(&rule.to, packet.source);
        let destination =
            applies.then(|| moved(packet.destination, rule.outside, rule.inside))??;
        Some(Packet {
            destination,
            ..packet
        })
    }

    fn rdr(&self, rdr: &Rdr, interface: &InterfaceName, packet: Packet) -> Option<Packet> {
        let (port, content) = match packet.content {
            Content::Tcp(port) => (port, Content::Tcp(rdr.server_port)),
            Content::Udp(port) => (port, Content::Udp(rdr.server_port)),
            Content::Icmp(_) => return None,
        };
        let applies = rdr.on.has(interface)
            && rdr.family == packet.family()
            && rdr.protocols.items().contains(&packet.protocol())
            && port == rdr.port
            && self.is_among(&rdr.from, packet.source)
            && self.is_among(&rdr.to, packet.destination);
        let destination = *rdr.servers.items().first()?;
        applies.then_some(Packet {
            destination,
            content,
            ..packet
        })
    }
}

/// The same bits behind the prefix, in the other network of the same length.
fn moved(address: IpAddr, from: Net, to: Net) -> Option<IpAddr> {
    to.nth(bits_of(address).checked_sub(bits_of(from.address()))?)
}
