//! What pf does with the first packet of a flow.

mod filter;
mod translate;

use std::net::IpAddr;

use super::ast::{Action, Address, Direction, Hosts, InterfaceAddress, Ruleset, State};
use super::names::{Label, Tag};
use crate::names::InterfaceName;
use crate::net::{Family, Net};

/// A machine that packets cross: its interfaces, as far as they count for filter and routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Router {
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
}

/// An interface; a bridge is one as well, and its members are none: with
/// `net.link.bridge.pfil_member=0` pf sees what is routed, not what is bridged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: InterfaceName,
    /// Its own addresses; the first of a family is what `(em0:0)` means.
    pub addresses: Vec<IpAddr>,
    /// The networks that are reached over it; with `0.0.0.0/0` and `::/0` it is the way out.
    pub networks: Vec<Net>,
}

impl Router {
    /// The interface of this name.
    #[must_use]
    pub fn interface(&self, name: &InterfaceName) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|interface| interface.name == *name)
    }

    /// The interface over which an address is reached: the one with the longest prefix.
    #[must_use]
    pub fn route(&self, to: IpAddr) -> Option<&Interface> {
        let length = |interface: &Interface| {
            let networks = interface.networks.iter();
            networks
                .filter(|net| net.contains(to))
                .map(|net| net.prefix_len())
                .max()
        };
        let reached = self.interfaces.iter();
        let reached = reached.filter_map(|interface| Some((length(interface)?, interface)));
        // Of two of the same length the first, as in a routing table the one that was there.
        reached
            .rev()
            .max_by_key(|(length, _)| *length)
            .map(|(_, interface)| interface)
    }

    /// Whether an address is one of its own.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        let mut interfaces = self.interfaces.iter();
        interfaces.any(|interface| interface.addresses.contains(&address))
    }

    fn is_address_of(&self, wanted: &InterfaceAddress, address: IpAddr) -> bool {
        let Some(interface) = self.interface(&wanted.interface) else {
            return false;
        };
        if !wanted.first_only {
            return interface.addresses.contains(&address);
        }
        interface.first(Family::of(address)) == Some(address)
    }
}

impl Interface {
    /// Its first address of a family.
    fn first(&self, family: Family) -> Option<IpAddr> {
        let mut addresses = self.addresses.iter().copied();
        addresses.find(|address| Family::of(*address) == family)
    }
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Content {
    /// TCP to this port.
    Tcp(u16),
    /// UDP to this port.
    Udp(u16),
    /// ICMP, or ICMPv6 in IPv6, of this type.
    Icmp(u8),
}

/// The first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// What it carries.
    pub content: Content,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It vanishes.
    Drop,
    /// It is answered with an error.
    Return,
    /// pf passed it, and the machine has no route for it.
    NoRoute,
}

/// What pf says about a packet on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The interface.
    pub interface: InterfaceName,
    /// The way over it.
    pub direction: Direction,
    /// The packet that the filter sees: after translation.
    pub packet: Packet,
    /// The line of the rule that translated it.
    pub translated_by: Option<u32>,
    /// The line of the filter rule that decides; `None`: none matches, and pf passes it.
    pub line: Option<u32>,
    /// The label of that rule.
    pub label: Option<Label>,
    /// What it does.
    pub action: Action,
    /// Whether the rest of the flow, and what answers it, passes without a rule.
    pub keeps_state: bool,
}

/// The way of a packet across the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// On the interface that it enters on; `None` for one of the router itself.
    pub entering: Option<Judgement>,
    /// On the interface that it leaves on; `None` when it does not come to that, or is for the
    /// router itself.
    pub leaving: Option<Judgement>,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Outcome {
    /// The judgement that decides: the last one.
    #[must_use]
    pub fn deciding(&self) -> Option<&Judgement> {
        self.leaving.as_ref().or(self.entering.as_ref())
    }

    /// The packet as it arrives, or as it was when it was lost.
    #[must_use]
    pub fn packet(&self) -> Option<Packet> {
        self.deciding().map(|judgement| judgement.packet)
    }
}

impl Ruleset {
    /// What these rules, alone, do with the first packet of a flow, that is with one that belongs
    /// to no state. `entering` is the interface that it comes in on; `None` when the router sends
    /// it itself.
    ///
    /// In on one interface and out on another are two judgements. Each begins with translation,
    /// where the first match decides (in: `rdr` before `binat`; out: `binat` before `nat`); then
    /// the filter sees the translated packet, and the last rule that matches decides, or the
    /// first `quick` one. Where no rule matches pf passes. Of several addresses that translation
    /// takes in turn this takes the first.
    #[must_use]
    pub fn judge(
        &self,
        router: &Router,
        entering: Option<&InterfaceName>,
        packet: Packet,
    ) -> Outcome {
        let world = World {
            rules: self,
            router,
        };
        let mut tag = None;
        let entered = entering.map(|name| world.pass(name, Direction::In, packet, &mut tag));
        let packet = entered
            .as_ref()
            .map_or(packet, |judgement| judgement.packet);
        let mut outcome = Outcome {
            verdict: entered.as_ref().map_or(Verdict::Pass, Judgement::verdict),
            entering: entered,
            leaving: None,
        };
        if outcome.verdict != Verdict::Pass || router.owns(packet.destination) {
            return outcome;
        }
        let Some(interface) = router.route(packet.destination) else {
            outcome.verdict = Verdict::NoRoute;
            return outcome;
        };
        let left = world.pass(&interface.name, Direction::Out, packet, &mut tag);
        outcome.verdict = left.verdict();
        outcome.leaving = Some(left);
        outcome
    }
}

impl Judgement {
    fn verdict(&self) -> Verdict {
        match self.action {
            Action::Pass => Verdict::Pass,
            Action::Drop => Verdict::Drop,
            Action::Return => Verdict::Return,
        }
    }
}

/// Rules on a machine.
struct World<'a> {
    rules: &'a Ruleset,
    router: &'a Router,
}

impl World<'_> {
    fn pass(
        &self,
        interface: &InterfaceName,
        direction: Direction,
        packet: Packet,
        tag: &mut Option<Tag>,
    ) -> Judgement {
        let (translated_by, packet) = match self.translate(interface, direction, packet) {
            Some((line, packet)) => (Some(line), packet),
            None => (None, packet),
        };
        let matched = self.filter(interface, direction, packet, tag);
        Judgement {
            interface: interface.clone(),
            direction,
            packet,
            translated_by,
            line: matched.map(|(line, _)| line),
            label: matched.and_then(|(_, rule)| rule.label.clone()),
            action: matched.map_or(Action::Pass, |(_, rule)| rule.action),
            // Where no rule matches there is none that could keep any.
            keeps_state: matched
                .is_some_and(|(_, rule)| rule.action == Action::Pass && rule.state != State::No),
        }
    }

    fn is_among(&self, hosts: &Hosts, address: IpAddr) -> bool {
        match hosts {
            Hosts::Any => true,
            Hosts::In(set) => self.is_in(set, address),
            Hosts::NotIn(set) => !self.is_in(set, address),
        }
    }

    fn is_in(&self, set: &Address, address: IpAddr) -> bool {
        match set {
            Address::Own => self.router.owns(address),
            Address::Net(net) => net.contains(address),
            Address::Interface(interface) => self.router.is_address_of(interface, address),
            Address::Table(name) => {
                let mut tables = self.tables().filter(|table| table.name == *name);
                tables.any(|table| table.members.iter().any(|net| net.contains(address)))
            }
        }
    }
}
