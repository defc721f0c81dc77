//! Ends that are machines elsewhere: everything is done by commands on them, and the router opens connections.

use super::{
    CheckError, flows, listeners,
    stage::{Ends, NODE_END, Outcome, batch, remove_pod},
    trial::{self, Trial},
};
use crate::{Hosts, blueprint::API_PORT};
use futures::{StreamExt, future::try_join_all, stream};
use host_exec::Host;
use netplan::{Addresses, Endpoint, Expectation};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    time::Duration,
};

/// The namespace on a node that plays a pod.
const POD: &str = "lab-probe";

/// The address of the node's end of the wire to a pod. Without one that is said, udev gives it another a moment later
/// (`MACAddressPolicy` of systemd.link(5)), and the pod goes on sending to the first.
const NODE_MAC: &str = "02:6c:61:62:00:01";

/// Connections that the router opens at the same time.
const DIALS: usize = 8;

/// Where the router answers without our help: its administrator's SSH, and the API behind it.
const ROUTER_PORTS: [u16; 2] = [22, API_PORT];

/// Machines that run commands, and the host that is the router between them.
pub(super) struct Machines<'h> {
    hosts: &'h Hosts,
    router: &'h dyn Host,
    internet: Addresses,
}

/// Where commands act: on a host, in one of its named namespaces if it is said.
struct Place<'h> {
    host: &'h dyn Host,
    namespace: Option<&'static str>,
}

/// What came of connections, by who tried and whom.
type Outcomes = BTreeMap<(Endpoint, SocketAddr), Outcome>;

impl<'h> Machines<'h> {
    pub(super) fn new(hosts: &'h Hosts, router: &'h dyn Host) -> Self {
        Self {
            hosts,
            router,
            internet: Addresses::default(),
        }
    }

    /// Tries the way out to these addresses, where a server at port 80 has to tell whoever connects the address that
    /// it sees, on a line of its own. Without them the way out is not tried.
    #[must_use]
    pub(super) fn with_internet(mut self, internet: Addresses) -> Self {
        self.internet = internet;
        self
    }

    fn host(&self, name: &str) -> Result<&dyn Host, CheckError> {
        let mut hosts = self.hosts.iter();
        let found = hosts.find(|(host, _)| host.as_str() == name);
        match found {
            Some((_, host)) => Ok(host.as_ref()),
            None => Err(CheckError::NoHost {
                machine: name.to_owned(),
            }),
        }
    }

    /// Where commands act for an endpoint; `None` for those where none is run.
    fn place(&self, endpoint: &Endpoint) -> Result<Option<Place<'_>>, CheckError> {
        let (name, namespace) = match endpoint {
            Endpoint::Machine(name) => (name, None),
            Endpoint::PodOn(node) => (node, Some(POD)),
            _ => return Ok(None),
        };
        let host = self.host(name.as_str())?;
        Ok(Some(Place { host, namespace }))
    }

    /// All flows of one sender.
    async fn from(
        &self,
        sender: &Endpoint,
        flows: &[&Expectation],
        limit: Duration,
    ) -> Result<Outcomes, CheckError> {
        let outcomes = match self.place(sender)? {
            Some(place) => place.attempt(flows, limit).await?,
            None => self.by_router(flows, limit).await,
        };
        let outcomes = outcomes.into_iter();
        Ok(outcomes
            .map(|(to, outcome)| ((sender.clone(), to), outcome))
            .collect())
    }

    async fn by_router(
        &self,
        flows: &[&Expectation],
        limit: Duration,
    ) -> BTreeMap<SocketAddr, Outcome> {
        let dials = flows.iter().map(|flow| async {
            let to = flows::address(flow);
            let outcome = match self.router.dial(to, limit).await {
                Ok(_) => Outcome::Through { sender: None },
                Err(error) => match error.source.kind() {
                    io::ErrorKind::TimedOut => Outcome::silent(limit),
                    // Over SSH that is all that is told of any failure.
                    io::ErrorKind::ConnectionRefused => Outcome::Not("did not get through".into()),
                    _ => Outcome::Not(error.source.to_string()),
                },
            };
            (to, outcome)
        });
        stream::iter(dials).buffer_unordered(DIALS).collect().await
    }
}

impl Place<'_> {
    /// Tries all flows that begin here by one command.
    async fn attempt(
        &self,
        flows: &[&Expectation],
        limit: Duration,
    ) -> Result<BTreeMap<SocketAddr, Outcome>, CheckError> {
        let trial = |flow: &&Expectation| Trial {
            to: flows::address(flow),
            tells: flow.probe.to == Endpoint::Internet,
        };
        let trials: BTreeSet<_> = flows.iter().map(trial).collect();
        let command = trial::command(&trials, self.namespace, limit);
        let ran = self.host.run(&command).await;
        let output = ran.map_err(|error| CheckError::Try(trial::shortened(error)))?;
        Ok(trial::outcomes(&output.stdout_text(), limit))
    }
}

impl Ends for Machines<'_> {
    fn prepare(&self, flow: &Expectation) -> Result<Expectation, &'static str> {
        let mut flow = flow.clone();
        match (&flow.probe.from, &flow.probe.to) {
            (Endpoint::Internet, _) => Err("nobody of the lab is on the internet to try it"),
            (_, Endpoint::Internet) => {
                let server = self.internet.of(flow.family);
                flow.probe.destination =
                    server.ok_or("no server on the internet is known that tells who it sees")?;
                Ok(flow)
            }
            (_, Endpoint::Router | Endpoint::Host)
                if flow.allowed && !ROUTER_PORTS.contains(&flow.probe.port) =>
            {
                Err("the host is not made to listen there")
            }
            _ => Ok(flow),
        }
    }

    async fn in_machine(&self, machine: &str, lines: &str) -> Result<(), CheckError> {
        batch(self.host(machine)?, None, lines).await
    }

    async fn in_pod(&self, node: &str, lines: &str) -> Result<(), CheckError> {
        batch(self.host(node)?, Some(POD), lines).await
    }

    async fn add_wire(&self, node: &str) -> Result<(), CheckError> {
        let lines = format!(
            "netns add {POD}\nlink add name {NODE_END} address {NODE_MAC} type veth peer name eth0 netns {POD}\n"
        );
        self.in_machine(node, &lines).await
    }

    async fn listen(&mut self, servers: BTreeMap<SocketAddr, Endpoint>) -> Result<(), CheckError> {
        let mut own: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (address, endpoint) in servers {
            own.entry(endpoint).or_default().insert(address);
        }
        let this = &*self;
        let work = own.iter().map(|(endpoint, addresses)| async move {
            match this.place(endpoint)? {
                Some(place) => {
                    let started = listeners::start(place.host, place.namespace, addresses).await;
                    started.map_err(CheckError::Stage)
                }
                None => Ok(()),
            }
        });
        try_join_all(work).await.map(drop)
    }

    async fn attempt(
        &self,
        flows: &[Expectation],
        limit: Duration,
    ) -> Result<Vec<Outcome>, CheckError> {
        let mut senders: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for flow in flows {
            let own = senders.entry(&flow.probe.from).or_default();
            own.push(flow);
        }
        let tries = senders.iter();
        let tries = tries.map(|(sender, flows)| self.from(sender, flows, limit));
        let outcomes: Outcomes = try_join_all(tries).await?.into_iter().flatten().collect();
        let outcome = |flow: &Expectation| {
            let key = (flow.probe.from.clone(), flows::address(flow));
            outcomes
                .get(&key)
                .cloned()
                .ok_or_else(|| CheckError::Unsaid {
                    from: key.0.to_string(),
                    address: key.1,
                })
        };
        flows.iter().map(outcome).collect()
    }

    async fn clear(&mut self, nodes: &[String]) -> Result<(), CheckError> {
        let stops = self.hosts.values();
        let stops = stops.map(|host| listeners::stop(host.as_ref()));
        try_join_all(stops).await.map_err(CheckError::Stage)?;
        let pods = nodes.iter();
        let pods = pods.map(|node| async { remove_pod(self.host(node)?, None, POD).await });
        try_join_all(pods).await.map(drop)
    }
}
