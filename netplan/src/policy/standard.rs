//! The standard policy of a lab, and the rules of its router.

use crate::addresses::Addresses;
use crate::net::Family;
use crate::plan::{Machine, Network, Plan};
use crate::policy::sets::{members, sets};
use crate::policy::{
    AddressSet, ApiExposure, Chain, Point, Policy, Rule, Source, Traffic, Verdict, Zone, guests,
};
use crate::requirement::{Role, RouterSpec, V6Mode};

/// The port of the Kubernetes API (`--secure-port`'s default).
pub(crate) const API_PORT: u16 = 6443;
pub(crate) const SSH_PORT: u16 = 22;
pub(crate) const DNS_PORT: u16 = 53;
pub(crate) const NTP_PORT: u16 = 123;

impl Policy {
    /// The standard policy. Nothing passes from one network to another; machines and pods reach
    /// the internet, and nobody is reached from there; the host reaches all; guests ask the
    /// router for names, time and echo only. etcd members are reached by control planes only,
    /// and no machine of several networks is a way between them. What is for an address of the
    /// lab that no network has is refused and not sent out.
    ///
    /// A pod whose node has its default routes on another network than the pods' is taken for a
    /// liar there, unless its CNI plugin gives it the node's address on the way.
    #[must_use]
    pub fn standard(plan: &Plan) -> Self {
        let mut chains = vec![router_forward(plan), router_input(plan)];
        chains.extend(guests::chains(plan));
        Self {
            sets: sets(plan, &chains),
            chains,
            v4: plan.v4_mode,
            v6: plan.v6_mode,
            exposures: over_link(plan).into_iter().collect(),
        }
    }

    /// The same policy, and the API servers behind the router's addresses on its uplink, for
    /// everybody. Nothing changes without Kubernetes or control planes, or the second time.
    #[must_use]
    pub fn with_api_on_uplink(mut self, plan: &Plan) -> Self {
        let at = plan.internet.map(|internet| internet.router);
        let Some(exposure) = exposure(plan, Zone::Internet, at) else {
            return self;
        };
        if self.exposures.contains(&exposure) {
            return self;
        }
        let servers = AddressSet::Members(Role::ControlPlane, exposure.network.clone());
        let members = members(plan, &servers);
        let rule = Rule::new("api-from-internet", Verdict::Allow)
            .entering(&[Zone::Internet])
            .leaving(&[Zone::Network(exposure.network.clone())])
            .to(servers.clone())
            .traffic(Traffic::Tcp(vec![exposure.port]));
        self.sets.insert(servers, members);
        let chains = self.chains.iter_mut();
        for chain in chains.filter(|chain| chain.point == Point::RouterForward) {
            let at = chain.rules.iter().position(|rule| rule.name == UNSOLICITED);
            chain
                .rules
                .insert(at.unwrap_or(chain.rules.len()), rule.clone());
        }
        self.exposures.push(exposure);
        self
    }
}

const UNSOLICITED: &str = "unsolicited";

/// For the user's own kubectl.
fn over_link(plan: &Plan) -> Option<ApiExposure> {
    let at = plan.link?.router;
    exposure(plan, Zone::Host, Some(at))
}

fn exposure(plan: &Plan, entering: Zone, at: Option<Addresses>) -> Option<ApiExposure> {
    let network = plan.kubernetes.as_ref()?.network.clone();
    let planes = plan.role(Role::ControlPlane);
    let servers = planes.filter_map(|plane| answering(plane, network.as_str()));
    let servers: Vec<Addresses> = servers.collect();
    (!servers.is_empty()).then_some(ApiExposure {
        entering,
        at,
        network,
        servers,
        port: API_PORT,
    })
}

/// The addresses of a machine on a network at which it answers to who is elsewhere: of the families
/// that it has default routes of.
fn answering(machine: &Machine, network: &str) -> Option<Addresses> {
    let (own, main) = (machine.address(network)?, machine.main_address()?);
    let mut addresses = Addresses::default();
    let families = Family::BOTH.into_iter();
    for address in families.filter_map(|family| main.of(family).and(own.of(family))) {
        addresses.insert(address);
    }
    addresses.iter().next().map(|_| addresses)
}

fn zone(network: &Network) -> Zone {
    Zone::Network(network.name.clone())
}

fn guest_zones(plan: &Plan) -> Vec<Zone> {
    plan.networks.iter().map(zone).collect()
}

fn router_forward(plan: &Plan) -> Chain {
    let mut rules = vec![Rule::established()];
    rules.extend(plan.networks.iter().map(spoof));
    // Before the state is asked: between a machine and a pod of one network the router sees only
    // one direction, since the node answers the machine directly.
    rules.extend(plan.networks.iter().map(local));
    rules.push(Rule::invalid());
    rules.extend(between(plan));
    rules.push(Rule::new("icmp-errors", Verdict::Allow).traffic(Traffic::IcmpErrors));
    rules.extend(egress(plan));
    rules.extend(outside(plan));
    Chain {
        point: Point::RouterForward,
        rules,
        default: Verdict::Drop,
    }
}

fn egress(plan: &Plan) -> Vec<Rule> {
    let guests = guest_zones(plan);
    let egress = |name, verdict| {
        Rule::new(name, verdict)
            .entering(&guests)
            .leaving(&[Zone::Internet])
    };
    // Nobody's addresses of the lab: only the default route leads to them, and they are not
    // translated.
    let mut rules = vec![egress("unassigned", Verdict::Refuse).to(AddressSet::Lab)];
    if plan.v6_mode == V6Mode::UlaOnly {
        // Refused, so that a client takes IPv4 at once.
        rules.push(egress("ula-only", Verdict::Refuse).family(Family::V6));
    }
    rules.push(egress("egress", Verdict::Allow));
    rules
}

/// To and from what is neither the lab's nor the internet.
fn outside(plan: &Plan) -> Vec<Rule> {
    let guests = guest_zones(plan);
    match plan.router {
        RouterSpec::Namespace => vec![
            Rule::new("host-to-guests", Verdict::Allow)
                .entering(&[Zone::Host])
                .leaving(&guests),
            Rule::new("guests-to-host", Verdict::Refuse)
                .entering(&guests)
                .leaving(&[Zone::Host]),
            Rule::new(UNSOLICITED, Verdict::Drop).entering(&[Zone::Internet]),
        ],
        RouterSpec::Host { .. } => vec![
            Rule::new(UNSOLICITED, Verdict::Drop).leaving(&guests),
            // To what else the host is a router for: other labs, containers.
            Rule::new("guests-to-others", Verdict::Refuse).entering(&guests),
        ],
    }
}

fn spoof(network: &Network) -> Rule {
    Rule::new(format!("spoof-{}", network.name), Verdict::Drop)
        .entering(&[zone(network)])
        .from(Source::NotIn(AddressSet::Network(network.name.clone())))
}

/// An address of this network on what comes from another one: answers to it would go to machines
/// that asked nothing. Link-local addresses are of no network, and may ask.
fn forged(plan: &Plan, network: &Network) -> Option<Rule> {
    let mut others = guest_zones(plan);
    others.retain(|other| *other != zone(network));
    let rule = Rule::new(format!("forged-{}", network.name), Verdict::Drop)
        .entering(&others)
        .from(Source::In(AddressSet::Network(network.name.clone())));
    // From no zone would be from all.
    (!others.is_empty()).then_some(rule)
}

fn local(network: &Network) -> Rule {
    Rule::new(format!("{}-local", network.name), Verdict::Allow)
        .entering(&[zone(network)])
        .leaving(&[zone(network)])
}

/// Every ordered pair of networks.
fn between(plan: &Plan) -> Vec<Rule> {
    let from = plan.networks.iter();
    let pairs = from.flat_map(|from| plan.networks.iter().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| from.name != to.name)
        .map(|(from, to)| {
            Rule::new(format!("{}-to-{}", from.name, to.name), Verdict::Drop)
                .entering(&[zone(from)])
                .leaving(&[zone(to)])
        })
        .collect()
}

fn router_input(plan: &Plan) -> Chain {
    let guests = guest_zones(plan);
    let guest = |name| Rule::new(name, Verdict::Allow).entering(&guests);
    let mut rules = vec![Rule::established(), Rule::invalid()];
    let networks = plan.networks.iter();
    rules.extend(networks.filter_map(|network| forged(plan, network)));
    rules.extend([
        Rule::new("neighbours", Verdict::Allow).traffic(Traffic::Neighbours),
        Rule::new("icmp-errors", Verdict::Allow).traffic(Traffic::IcmpErrors),
    ]);
    if plan.link.is_some() {
        rules.push(Rule::new("host-to-router", Verdict::Allow).entering(&[Zone::Host]));
    }
    rules.extend([
        guest("guest-echo").traffic(Traffic::Echo),
        guest("guest-dns").traffic(Traffic::Udp(vec![DNS_PORT])),
        guest("guest-dns-tcp").traffic(Traffic::Tcp(vec![DNS_PORT])),
        guest("guest-ntp").traffic(Traffic::Udp(vec![NTP_PORT])),
        Rule::new("guests-to-router", Verdict::Refuse).entering(&guests),
    ]);
    Chain {
        point: Point::RouterInput,
        rules,
        default: Verdict::Drop,
    }
}
