//! The policy of the reference lab.

use std::collections::BTreeMap;

use crate::net::Net;
use crate::plan::{AddressPair, Class, NetworkName, Plan};
use crate::policy::{
    AddressSet, ApiExposure, Point, Policy, Rule, Source, Traffic, V4Mode, V6Mode, Verdict, Zone,
};

/// The port of the Kubernetes API (`--secure-port`'s default).
pub(crate) const API_PORT: u16 = 6443;
/// etcd's port for clients (`--listen-client-urls`'s default).
pub(crate) const ETCD_CLIENT_PORT: u16 = 2379;
/// etcd's port for its peers (`--listen-peer-urls`'s default).
pub(crate) const ETCD_PEER_PORT: u16 = 2380;
const SSH_PORT: u16 = 22;
const DNS_PORT: u16 = 53;
const NTP_PORT: u16 = 123;

impl Policy {
    /// The standard policy: only control planes reach etcd, and only on its own network; all
    /// machines and pods reach the internet; nobody is reached from there; the host reaches all.
    #[must_use]
    pub fn standard(plan: &Plan) -> Self {
        let mut rules = router_forward();
        rules.extend(router_input());
        rules.extend(etcd_input());
        rules.extend(control_plane());
        Self {
            sets: sets(plan),
            rules,
            v4: V4Mode::Masquerade,
            v6: V6Mode::Routed,
            api: ApiExposure {
                at: plan.link.router,
                servers: plan
                    .addresses(Class::ControlPlane, NetworkName::Kube)
                    .collect(),
                port: API_PORT,
            },
        }
    }
}

fn sets(plan: &Plan) -> BTreeMap<AddressSet, Vec<Net>> {
    let hosts = |addresses: &mut dyn Iterator<Item = AddressPair>| {
        addresses
            .flat_map(AddressPair::both)
            .map(Net::host)
            .collect::<Vec<_>>()
    };
    let etcd = plan.network(NetworkName::Etcd);
    let kube = plan.network(NetworkName::Kube);
    let on_etcd = |class| plan.addresses(class, NetworkName::Etcd);
    let administration = [plan.link.host, etcd.gateway, kube.gateway];
    BTreeMap::from([
        (AddressSet::Lab, plan.supernet.both().to_vec()),
        (AddressSet::EtcdNetwork, etcd.nets.both().to_vec()),
        (
            AddressSet::KubeNetwork,
            [kube.nets.both(), plan.pods.both()].concat(),
        ),
        (AddressSet::EtcdMembers, hosts(&mut on_etcd(Class::Etcd))),
        (
            AddressSet::ControlPlanes,
            hosts(&mut on_etcd(Class::ControlPlane)),
        ),
        (
            AddressSet::Administration,
            hosts(&mut administration.into_iter()),
        ),
    ])
}

/// A rule for all packets, to be narrowed.
fn rule(name: &'static str, point: Point, verdict: Verdict) -> Rule {
    let (entering, leaving) = (Vec::new(), Vec::new());
    Rule {
        name,
        point,
        entering,
        leaving,
        from: None,
        traffic: Traffic::Any,
        verdict,
    }
}

impl Rule {
    fn entering(mut self, zones: &[Zone]) -> Self {
        self.entering = zones.to_vec();
        self
    }

    fn leaving(mut self, zones: &[Zone]) -> Self {
        self.leaving = zones.to_vec();
        self
    }

    fn from(mut self, source: Source) -> Self {
        self.from = Some(source);
        self
    }

    fn traffic(mut self, traffic: Traffic) -> Self {
        self.traffic = traffic;
        self
    }
}

const GUESTS: [Zone; 2] = [Zone::Etcd, Zone::Kube];

fn router_forward() -> Vec<Rule> {
    let rule = |name, verdict| rule(name, Point::RouterForward, verdict);
    vec![
        rule("spoof-etcd", Verdict::Drop)
            .entering(&[Zone::Etcd])
            .from(Source::NotIn(AddressSet::EtcdNetwork)),
        rule("spoof-kube", Verdict::Drop)
            .entering(&[Zone::Kube])
            .from(Source::NotIn(AddressSet::KubeNetwork)),
        rule("kube-to-etcd", Verdict::Drop)
            .entering(&[Zone::Kube])
            .leaving(&[Zone::Etcd]),
        rule("etcd-to-kube", Verdict::Drop)
            .entering(&[Zone::Etcd])
            .leaving(&[Zone::Kube]),
        rule("icmp-errors", Verdict::Allow).traffic(Traffic::IcmpErrors),
        rule("egress", Verdict::Allow)
            .entering(&GUESTS)
            .leaving(&[Zone::Internet]),
        rule("kube-local", Verdict::Allow)
            .entering(&[Zone::Kube])
            .leaving(&[Zone::Kube]),
        rule("host-to-guests", Verdict::Allow)
            .entering(&[Zone::Host])
            .leaving(&GUESTS),
        rule("guests-to-host", Verdict::Refuse)
            .entering(&GUESTS)
            .leaving(&[Zone::Host]),
        rule("unsolicited", Verdict::Drop).entering(&[Zone::Internet]),
    ]
}

fn router_input() -> Vec<Rule> {
    let rule = |name, verdict| rule(name, Point::RouterInput, verdict);
    vec![
        rule("neighbours", Verdict::Allow).traffic(Traffic::Neighbours),
        rule("icmp-errors", Verdict::Allow).traffic(Traffic::IcmpErrors),
        rule("host-to-router", Verdict::Allow).entering(&[Zone::Host]),
        rule("guest-echo", Verdict::Allow)
            .entering(&GUESTS)
            .traffic(Traffic::Echo),
        rule("guest-dns", Verdict::Allow)
            .entering(&GUESTS)
            .traffic(Traffic::Udp(vec![DNS_PORT])),
        rule("guest-dns-tcp", Verdict::Allow)
            .entering(&GUESTS)
            .traffic(Traffic::Tcp(vec![DNS_PORT])),
        rule("guest-ntp", Verdict::Allow)
            .entering(&GUESTS)
            .traffic(Traffic::Udp(vec![NTP_PORT])),
        rule("guests-to-router", Verdict::Refuse).entering(&GUESTS),
    ]
}

fn etcd_input() -> Vec<Rule> {
    let rule = |name| rule(name, Point::EtcdInput, Verdict::Allow);
    let peers = Traffic::Tcp(vec![ETCD_CLIENT_PORT, ETCD_PEER_PORT]);
    vec![
        rule("icmp").traffic(Traffic::Icmp),
        rule("etcd-client")
            .entering(&[Zone::Etcd])
            .from(Source::In(AddressSet::ControlPlanes))
            .traffic(Traffic::Tcp(vec![ETCD_CLIENT_PORT])),
        rule("etcd-peer")
            .entering(&[Zone::Etcd])
            .from(Source::In(AddressSet::EtcdMembers))
            .traffic(peers),
        rule("ssh")
            .entering(&[Zone::Etcd])
            .from(Source::In(AddressSet::Administration))
            .traffic(Traffic::Tcp(vec![SSH_PORT])),
    ]
}

/// etcd members answer control planes and begin nothing: so over `etcd` a control plane takes
/// replies, ICMP and administration, and its API is not served there.
fn control_plane() -> Vec<Rule> {
    let input =
        |name, verdict| rule(name, Point::ControlPlaneInput, verdict).entering(&[Zone::Etcd]);
    let forward = |name| rule(name, Point::ControlPlaneForward, Verdict::Drop);
    vec![
        input("guard-icmp", Verdict::Allow).traffic(Traffic::Icmp),
        input("guard-ssh", Verdict::Allow)
            .from(Source::In(AddressSet::Administration))
            .traffic(Traffic::Tcp(vec![SSH_PORT])),
        input("guard-input", Verdict::Drop),
        forward("guard-into-etcd").leaving(&[Zone::Etcd]),
        forward("guard-out-of-etcd").entering(&[Zone::Etcd]),
    ]
}
