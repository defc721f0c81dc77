//! What the trial of the network needs besides the lab: namespaces that play pods, servers to talk to, and detours.

use super::{
    CheckError,
    flows::{self, Pod},
};
use futures::future::try_join_all;
use host_exec::{Command, Host, Stdin};
use netplan::{Endpoint, Expectation, Plan};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// The interface that a node has towards the pod that is played on it.
pub(super) const NODE_END: &str = "lab-probe";

/// Marks the routes of detours, so that they are found: a routing protocol's number that no program has
/// (`/etc/iproute2/rt_protos`).
const DETOUR: u8 = 98;

/// What came of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It got through.
    Through {
        /// The sender's address as the other end saw it, where the other end told.
        sender: Option<IpAddr>,
    },
    /// It did not; what was seen instead.
    Not(String),
}

impl Outcome {
    pub(super) fn refused() -> Self {
        Self::Not("refused".to_owned())
    }

    pub(super) fn silent(limit: Duration) -> Self {
        Self::Not(format!("no answer in {} ms", limit.as_millis()))
    }
}

/// Where the ends of flows are, and how something is done there.
pub(super) trait Ends {
    /// The flow as it can be tried, or why it cannot.
    fn prepare(&self, flow: &Expectation) -> Result<Expectation, &'static str>;

    /// Runs lines of `ip -batch` in the network of a machine.
    async fn in_machine(&self, machine: &str, lines: &str) -> Result<(), CheckError>;

    /// Runs lines of `ip -batch` in the namespace of the pod that is played on a node.
    async fn in_pod(&self, node: &str, lines: &str) -> Result<(), CheckError>;

    /// Makes the namespace of a pod, with a wire from its `eth0` to the [`NODE_END`] of the node.
    async fn add_wire(&self, node: &str) -> Result<(), CheckError>;

    /// Listens where nobody does yet.
    async fn listen(&mut self, servers: BTreeMap<SocketAddr, Endpoint>) -> Result<(), CheckError>;

    /// Connects, for all of these flows at the same time; the outcomes are in the order of the flows.
    async fn attempt(
        &self,
        flows: &[Expectation],
        limit: Duration,
    ) -> Result<Vec<Outcome>, CheckError>;

    /// Takes the servers and the namespaces of pods on these nodes away, also those of a check that was killed.
    async fn clear(&mut self, nodes: &[String]) -> Result<(), CheckError>;
}

/// The stage. Whatever comes of the trial, it has to be cleared.
pub(super) struct Stage<'p, E> {
    plan: &'p Plan,
    pub(super) ends: E,
}

impl<'p, E: Ends> Stage<'p, E> {
    pub(super) fn new(plan: &'p Plan, ends: E) -> Self {
        Self { plan, ends }
    }

    /// Adds what these flows need.
    pub(super) async fn set(&mut self, flows: &[Expectation]) -> Result<(), CheckError> {
        // What a check that was killed has left.
        self.clear().await?;
        let pods = flows::pods(self.plan);
        try_join_all(pods.iter().map(|pod| self.add_pod(pod))).await?;
        self.ends.listen(flows::servers(flows)).await
    }

    /// What a CNI gives a pod, also on nodes where no pod runs: a wire to the node, addresses of the node's pods, and
    /// the node as its router.
    async fn add_pod(&self, pod: &Pod) -> Result<(), CheckError> {
        let Pod { node, v4, v6 } = pod;
        self.ends.add_wire(node).await?;
        let node_side = format!(
            "addr add 169.254.1.1/32 dev {NODE_END}\naddr add fe80::1/64 dev {NODE_END} nodad\n\
            link set dev {NODE_END} up\nroute replace {v4}/32 dev {NODE_END}\nroute replace {v6}/128 dev {NODE_END}\n"
        );
        self.ends.in_machine(node, &node_side).await?;
        let pod_side = format!(
            "link set dev lo up\naddr add {v4}/32 dev eth0\naddr add {v6}/128 dev eth0 nodad\nlink set dev eth0 up\n\
            route add 0.0.0.0/0 via 169.254.1.1 dev eth0 onlink\nroute add ::/0 via fe80::1 dev eth0\n"
        );
        self.ends.in_pod(node, &pod_side).await
    }

    /// Has the senders' machines reach the destinations through the control plane of each flow.
    pub(super) async fn add_detours(&self, flows: &[Expectation]) -> Result<(), CheckError> {
        let detours = flows::detours(self.plan, flows);
        let work = detours.iter().map(|(machine, detours)| async move {
            let line = |detour: &flows::Detour| {
                format!(
                    "route replace {} via {} proto {DETOUR}\n",
                    detour.to, detour.via
                )
            };
            let lines: String = detours.iter().map(line).collect();
            self.ends.in_machine(machine, &lines).await
        });
        try_join_all(work).await.map(drop)
    }

    /// Takes the routes away that lead through other machines.
    pub(super) async fn remove_detours(&self) -> Result<(), CheckError> {
        // Of both families: without "table all" it would be IPv4 only.
        let line = &format!("route flush table all proto {DETOUR}\n");
        let machines = self.plan.machines.iter();
        let work = machines.map(|machine| self.ends.in_machine(machine.name.as_str(), line));
        try_join_all(work).await.map(drop)
    }

    /// Takes away all that was added.
    pub(super) async fn clear(&mut self) -> Result<(), CheckError> {
        self.remove_detours().await?;
        let nodes = flows::pods(self.plan).into_iter();
        let nodes: Vec<_> = nodes.map(|pod| pod.node).collect();
        self.ends.clear(&nodes).await
    }
}

/// Runs lines of `ip -batch` on a host, in one of its named namespaces if it is said.
pub(super) async fn batch(
    host: &dyn Host,
    namespace: Option<&str>,
    lines: &str,
) -> Result<(), CheckError> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command = command.args(["-n", namespace]);
    }
    let command = command
        .args(["-batch", "-"])
        .stdin(Stdin::Bytes(lines.as_bytes().to_vec()));
    let ran = host.run(&command).await;
    ran.map(drop).map_err(CheckError::Stage)
}

/// Removes the namespace of a pod that is played, if it is there; the wire and the node's routes over it go along.
/// `here` has the namespace; `node` is where the node's end of the wire is, seen from there.
pub(super) async fn remove_pod(
    here: &dyn Host,
    node: Option<&str>,
    pod: &str,
) -> Result<(), CheckError> {
    let list = Command::new("ip").args(["netns", "list"]);
    let listed = here.run(&list).await.map_err(CheckError::Stage)?;
    let text = listed.stdout_text();
    if !text.lines().any(|line| line.split(' ').next() == Some(pod)) {
        return Ok(());
    }
    // The wire first: the kernel takes a namespace apart later, and the next check wants the name. A check that was
    // killed early has laid none.
    let _ = batch(here, node, &format!("link delete dev {NODE_END}\n")).await;
    batch(here, None, &format!("netns delete {pod}\n")).await
}
