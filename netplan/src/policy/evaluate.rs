//! The model judges a flow, point by point.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::names::MachineName;
use crate::net::Family;
use crate::plan::{Class, Machine, NetworkName, Plan};
use crate::policy::{Point, Policy, Source, Traffic, Verdict, Zone};

/// Where a flow begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Endpoint {
    /// A machine.
    Machine(MachineName),
    /// A pod on this node, with an address of the pod range.
    PodOn(MachineName),
    /// The machine that runs the lab.
    Host,
    /// The router itself.
    Router,
    /// The internet.
    Internet,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(name) => f.pad(name.as_str()),
            Self::PodOn(node) => f.pad(&format!("pod on {node}")),
            Self::Host => f.pad("host"),
            Self::Router => f.pad("router"),
            Self::Internet => f.pad("internet"),
        }
    }
}

/// The transport of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A flow to be tried: its first packet, and the way that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Who begins.
    pub from: Endpoint,
    /// Who should answer.
    pub to: Endpoint,
    /// The source address; the family of the flow is its family.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The transport.
    pub protocol: Protocol,
    /// The destination port.
    pub port: u16,
    /// A control plane that the sender uses as a router instead of the lab's router.
    pub via: Option<MachineName>,
}

/// What one point says about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The point.
    pub point: Point,
    /// The name of the rule that decides, or `default`.
    pub rule: &'static str,
    /// What it decides.
    pub verdict: Verdict,
}

/// A point on the way of a packet, with the zones that it enters from and leaves to there; `None`
/// is a local interface, as of a pod on this node.
type Hop = (Point, Option<Zone>, Option<Zone>);

impl Policy {
    /// The decisions on the way of a flow's first packet, in order, up to the first that does not
    /// allow it. None at all: nothing stands in the way. Addresses and endpoints of the probe
    /// are taken as they are.
    #[must_use]
    pub fn explain(&self, plan: &Plan, probe: &Probe) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for hop in hops(plan, probe) {
            let decision = self.decide(hop, probe);
            decisions.push(decision);
            if decision.verdict != Verdict::Allow {
                break;
            }
        }
        decisions
    }

    fn decide(&self, (point, entering, leaving): Hop, probe: &Probe) -> Decision {
        let zone_matches = |zones: &[Zone], zone: Option<Zone>| {
            zones.is_empty() || zone.is_some_and(|zone| zones.contains(&zone))
        };
        let family = Family::of(probe.source);
        let is_in = |set| {
            self.members(set, family)
                .any(|net| net.contains(probe.source))
        };
        let matched = self.rules_at(point).find(|rule| {
            zone_matches(&rule.entering, entering)
                && zone_matches(&rule.leaving, leaving)
                && match rule.from {
                    None => true,
                    Some(Source::In(set)) => is_in(set),
                    Some(Source::NotIn(set)) => !is_in(set),
                }
                && match (&rule.traffic, probe.protocol) {
                    (Traffic::Any, _) => true,
                    (Traffic::Tcp(ports), Protocol::Tcp) | (Traffic::Udp(ports), Protocol::Udp) => {
                        ports.contains(&probe.port)
                    }
                    _ => false,
                }
        });
        match matched {
            Some(rule) => Decision {
                point,
                rule: rule.name,
                verdict: rule.verdict,
            },
            None => Decision {
                point,
                rule: "default",
                verdict: point.default_verdict(),
            },
        }
    }
}

/// The points that the first packet passes.
fn hops(plan: &Plan, probe: &Probe) -> Vec<Hop> {
    let from = attachments(plan, &probe.from);
    let Some(to) = zone_of_destination(plan, probe) else {
        // To the router itself, except the API port on the link, which leads on to `kube`.
        let entering = from.last().copied();
        return match (entering, probe.port) {
            (Some(Zone::Host), crate::policy::standard::API_PORT) => {
                vec![(Point::RouterForward, entering, Some(Zone::Kube))]
            }
            _ => vec![(Point::RouterInput, entering, None)],
        };
    };
    let mut hops = Vec::new();
    let on_link = from.contains(&to) && matches!(to, Zone::Etcd | Zone::Kube);
    if probe.via.is_some() {
        hops.push((Point::ControlPlaneForward, from.last().copied(), Some(to)));
    } else if pod_beside_etcd(plan, &probe.from) && to == Zone::Etcd {
        hops.push((Point::ControlPlaneForward, None, Some(to)));
    } else if !on_link {
        // The default route is on the last network: `kube` where there are two.
        hops.push((Point::RouterForward, from.last().copied(), Some(to)));
    }
    match class_of(plan, &probe.to) {
        Some(Class::Etcd) => hops.push((Point::EtcdInput, Some(to), None)),
        Some(Class::ControlPlane) => hops.push((Point::ControlPlaneInput, Some(to), None)),
        _ => {}
    }
    hops
}

/// The zones that an endpoint is in by itself.
fn attachments(plan: &Plan, endpoint: &Endpoint) -> Vec<Zone> {
    match endpoint {
        Endpoint::Machine(name) => {
            let machine = plan.machine(name.as_str());
            machine.map_or_else(Vec::new, |m| {
                m.nics.iter().map(|nic| zone(nic.network)).collect()
            })
        }
        Endpoint::PodOn(_) => vec![Zone::Kube],
        Endpoint::Host => vec![Zone::Host],
        Endpoint::Router => Vec::new(),
        Endpoint::Internet => vec![Zone::Internet],
    }
}

/// The zone that the destination address is in; `None` for the router's own addresses.
fn zone_of_destination(plan: &Plan, probe: &Probe) -> Option<Zone> {
    match &probe.to {
        Endpoint::Router => None,
        Endpoint::Internet => Some(Zone::Internet),
        Endpoint::Host => Some(Zone::Host),
        Endpoint::PodOn(_) => Some(Zone::Kube),
        Endpoint::Machine(_) => {
            let etcd = plan
                .network(NetworkName::Etcd)
                .nets
                .of(Family::of(probe.destination));
            Some(if etcd.contains(probe.destination) {
                Zone::Etcd
            } else {
                Zone::Kube
            })
        }
    }
}

fn zone(network: NetworkName) -> Zone {
    match network {
        NetworkName::Etcd => Zone::Etcd,
        NetworkName::Kube => Zone::Kube,
    }
}

fn class_of(plan: &Plan, endpoint: &Endpoint) -> Option<Class> {
    match endpoint {
        Endpoint::Machine(name) => plan.machine(name.as_str()).map(|machine| machine.class),
        _ => None,
    }
}

/// A pod whose node is on `etcd` itself: its packets need no router to get there.
fn pod_beside_etcd(plan: &Plan, endpoint: &Endpoint) -> bool {
    let on_etcd = |machine: &Machine| machine.nic(NetworkName::Etcd).is_some();
    match endpoint {
        Endpoint::PodOn(node) => plan.machine(node.as_str()).is_some_and(on_etcd),
        _ => false,
    }
}
