//! The points that a packet passes, as the routes of the plan lead it.

use crate::names::{MachineName, NetworkName};
use crate::net::Family;
use crate::plan::{Machine, Plan};
use crate::policy::{Endpoint, Point, Policy, Probe, Zone};
use crate::requirement::RouterSpec;

/// A point on the way of a packet, with the zones that it enters from and leaves to there; `None`
/// is the machine itself, or a local interface as of a pod on this node.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) point: Point,
    pub(crate) entering: Option<Zone>,
    pub(crate) leaving: Option<Zone>,
}

impl Hop {
    fn new(point: Point, entering: Option<Zone>, leaving: Option<Zone>) -> Self {
        Self {
            point,
            entering,
            leaving,
        }
    }
}

/// The points that the first packet of a flow passes, in order, also those without rules.
pub(crate) fn hops(policy: &Policy, plan: &Plan, probe: &Probe) -> Vec<Hop> {
    let way = Way {
        policy,
        plan,
        probe,
    };
    match &probe.from {
        Endpoint::Machine(name) => way.of_machine(name),
        Endpoint::PodOn(node) => way.of_pod(node),
        Endpoint::Internet => way.through_router(Some(Zone::Internet)),
        Endpoint::Host if plan.link.is_some() => way.through_router(Some(Zone::Host)),
        // What the router sends itself is not judged there.
        Endpoint::Host | Endpoint::Router => way.arrival(),
    }
}

struct Way<'a> {
    policy: &'a Policy,
    plan: &'a Plan,
    probe: &'a Probe,
}

impl Way<'_> {
    fn family(&self) -> Family {
        self.probe.family()
    }

    fn machine(&self, name: &MachineName) -> Option<&Machine> {
        self.plan.machine(name.as_str())
    }

    fn of_machine(&self, name: &MachineName) -> Vec<Hop> {
        match self.machine(name) {
            Some(machine) => self.sent_by(machine),
            None => Vec::new(),
        }
    }

    /// A pod's packets are forwarded by its node.
    fn of_pod(&self, node: &MachineName) -> Vec<Hop> {
        let Some(machine) = self.machine(node) else {
            return Vec::new();
        };
        match &self.probe.to {
            Endpoint::PodOn(other) if other == node => Vec::new(),
            Endpoint::Machine(other) if other == node => {
                vec![Hop::new(input(machine), None, None)]
            }
            _ => {
                let leaving = self.next_network(machine);
                let mut hops = vec![Hop::new(forward(machine), None, Some(leaving))];
                hops.extend(self.sent_by(machine));
                hops
            }
        }
    }

    /// The way of a packet from the interface of a machine on.
    fn sent_by(&self, machine: &Machine) -> Vec<Hop> {
        if let Some(via) = &self.probe.via
            && let Some(router) = self.machine(via)
        {
            return self.through_machine(machine, router);
        }
        if self.connected(machine).is_some() {
            self.arrival()
        } else {
            self.through_router(Some(default_zone(machine)))
        }
    }

    /// Through a machine that is no router, but forwards.
    fn through_machine(&self, sender: &Machine, router: &Machine) -> Vec<Hop> {
        let shared = sender.nics.iter().filter(|nic| {
            let own = router.nic(nic.network.as_str());
            own.is_some_and(|own| own.address.of(self.family()).is_some())
        });
        // The network of the default routes where both are on it.
        let shared = shared.max_by_key(|nic| nic.default_route);
        let entering = shared.map(|nic| Zone::Network(nic.network.clone()));
        let leaving = self.next_network(router);
        let mut hops = vec![Hop::new(forward(router), entering, Some(leaving.clone()))];
        hops.extend(match self.connected(router) {
            Some(_) => self.arrival(),
            None => self.through_router(Some(leaving)),
        });
        hops
    }

    /// Past the router, whose own addresses may be the destination.
    fn through_router(&self, entering: Option<Zone>) -> Vec<Hop> {
        if let Some(hops) = self.to_exposed_api(entering.as_ref()) {
            return hops;
        }
        let is_router = match self.plan.router {
            RouterSpec::Namespace => self.probe.to == Endpoint::Router,
            RouterSpec::Host { .. } => {
                matches!(self.probe.to, Endpoint::Router | Endpoint::Host)
            }
        };
        if is_router {
            return vec![Hop::new(Point::RouterInput, entering, None)];
        }
        let mut hops = vec![Hop::new(Point::RouterForward, entering, self.target_zone())];
        hops.extend(self.arrival());
        hops
    }

    /// The router's port that leads on to an API server.
    fn to_exposed_api(&self, entering: Option<&Zone>) -> Option<Vec<Hop>> {
        if !matches!(self.probe.to, Endpoint::Router | Endpoint::Host) {
            return None;
        }
        let destination = self.probe.destination;
        let exposure = self.policy.exposures.iter().find(|exposure| {
            let at = exposure.at.map(|at| at.of(self.family()));
            entering == Some(&exposure.entering)
                && self.probe.is_tcp_to(exposure.port)
                && at.is_none_or(|at| at == Some(destination))
        })?;
        let mut servers = exposure.servers.iter();
        let server = servers.find_map(|server| server.of(self.family()))?;
        let leaving = Zone::Network(exposure.network.clone());
        let hop = Hop::new(
            Point::RouterForward,
            entering.cloned(),
            Some(leaving.clone()),
        );
        let machine = self.plan.machines.iter().find(|machine| {
            let address = machine.address(exposure.network.as_str());
            address.and_then(|address| address.of(self.family())) == Some(server)
        })?;
        Some(vec![hop, Hop::new(input(machine), Some(leaving), None)])
    }

    /// The points at the destination itself.
    fn arrival(&self) -> Vec<Hop> {
        let entering = self.target_zone();
        let (name, is_pod) = match &self.probe.to {
            Endpoint::Machine(name) => (name, false),
            Endpoint::PodOn(name) => (name, true),
            _ => return Vec::new(),
        };
        let Some(machine) = self.machine(name) else {
            return Vec::new();
        };
        let point = if is_pod {
            forward(machine)
        } else {
            input(machine)
        };
        vec![Hop::new(point, entering, None)]
    }

    /// The zone that the destination is reached in.
    fn target_zone(&self) -> Option<Zone> {
        match &self.probe.to {
            Endpoint::Machine(name) => {
                let nics = self.machine(name)?.nics.iter();
                let mut nics = nics
                    .filter(|nic| nic.address.of(self.family()) == Some(self.probe.destination));
                nics.next().map(|nic| Zone::Network(nic.network.clone()))
            }
            Endpoint::PodOn(_) => self.pod_network().cloned().map(Zone::Network),
            Endpoint::Host => Some(Zone::Host),
            Endpoint::Internet => Some(Zone::Internet),
            Endpoint::Router => None,
        }
    }

    fn pod_network(&self) -> Option<&NetworkName> {
        let kubernetes = self.plan.kubernetes.as_ref();
        kubernetes.map(|kubernetes| &kubernetes.network)
    }

    /// The network of a machine on which the destination is, or for a pod its node: no router
    /// is asked.
    fn connected(&self, machine: &Machine) -> Option<Zone> {
        let (destination, family) = (self.probe.destination, self.family());
        if let Endpoint::PodOn(_) = self.probe.to {
            let network = self.pod_network()?;
            machine.pods?.of(family)?;
            machine.nic(network.as_str())?;
            return Some(Zone::Network(network.clone()));
        }
        let connected = machine.nics.iter().find(|nic| {
            let net = self.plan.network_of(nic).nets.of(family);
            net.is_some_and(|net| net.contains(destination))
        });
        let nic = connected.filter(|_| matches!(self.probe.to, Endpoint::Machine(_)))?;
        Some(Zone::Network(nic.network.clone()))
    }

    fn next_network(&self, machine: &Machine) -> Zone {
        self.connected(machine)
            .unwrap_or_else(|| default_zone(machine))
    }
}

fn default_zone(machine: &Machine) -> Zone {
    let nic = machine.main_nic();
    let nic = nic.expect("a machine of a plan has default routes");
    Zone::Network(nic.network.clone())
}

fn input(machine: &Machine) -> Point {
    Point::GuestInput(machine.class.clone())
}

fn forward(machine: &Machine) -> Point {
    Point::GuestForward(machine.class.clone())
}
