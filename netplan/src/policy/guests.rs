//! The standard policy's rules inside the machines, by class.

use crate::names::NetworkName;
use crate::plan::{Class, Plan};
use crate::policy::standard::SSH_PORT;
use crate::policy::{AddressSet, Chain, Point, Rule, Source, Traffic, Verdict, Zone};
use crate::requirement::Role;

/// etcd's port for clients (`--listen-client-urls`'s default).
pub(crate) const ETCD_CLIENT_PORT: u16 = 2379;
/// etcd's port for its peers (`--listen-peer-urls`'s default).
pub(crate) const ETCD_PEER_PORT: u16 = 2380;

/// The chains of all classes that need some.
pub(crate) fn chains(plan: &Plan) -> Vec<Chain> {
    let chains = plan.classes.iter().flat_map(|class| match class.role {
        Role::Etcd => vec![member_input(class), member_forward(class)],
        _ if class.is_multi_homed() => {
            let input = guard_input(plan, class).into_iter();
            input.chain([guard_forward(plan, class)]).collect()
        }
        _ => Vec::new(),
    });
    chains.collect()
}

fn zone(network: &NetworkName) -> Zone {
    Zone::Network(network.clone())
}

/// Who speaks with an etcd member: control planes and the other members, each with its own
/// address on the member's network.
fn member_input(class: &Class) -> Chain {
    let mut rules = vec![
        Rule::established(),
        Rule::invalid(),
        Rule::new("icmp", Verdict::Allow).traffic(Traffic::Icmp),
    ];
    for network in &class.networks {
        let from = |name, set| {
            Rule::new(name, Verdict::Allow)
                .entering(&[zone(network)])
                .from(Source::In(set))
        };
        let members = |role| AddressSet::Members(role, network.clone());
        let peers = vec![ETCD_CLIENT_PORT, ETCD_PEER_PORT];
        rules.extend([
            from("etcd-client", members(Role::ControlPlane))
                .traffic(Traffic::Tcp(vec![ETCD_CLIENT_PORT])),
            from("etcd-peer", members(Role::Etcd)).traffic(Traffic::Tcp(peers)),
            from("ssh", AddressSet::Administration).traffic(Traffic::Tcp(vec![SSH_PORT])),
        ]);
    }
    Chain {
        point: Point::GuestInput(class.name.clone()),
        rules,
        default: Verdict::Drop,
    }
}

/// A member is no router.
fn member_forward(class: &Class) -> Chain {
    Chain {
        point: Point::GuestForward(class.name.clone()),
        rules: Vec::new(),
        default: Verdict::Drop,
    }
}

/// etcd members answer and begin nothing: so over their network others take replies, ICMP and
/// administration, and their API is not served there.
fn guard_input(plan: &Plan, class: &Class) -> Option<Chain> {
    let guarded: Vec<Zone> = guarded(plan, class)
        .filter(|network| is_for_etcd(plan, network))
        .map(zone)
        .collect();
    if guarded.is_empty() {
        return None;
    }
    let rules = vec![
        Rule::established(),
        Rule::invalid(),
        Rule::new("guard-icmp", Verdict::Allow).traffic(Traffic::Icmp),
        Rule::new("guard-ssh", Verdict::Allow)
            .from(Source::In(AddressSet::Administration))
            .traffic(Traffic::Tcp(vec![SSH_PORT])),
        Rule::new("guard-input", Verdict::Drop),
    ];
    let rules = rules.into_iter().map(|rule| rule.entering(&guarded));
    Some(Chain {
        point: Point::GuestInput(class.name.clone()),
        rules: rules.collect(),
        default: Verdict::Allow,
    })
}

/// Nothing is forwarded into a network or out of it, except on the network of the default routes
/// and, on a node, on that of the pods; and nothing between these two. Without state: no reply
/// has a reason to pass here.
fn guard_forward(plan: &Plan, class: &Class) -> Chain {
    let mut rules = Vec::new();
    for network in guarded(plan, class) {
        let rule = |name: &str| Rule::new(format!("guard-{name}-{network}"), Verdict::Drop);
        rules.push(rule("into").leaving(&[zone(network)]));
        rules.push(rule("out-of").entering(&[zone(network)]));
    }
    if let Some(pods) = pod_network(plan, class)
        && *pods != class.default_route
    {
        let ways = [(pods, &class.default_route), (&class.default_route, pods)];
        rules.extend(ways.map(|(from, to)| {
            Rule::new(format!("guard-{from}-to-{to}"), Verdict::Drop)
                .entering(&[zone(from)])
                .leaving(&[zone(to)])
        }));
    }
    Chain {
        point: Point::GuestForward(class.name.clone()),
        rules,
        default: Verdict::Allow,
    }
}

/// The networks that a class only uses for itself.
fn guarded<'a>(plan: &'a Plan, class: &'a Class) -> impl Iterator<Item = &'a NetworkName> {
    let pods = pod_network(plan, class);
    let networks = class.networks.iter();
    networks.filter(move |name| **name != class.default_route && Some(*name) != pods)
}

/// The network over which the pods of a class's machines are reached.
fn pod_network<'a>(plan: &'a Plan, class: &Class) -> Option<&'a NetworkName> {
    let kubernetes = plan.kubernetes.as_ref()?;
    class.role.is_node().then_some(&kubernetes.network)
}

/// Whether a network is there for etcd: members are on it, and nobody else has it as the network
/// of default routes or of pods.
fn is_for_etcd(plan: &Plan, network: &NetworkName) -> bool {
    let has_members = |class: &Class| class.role == Role::Etcd && class.networks.contains(network);
    let lives_there = |class: &Class| {
        let pods = pod_network(plan, class);
        class.role != Role::Etcd && (class.default_route == *network || pods == Some(network))
    };
    plan.classes.iter().any(has_members) && !plan.classes.iter().any(lives_there)
}
