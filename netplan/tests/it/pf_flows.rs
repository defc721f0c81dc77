//! Flows that cross the host, and what the model says about each.

use std::net::IpAddr;

use netplan::pf::{Content, Outcome, Packet, Router, Verdict as PfVerdict};
use netplan::{
    AddressSet, Family, InterfaceName, Net, NetworkName, Plan, Point, Policy, Rule, Source,
    Traffic, Verdict, Zone,
};

use crate::interface;
use crate::pf_labs::{self, Lab, OTHER};

/// The first packet of a flow, and where it comes in; `None`: the host sends it itself.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) entering: Option<InterfaceName>,
    pub(crate) packet: Packet,
}

/// What must become of it.
pub(crate) enum Expected {
    /// What the model says.
    Model(Verdict),
    /// The model says nothing about it, for this reason.
    Outside(&'static str, PfVerdict),
}

/// An address of nobody in particular on the internet, and one behind `OTHER`.
pub(crate) fn outsiders(family: Family) -> [IpAddr; 2] {
    let texts = match family {
        Family::V4 => ["203.0.113.5", "192.168.9.20"],
        Family::V6 => ["2001:db8:ffff::5", "fd99:9::20"],
    };
    texts.map(|text| text.parse().expect("an address"))
}

/// Addresses inside of the lab: of each network a machine, an address of nobody, and a pod; and
/// one of no network at all.
fn insiders(plan: &Plan, family: Family) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for network in &plan.networks {
        let on_it = |machine: &netplan::Machine| machine.address(network.name.as_str());
        let machine = plan.machines.iter().find_map(on_it);
        addresses.extend(machine.and_then(|both| both.of(family)));
        addresses.extend(network.nets.of(family).and_then(|net| net.nth(9)));
    }
    let pods = plan.machines.iter().find_map(|machine| machine.pods);
    addresses.extend(pods.and_then(|own| own.of(family)?.nth(2)));
    // Of the pods' range what no node has.
    let all_pods = plan.kubernetes.as_ref().and_then(|own| own.pods.of(family));
    addresses.extend(all_pods.map(Net::last_address));
    addresses.extend(nowhere(plan, family));
    addresses
}

/// An address of the lab that no network has: the last one of the supernet.
fn nowhere(plan: &Plan, family: Family) -> Option<IpAddr> {
    let last = plan.supernet.of(family)?.last_address();
    let taken = |policy: &Policy| {
        let mut networks = plan.networks.iter();
        networks.any(|network| {
            let set = AddressSet::Network(network.name.clone());
            policy.members(&set, family).any(|net| net.contains(last))
        })
    };
    (!taken(&Policy::standard(plan))).then_some(last)
}

fn contents(family: Family) -> Vec<Content> {
    let echo = match family {
        Family::V4 => 8,
        Family::V6 => 128,
    };
    let tcp = [22, 53, 80, 2379, 6443].map(Content::Tcp);
    let udp = [53, 123, 514].map(Content::Udp);
    [&tcp[..], &udp[..], &[Content::Icmp(echo)]].concat()
}

/// From each interface with each source to each destination, of every kind.
pub(crate) fn flows(lab: &Lab, router: &Router) -> Vec<Flow> {
    let mut flows = special(lab);
    for family in Family::BOTH {
        let of_family = |address: &IpAddr| Family::of(*address) == family;
        let own = router
            .interfaces
            .iter()
            .flat_map(|one| &one.addresses)
            .copied();
        let inside = insiders(&lab.plan, family);
        let others = [inside, outsiders(family).to_vec()].concat();
        let destinations: Vec<IpAddr> = own.filter(of_family).chain(others.clone()).collect();
        let from = router.interfaces.iter().flat_map(|one| {
            let name = one.name.clone();
            others
                .iter()
                .map(move |source| (Some(name.clone()), *source))
        });
        let from_host = router.interfaces.iter().filter_map(|one| {
            let address = one.addresses.iter().copied().find(of_family)?;
            Some((None, address))
        });
        for (entering, source) in from.chain(from_host) {
            for destination in destinations.iter().filter(|own| **own != source) {
                flows.extend(contents(family).into_iter().map(|content| Flow {
                    entering: entering.clone(),
                    packet: Packet {
                        source,
                        destination: *destination,
                        content,
                    },
                }));
            }
        }
    }
    flows
}

/// Multicast and broadcast, discovery, and what the host says to itself.
fn special(lab: &Lab) -> Vec<Flow> {
    let mut flows = Vec::new();
    let other = pf_labs::router(&lab.plan);
    let other = other.interface(&interface(OTHER)).expect("on the host");
    let mut push = |on: &InterfaceName, source: IpAddr, destination: IpAddr, content| {
        let packet = Packet {
            source,
            destination,
            content,
        };
        let entering = Some(on.clone());
        flows.push(Flow { entering, packet });
    };
    for network in &lab.plan.networks {
        for net in network.nets.iter() {
            let source = net.nth(9).expect("an address of a network");
            let own = network
                .gateway
                .of(net.family())
                .expect("a gateway of each family");
            let many = match net.family() {
                Family::V4 => vec!["224.0.0.251", "255.255.255.255"],
                Family::V6 => vec!["ff02::fb"],
            };
            let mut many: Vec<IpAddr> = many
                .iter()
                .map(|own| own.parse().expect("an address"))
                .collect();
            match net.family() {
                Family::V4 => many.push(net.last_address()),
                Family::V6 => push(&network.bridge, source, own, Content::Icmp(135)),
            }
            for destination in many {
                push(&network.bridge, source, destination, Content::Udp(5353));
            }
            push(&interface("lo0"), own, own, Content::Tcp(22));
            // Somebody else with an address of the host.
            let of_host = other.addresses.iter().copied();
            let of_host = of_host.filter(|own| Family::of(*own) == net.family());
            for forged in of_host {
                push(&other.name, forged, source, Content::Tcp(22));
            }
        }
    }
    flows
}

fn to_many(plan: &Plan, to: IpAddr) -> bool {
    let mut networks = plan.networks.iter().filter_map(|network| network.nets.v4);
    to.is_multicast()
        || to.to_string() == "255.255.255.255"
        || networks.any(|net| net.last_address() == to)
}

/// The zone of an interface; `None` for the one of somebody else.
pub(crate) fn zone(plan: &Plan, name: &InterfaceName) -> Option<Zone> {
    if name == pf_labs::uplink(plan) {
        return Some(Zone::Internet);
    }
    let network = plan.networks.iter().find(|own| own.bridge == *name)?;
    Some(Zone::Network(network.name.clone()))
}

fn is_traffic(traffic: &Traffic, content: Content) -> bool {
    match (traffic, content) {
        (Traffic::Any, _) | (Traffic::Icmp | Traffic::Echo, Content::Icmp(8 | 128)) => true,
        (Traffic::Tcp(ports), Content::Tcp(port)) | (Traffic::Udp(ports), Content::Udp(port)) => {
            ports.contains(&port)
        }
        (Traffic::Neighbours, Content::Icmp(135)) => true,
        _ => false,
    }
}

/// The model's verdict: the first rule of the chain that matches.
fn decide(
    policy: &Policy,
    point: &Point,
    (entering, leaving): (Option<&Zone>, Option<&Zone>),
    packet: Packet,
) -> Verdict {
    let family = Family::of(packet.source);
    let is_in =
        |set: &AddressSet, address| policy.members(set, family).any(|net| net.contains(address));
    let is_of = |zones: &[Zone], zone: Option<&Zone>| {
        zones.is_empty() || zone.is_some_and(|zone| zones.contains(zone))
    };
    let matches = |rule: &&Rule| {
        is_of(&rule.entering, entering)
            && is_of(&rule.leaving, leaving)
            && rule.family.is_none_or(|own| own == family)
            && match &rule.from {
                None => true,
                Some(Source::In(set)) => is_in(set, packet.source),
                Some(Source::NotIn(set)) => !is_in(set, packet.source),
            }
            && rule
                .to
                .as_ref()
                .is_none_or(|set| is_in(set, packet.destination))
            && is_traffic(&rule.traffic, packet.content)
    };
    let chain = policy.chain(point).expect("a chain of the router");
    let decided = chain.rules.iter().find(matches).map(|rule| rule.verdict);
    decided.unwrap_or(chain.default)
}

pub(crate) fn is_guest(zone: Option<&Zone>) -> bool {
    matches!(zone, Some(Zone::Network(_)))
}

pub(crate) fn expected(lab: &Lab, router: &Router, flow: &Flow) -> Expected {
    let Some(name) = &flow.entering else {
        return Expected::Outside("the host reaches all", PfVerdict::Pass);
    };
    let Packet {
        source,
        destination,
        ..
    } = flow.packet;
    if source == destination {
        return Expected::Outside("the host talks to itself", PfVerdict::Pass);
    }
    if to_many(&lab.plan, destination) {
        return Expected::Outside("the model knows no multicast", PfVerdict::Drop);
    }
    let entering = zone(&lab.plan, name);
    // In the model forging is the business of the network that a packet comes from.
    let home = network_of(lab, source).map(Zone::Network);
    let forged = home.is_some() && home != entering;
    let self_forged = router.owns(source)
        && lab
            .plan
            .supernet
            .iter()
            .any(|net| net.contains(destination));
    if self_forged || (forged && !is_guest(entering.as_ref())) {
        return Expected::Outside("a forged source gets nowhere", PfVerdict::Drop);
    }
    if router.owns(destination) {
        to_router(lab, router, entering, flow.packet)
    } else {
        across(lab, router, entering, flow.packet)
    }
}

const PAST: &str = "nothing with the lab's addresses comes in by the uplink";

/// The network whose set an address is in.
fn network_of(lab: &Lab, address: IpAddr) -> Option<NetworkName> {
    let mut networks = lab.plan.networks.iter();
    let network = networks.find(|network| {
        let set = AddressSet::Network(network.name.clone());
        let mut members = lab.policy.members(&set, Family::of(address));
        members.any(|net| net.contains(address))
    })?;
    Some(network.name.clone())
}

fn comes_in(lab: &Lab, entering: Option<&Zone>, packet: Packet) -> bool {
    let mut lab = lab.plan.supernet.iter();
    entering == Some(&Zone::Internet) && lab.any(|net| net.contains(packet.destination))
}

/// To one of the router's own addresses, behind which the API may be.
fn to_router(lab: &Lab, router: &Router, entering: Option<Zone>, packet: Packet) -> Expected {
    let exposed = lab.policy.exposures.iter().find(|exposure| {
        entering.as_ref() == Some(&exposure.entering)
            && packet.content == Content::Tcp(exposure.port)
    });
    let family = Family::of(packet.source);
    if let Some(destination) = exposed.and_then(|own| own.servers.first()?.of(family)) {
        let packet = Packet {
            destination,
            ..packet
        };
        return across(lab, router, entering, packet);
    }
    if is_guest(entering.as_ref()) {
        let zones = (entering.as_ref(), None);
        return Expected::Model(decide(&lab.policy, &Point::RouterInput, zones, packet));
    }
    if comes_in(lab, entering.as_ref(), packet) {
        return Expected::Outside(PAST, PfVerdict::Drop);
    }
    Expected::Outside("others to the host are its own affair", PfVerdict::Pass)
}

/// From one interface to another.
fn across(lab: &Lab, router: &Router, entering: Option<Zone>, packet: Packet) -> Expected {
    let reached = router.route(packet.destination);
    let leaving = reached.and_then(|to| zone(&lab.plan, &to.name));
    if !is_guest(entering.as_ref()) && !is_guest(leaving.as_ref()) {
        return if comes_in(lab, entering.as_ref(), packet) {
            Expected::Outside(PAST, PfVerdict::Drop)
        } else {
            Expected::Outside("between others it is not the lab's affair", PfVerdict::Pass)
        };
    }
    let home = network_of(lab, packet.destination).map(Zone::Network);
    if home.is_some() && home != leaving && home != entering {
        return Expected::Outside(
            "pf tells a network by its addresses, also those that no route leads to",
            PfVerdict::Drop,
        );
    }
    let zones = (entering.as_ref(), leaving.as_ref());
    Expected::Model(decide(&lab.policy, &Point::RouterForward, zones, packet))
}

/// Whether the outcome is the expected one; the reason for an expectation without a model.
pub(crate) fn agrees(
    lab: &Lab,
    router: &Router,
    flow: &Flow,
    outcome: &Outcome,
) -> (bool, &'static str) {
    match expected(lab, router, flow) {
        Expected::Outside(reason, verdict) => (verdict == outcome.verdict, reason),
        Expected::Model(verdict) => {
            let verdict = match verdict {
                Verdict::Allow => PfVerdict::Pass,
                Verdict::Drop => PfVerdict::Drop,
                Verdict::Refuse => PfVerdict::Return,
            };
            (verdict == outcome.verdict, "the model")
        }
    }
}
