//! The standard policy of a lab: its sets, and the rules of its router.

use std::collections::BTreeMap;

use crate::addresses::{Addresses, Nets};
use crate::net::{Family, Net};
use crate::plan::{Network, Plan};
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
    /// and no machine of several networks is a way between them.
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
    /// everybody. Nothing changes without Kubernetes or control planes.
    #[must_use]
    pub fn with_api_on_uplink(mut self, plan: &Plan) -> Self {
        let at = plan.internet.map(|internet| internet.router);
        let Some(exposure) = exposure(plan, Zone::Internet, at) else {
            return self;
        };
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
    let servers: Vec<Addresses> = plan
        .addresses(Role::ControlPlane, network.as_str())
        .collect();
    (!servers.is_empty()).then_some(ApiExposure {
        entering,
        at,
        network,
        servers,
        port: API_PORT,
    })
}

/// The sets that the rules name, and the lab's for translation.
fn sets(plan: &Plan, chains: &[Chain]) -> BTreeMap<AddressSet, Vec<Net>> {
    let rules = chains.iter().flat_map(|chain| &chain.rules);
    let named = rules.flat_map(|rule| rule.from.iter().map(Source::set).chain(&rule.to));
    let networks = plan.networks.iter();
    let networks = networks.map(|network| AddressSet::Network(network.name.clone()));
    named
        .cloned()
        .chain(networks)
        .chain([AddressSet::Lab])
        .map(|set| {
            let members = members(plan, &set);
            (set, members)
        })
        .collect()
}

fn members(plan: &Plan, set: &AddressSet) -> Vec<Net> {
    let hosts = |addresses: &mut dyn Iterator<Item = Addresses>| {
        let addresses = addresses.flat_map(Addresses::iter);
        addresses.map(Net::host).collect()
    };
    match set {
        AddressSet::Lab => plan.supernet.iter().collect(),
        AddressSet::Network(name) => {
            let network = plan.network(name.as_str());
            let pods = plan.kubernetes.as_ref();
            let pods = pods.filter(|kubernetes| kubernetes.network == *name);
            let nets = network.map(|network| network.nets).into_iter();
            let nets = nets.chain(pods.map(|kubernetes| kubernetes.pods));
            nets.flat_map(Nets::iter).collect()
        }
        AddressSet::Members(role, network) => hosts(&mut plan.addresses(*role, network.as_str())),
        AddressSet::Administration => {
            let link = plan.link.iter().map(|link| link.host);
            let gateways = plan.networks.iter().map(|network| network.gateway);
            hosts(&mut link.chain(gateways))
        }
    }
}

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

fn zone(network: &Network) -> Zone {
    Zone::Network(network.name.clone())
}

fn guest_zones(plan: &Plan) -> Vec<Zone> {
    plan.networks.iter().map(zone).collect()
}

fn router_forward(plan: &Plan) -> Chain {
    let guests = guest_zones(plan);
    let is_host = matches!(plan.router, RouterSpec::Host { .. });
    let mut rules = vec![Rule::established()];
    rules.extend(plan.networks.iter().map(spoof));
    // Before the state is asked: between a machine and a pod of one network the router sees only
    // one direction, since the node answers the machine directly.
    rules.extend(plan.networks.iter().map(local));
    rules.push(Rule::invalid());
    rules.extend(between(plan));
    rules.push(Rule::new("icmp-errors", Verdict::Allow).traffic(Traffic::IcmpErrors));
    let egress = |name, verdict| {
        Rule::new(name, verdict)
            .entering(&guests)
            .leaving(&[Zone::Internet])
    };
    if plan.v6_mode == V6Mode::UlaOnly {
        // Refused, so that a client takes IPv4 at once.
        rules.push(egress("ula-only", Verdict::Refuse).family(Family::V6));
    }
    rules.push(egress("egress", Verdict::Allow));
    if is_host {
        rules.push(Rule::new(UNSOLICITED, Verdict::Drop).leaving(&guests));
        // To what else the host is a router for: other labs, containers.
        rules.push(Rule::new("guests-to-others", Verdict::Refuse).entering(&guests));
    } else {
        let host = [Zone::Host];
        rules.extend([
            Rule::new("host-to-guests", Verdict::Allow)
                .entering(&host)
                .leaving(&guests),
            Rule::new("guests-to-host", Verdict::Refuse)
                .entering(&guests)
                .leaving(&host),
            Rule::new(UNSOLICITED, Verdict::Drop).entering(&[Zone::Internet]),
        ]);
    }
    Chain {
        point: Point::RouterForward,
        rules,
        default: Verdict::Drop,
    }
}

fn spoof(network: &Network) -> Rule {
    Rule::new(format!("spoof-{}", network.name), Verdict::Drop)
        .entering(&[zone(network)])
        .from(Source::NotIn(AddressSet::Network(network.name.clone())))
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
    let mut rules = vec![
        Rule::established(),
        Rule::invalid(),
        Rule::new("neighbours", Verdict::Allow).traffic(Traffic::Neighbours),
        Rule::new("icmp-errors", Verdict::Allow).traffic(Traffic::IcmpErrors),
    ];
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
