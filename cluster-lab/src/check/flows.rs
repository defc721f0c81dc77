//! Which flows are tried, and what has to be there for them: worked out from the plan.

use crate::blueprint::{API_PORT, both};
use netplan::{Addresses, Endpoint, Expectation, Family, Plan, Policy, Role};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The kubelet's port (`port` of its configuration).
const KUBELET_PORT: u16 = 10250;

/// A pod that is played on a node, with the addresses that it has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) node: String,
    pub(super) v4: Ipv4Addr,
    pub(super) v6: Ipv6Addr,
}

/// Every flow of the policy's matrix that somebody could answer.
pub(super) fn expected(plan: &Plan, policy: &Policy) -> Vec<Expectation> {
    let mut expectations = netplan::reachability(plan, policy);
    // Members speak IPv4 with each other (their peer URLs), so nobody listens where IPv6 would be allowed.
    expectations.retain(|flow| {
        !(flow.allowed && flow.family == Family::V6 && flow.probe.port == etcd_bootstrap::PEER_PORT)
    });
    for flow in &mut expectations {
        // To the pod that is played, which no real pod is.
        if let Some(address) = stand_in(plan, &flow.probe.to, flow.family) {
            flow.probe.destination = address;
        }
    }
    expectations
}

/// The addresses of the pod that is played on a node: some that the CNI reaches only after 200 pods, and the kubelet
/// stops at 110.
fn stand_in_addresses(plan: &Plan, node: &str) -> Option<Addresses> {
    let pods = plan.machine(node)?.pods?;
    Some(pods.nth(200))
}

/// The address of the pod that is played, where an end is one.
pub(super) fn stand_in(plan: &Plan, end: &Endpoint, family: Family) -> Option<IpAddr> {
    match end {
        Endpoint::PodOn(node) => stand_in_addresses(plan, node.as_str())?.of(family),
        _ => None,
    }
}

/// Where a trial connects to.
pub(super) fn address(flow: &Expectation) -> SocketAddr {
    SocketAddr::new(flow.probe.destination, flow.probe.port)
}

/// Where the trial listens: everywhere that a flow leads to and no service of the lab is, since a refusal by the
/// destination itself would prove nothing. The services' own ports are left to them.
pub(super) fn servers(flows: &[Expectation]) -> BTreeMap<SocketAddr, Endpoint> {
    const SERVED: [u16; 4] = [
        etcd_bootstrap::CLIENT_PORT,
        etcd_bootstrap::PEER_PORT,
        API_PORT,
        KUBELET_PORT,
    ];
    let unserved = flows.iter().filter(|flow| {
        !SERVED.contains(&flow.probe.port) && !matches!(flow.probe.to, Endpoint::Host)
    });
    unserved
        .map(|flow| (address(flow), flow.probe.to.clone()))
        .collect()
}

/// One pod on the first node of each kind that runs pods' routes.
pub(super) fn pods(plan: &Plan) -> Vec<Pod> {
    let nodes = [Role::ControlPlane, Role::Worker].into_iter();
    let nodes = nodes.filter_map(|role| plan.role(role).next());
    let pod = |node: &netplan::Machine| {
        let (v4, v6) = both(stand_in_addresses(plan, node.name.as_str())?);
        let node = node.name.to_string();
        Some(Pod { node, v4, v6 })
    };
    nodes.filter_map(pod).collect()
}

/// A route of a machine that leads to an address through a control plane, which wants to be no router.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Detour {
    pub(super) to: IpAddr,
    pub(super) via: IpAddr,
}

/// The detours of these flows, by the machine whose routes their packets follow.
pub(super) fn detours(plan: &Plan, flows: &[Expectation]) -> BTreeMap<String, BTreeSet<Detour>> {
    let mut detours: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (machine, detour) in flows.iter().filter_map(|flow| detour(plan, flow)) {
        detours.entry(machine).or_default().insert(detour);
    }
    detours
}

fn detour(plan: &Plan, flow: &Expectation) -> Option<(String, Detour)> {
    let machine = match &flow.probe.from {
        Endpoint::Machine(name) | Endpoint::PodOn(name) => name.to_string(),
        _ => return None,
    };
    let router = plan.machine(flow.probe.via.as_ref()?.as_str())?;
    // On a network that both are on.
    let nics = &plan.machine(&machine)?.nics;
    let via = nics
        .iter()
        .find_map(|nic| router.address(nic.network.as_str()))?;
    let to = flow.probe.destination;
    let via = via.of(flow.family)?;
    Some((machine, Detour { to, via }))
}
