//! Ends that are network namespaces of this machine: sockets are made inside them from here.

use super::{
    CheckError, flows,
    stage::{Ends, NODE_END, Outcome, batch, remove_pod},
};
use host_exec::{Host, NetworkNamespace};
use netplan::{Endpoint, Expectation};
use nspawn_vm::GroupName;
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

/// The machines of a group, its router and its internet.
pub(super) struct Namespaces<'h> {
    group: GroupName,
    here: &'h dyn Host,
    /// Dropping the set ends the servers.
    servers: JoinSet<()>,
}

impl<'h> Namespaces<'h> {
    pub(super) fn new(group: GroupName, here: &'h dyn Host) -> Self {
        Self {
            group,
            here,
            servers: JoinSet::new(),
        }
    }

    fn pod(&self, node: &str) -> String {
        self.group.netns(&format!("probe-{node}"))
    }

    /// Where an endpoint's connections come from.
    fn namespace(&self, endpoint: &Endpoint) -> NetworkNamespace {
        let named = |name: &str| NetworkNamespace::named(&self.group.netns(name));
        match endpoint {
            Endpoint::Machine(name) => named(name.as_str()),
            Endpoint::PodOn(node) => NetworkNamespace::named(&self.pod(node.as_str())),
            Endpoint::Router => named("router"),
            Endpoint::Internet => named("internet"),
            _ => NetworkNamespace::new("/proc/self/ns/net"),
        }
    }
}

impl Ends for Namespaces<'_> {
    fn prepare(&self, flow: &Expectation) -> Result<Expectation, &'static str> {
        Ok(flow.clone())
    }

    async fn in_machine(&self, machine: &str, lines: &str) -> Result<(), CheckError> {
        batch(self.here, Some(&self.group.netns(machine)), lines).await
    }

    async fn in_pod(&self, node: &str, lines: &str) -> Result<(), CheckError> {
        batch(self.here, Some(&self.pod(node)), lines).await
    }

    async fn add_wire(&self, node: &str) -> Result<(), CheckError> {
        let (pod, machine) = (self.pod(node), self.group.netns(node));
        let lines = format!(
            "netns add {pod}\nlink add name {NODE_END} netns {machine} type veth peer name eth0 netns {pod}\n"
        );
        batch(self.here, None, &lines).await
    }

    async fn listen(&mut self, servers: BTreeMap<SocketAddr, Endpoint>) -> Result<(), CheckError> {
        for (address, endpoint) in servers {
            match self.namespace(&endpoint).listen(address).await {
                Ok(listener) => drop(self.servers.spawn(tell_senders(listener))),
                // Somebody answers there already.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(source) => return Err(CheckError::Listen { address, source }),
            }
        }
        Ok(())
    }

    async fn attempt(
        &self,
        flows: &[Expectation],
        limit: Duration,
    ) -> Result<Vec<Outcome>, CheckError> {
        let tries = flows.iter().map(|flow| async move {
            let from = self.namespace(&flow.probe.from);
            attempt(&from, flow, limit).await
        });
        Ok(futures::future::join_all(tries).await)
    }

    async fn clear(&mut self, nodes: &[String]) -> Result<(), CheckError> {
        self.servers.abort_all();
        for node in nodes {
            let machine = self.group.netns(node);
            remove_pod(self.here, Some(&machine), &self.pod(node)).await?;
        }
        Ok(())
    }
}

/// Tells whoever connects the address it comes from, and hangs up.
pub(super) async fn tell_senders(listener: TcpListener) {
    while let Ok((mut stream, sender)) = listener.accept().await {
        // Who has hung up already does not want to know.
        let _ = stream
            .write_all(format!("{}\n", unmapped(sender)).as_bytes())
            .await;
    }
}

fn unmapped(sender: SocketAddr) -> IpAddr {
    sender.ip().to_canonical()
}

async fn attempt(from: &NetworkNamespace, flow: &Expectation, limit: Duration) -> Outcome {
    match from.dial(flows::address(flow), limit).await {
        Ok(mut stream) => {
            let mut said = String::new();
            // Only our own server on the internet says who it sees; others wait for us to speak.
            if flow.probe.to == Endpoint::Internet {
                let read = stream.read_to_string(&mut said);
                if !matches!(tokio::time::timeout(limit, read).await, Ok(Ok(_))) {
                    said.clear();
                }
            }
            let sender = said.trim().parse().ok();
            Outcome::Through { sender }
        }
        Err(error) => match error.kind() {
            io::ErrorKind::TimedOut => Outcome::silent(limit),
            io::ErrorKind::ConnectionRefused => Outcome::refused(),
            _ => Outcome::Not(error.to_string()),
        },
    }
}
