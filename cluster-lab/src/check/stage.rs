//! What the trial of the network needs besides the lab: namespaces that play pods, and servers to talk to.

use super::{
    CheckError,
    matrix::{pod_nodes, servers, stand_in_addresses},
};
use crate::{Blueprint, blueprint::both};
use host_exec::{Command, Host, NetworkNamespace, RunError, Stdin};
use netplan::{Endpoint, Expectation};
use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::Mutex,
};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinSet};

/// The interface that a node has towards the pod that is played on it.
const NODE_END: &str = "lab-probe";

/// The stage, set; it has to be struck.
pub(super) struct Stage<'b> {
    blueprint: &'b Blueprint,
    here: &'b dyn Host,
    /// Dropping the set ends the servers.
    servers: JoinSet<()>,
    detours: Mutex<BTreeSet<(String, IpAddr)>>,
}

impl<'b> Stage<'b> {
    pub(super) async fn set(
        blueprint: &'b Blueprint,
        here: &'b dyn Host,
        expectations: &[Expectation],
    ) -> Result<Self, CheckError> {
        // What a check that was killed has left.
        clear(blueprint, here).await.map_err(CheckError::Stage)?;
        for node in pod_nodes(blueprint) {
            add_pod(blueprint, here, &node)
                .await
                .map_err(CheckError::Stage)?;
        }
        let mut stage = Self {
            blueprint,
            here,
            servers: JoinSet::new(),
            detours: Mutex::default(),
        };
        for (address, endpoint) in servers(expectations) {
            match stage.namespace(&endpoint).listen(address).await {
                Ok(listener) => drop(stage.servers.spawn(tell_senders(listener))),
                // Somebody answers there already.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(source) => return Err(CheckError::Listen { address, source }),
            }
        }
        Ok(stage)
    }

    /// Where an endpoint's connections come from.
    pub(super) fn namespace(&self, endpoint: &Endpoint) -> NetworkNamespace {
        let named = |name: &str| NetworkNamespace::named(&self.blueprint.group_name().netns(name));
        match endpoint {
            Endpoint::Machine(name) => named(name.as_str()),
            Endpoint::PodOn(node) => named(&pod_name(node.as_str())),
            Endpoint::Router => named("router"),
            Endpoint::Internet => named("internet"),
            _ => NetworkNamespace::new("/proc/self/ns/net"),
        }
    }

    /// Has the senders' machines reach the destinations through the control plane of each flow.
    pub(super) async fn add_detours(&self, flows: &[Expectation]) -> Result<(), CheckError> {
        for flow in flows {
            let Some((machine, via)) = self.detour(flow) else {
                continue;
            };
            let to = flow.probe.destination;
            let key = (machine.clone(), to);
            if !self
                .detours
                .lock()
                .expect("no holder of this lock panics")
                .insert(key)
            {
                continue;
            }
            let line = format!("route replace {to} via {via}\n");
            self.in_machine(&machine, &line)
                .await
                .map_err(CheckError::Stage)?;
        }
        Ok(())
    }

    /// The machine whose routes a flow follows, and the next hop of its detour.
    fn detour(&self, flow: &Expectation) -> Option<(String, IpAddr)> {
        let machine = match &flow.probe.from {
            Endpoint::Machine(name) | Endpoint::PodOn(name) => name.to_string(),
            _ => return None,
        };
        let network = &self.blueprint.network;
        let router = network.machine(flow.probe.via.as_ref()?.as_str())?;
        // On a network that both are on.
        let nics = &network.machine(&machine)?.nics;
        let via = nics
            .iter()
            .find_map(|nic| router.address(nic.network.as_str()))?;
        Some((machine, via.of(flow.family)?))
    }

    /// Takes the routes away that lead through other machines.
    pub(super) async fn remove_detours(&self) -> Result<(), CheckError> {
        let detours =
            std::mem::take(&mut *self.detours.lock().expect("no holder of this lock panics"));
        for (machine, to) in detours {
            let line = format!("route delete {to}\n");
            self.in_machine(&machine, &line)
                .await
                .map_err(CheckError::Stage)?;
        }
        Ok(())
    }

    /// Takes away all that was added.
    pub(super) async fn strike(self, here: &dyn Host) -> Result<(), CheckError> {
        self.remove_detours().await?;
        clear(self.blueprint, here).await.map_err(CheckError::Stage)
    }

    async fn in_machine(&self, machine: &str, lines: &str) -> Result<(), RunError> {
        batch(
            self.here,
            Some(&self.blueprint.group_name().netns(machine)),
            lines,
        )
        .await
    }
}

/// Tells whoever connects the address it comes from, and hangs up.
async fn tell_senders(listener: TcpListener) {
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

fn pod_name(node: &str) -> String {
    format!("probe-{node}")
}

/// A namespace with a wire to the node, addresses of the node's pods, and the node as its router: what a CNI
/// gives a pod, also on nodes where no pod runs.
async fn add_pod(blueprint: &Blueprint, here: &dyn Host, node: &str) -> Result<(), RunError> {
    let Some(addresses) = stand_in_addresses(blueprint, node) else {
        return Ok(());
    };
    let (v4, v6) = both(addresses);
    let (pod, machine) = (
        blueprint.group_name().netns(&pod_name(node)),
        blueprint.group_name().netns(node),
    );
    let wire = format!(
        "netns add {pod}\nlink add name {NODE_END} netns {machine} type veth peer name eth0 netns {pod}\n"
    );
    batch(here, None, &wire).await?;
    let node_side = format!(
        "addr add 169.254.1.1/32 dev {NODE_END}\naddr add fe80::1/64 dev {NODE_END} nodad\n\
        link set dev {NODE_END} up\nroute replace {v4}/32 dev {NODE_END}\nroute replace {v6}/128 dev {NODE_END}\n"
    );
    batch(here, Some(&machine), &node_side).await?;
    let pod_side = format!(
        "link set dev lo up\naddr add {v4}/32 dev eth0\naddr add {v6}/128 dev eth0 nodad\nlink set dev eth0 up\n\
        route add 0.0.0.0/0 via 169.254.1.1 dev eth0 onlink\nroute add ::/0 via fe80::1 dev eth0\n"
    );
    batch(here, Some(&pod), &pod_side).await
}

/// Removing the pod's namespace takes the wire and the node's routes over it along.
async fn clear(blueprint: &Blueprint, here: &dyn Host) -> Result<(), RunError> {
    let listed = here
        .run(&Command::new("ip").args(["netns", "list"]))
        .await?;
    let listed = listed.stdout_text().into_owned();
    for node in pod_nodes(blueprint) {
        let pod = blueprint.group_name().netns(&pod_name(&node));
        if listed
            .lines()
            .any(|line| line.split(' ').next() == Some(&pod))
        {
            // The wire first: the kernel takes a namespace apart later, and the next check wants the name.
            let machine = blueprint.group_name().netns(&node);
            let _ = batch(
                here,
                Some(&machine),
                &format!("link delete dev {NODE_END}\n"),
            )
            .await;
            here.run(&Command::new("ip").args(["netns", "delete", &pod]))
                .await?;
        }
    }
    Ok(())
}

async fn batch(here: &dyn Host, namespace: Option<&str>, lines: &str) -> Result<(), RunError> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command = command.args(["-n", namespace]);
    }
    let command = command
        .args(["-batch", "-"])
        .stdin(Stdin::Bytes(lines.as_bytes().to_vec()));
    here.run(&command).await.map(drop)
}
