//! Who reaches whom: every flow of the policy's matrix, tried by a TCP connection in the kernel.

use super::{CheckError, stage::Stage};
use crate::{
    Blueprint,
    blueprint::{API_PORT, both, internet},
};
use host_exec::{Host, NetworkNamespace};
use netplan::{Addresses, Endpoint, Expectation, Family, Probe, Role};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::io::AsyncReadExt;

/// A flow, what was promised about it, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatrixRow {
    /// Who tried.
    pub from: String,
    /// Whom.
    pub to: String,
    /// At which address and port.
    pub address: SocketAddr,
    /// The control plane that it tried to use as a router.
    pub via: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Family,
    /// Whether it must get through.
    pub expected: bool,
    /// Whether it did.
    pub seen: bool,
    /// Whether that is as promised; for ways out also whether the sender was translated, or not, as promised.
    pub ok: bool,
    /// What happened, and which rule decides.
    pub evidence: String,
}

/// The kubelet's port (`port` of its configuration).
const KUBELET_PORT: u16 = 10250;

/// How long a flow may take to get through, and how long one that must not is waited for.
const LIMIT: Duration = Duration::from_secs(1);

/// What came of one connection.
struct Outcome {
    seen: bool,
    /// The sender's address as the other end saw it, where the other end is ours.
    sender: Option<IpAddr>,
    text: String,
}

/// Tries every flow of the matrix.
pub(super) async fn prove(
    blueprint: &Blueprint,
    here: &dyn Host,
) -> Result<Vec<MatrixRow>, CheckError> {
    let mut expectations = netplan::reachability(&blueprint.network, &blueprint.policy);
    // Members speak IPv4 with each other (their peer URLs), so nobody listens where IPv6 would be allowed.
    expectations.retain(|flow| {
        !(flow.allowed && flow.family == Family::V6 && flow.probe.port == etcd_bootstrap::PEER_PORT)
    });
    for flow in &mut expectations {
        play_pod(blueprint, flow);
    }
    let stage = Stage::set(blueprint, here, &expectations).await?;
    let result = play(blueprint, &stage, expectations).await;
    // Also after a failure: what the trial added must not stay.
    stage.strike(here).await?;
    result
}

async fn play(
    blueprint: &Blueprint,
    stage: &Stage<'_>,
    expectations: Vec<Expectation>,
) -> Result<Vec<MatrixRow>, CheckError> {
    let (direct, detours): (Vec<_>, Vec<_>) = expectations
        .into_iter()
        .partition(|e| e.probe.via.is_none());
    let mut rows = try_all(blueprint, stage, &direct).await;
    // The same senders, now with a route through a machine that wants to be no router: one such machine after the
    // other, since a destination has one route at a time.
    let routers: BTreeSet<_> = detours.iter().map(|e| e.probe.via.clone()).collect();
    for router in routers {
        let own = detours.iter().filter(|e| e.probe.via == router).cloned();
        let own: Vec<_> = own.collect();
        stage.add_detours(&own).await?;
        rows.extend(try_all(blueprint, stage, &own).await);
        stage.remove_detours().await?;
    }
    Ok(rows)
}

async fn try_all(
    blueprint: &Blueprint,
    stage: &Stage<'_>,
    expectations: &[Expectation],
) -> Vec<MatrixRow> {
    let limit = LIMIT.mul_f64(blueprint.spec.patience.max(1.0));
    let tries = expectations.iter().map(|expectation| async move {
        let probe = &expectation.probe;
        let from = stage.namespace(&probe.from);
        let outcome = attempt(
            &from,
            SocketAddr::new(probe.destination, probe.port),
            probe,
            limit,
        )
        .await;
        row(blueprint, expectation, outcome)
    });
    futures::future::join_all(tries).await
}

async fn attempt(
    from: &NetworkNamespace,
    to: SocketAddr,
    probe: &Probe,
    limit: Duration,
) -> Outcome {
    match from.dial(to, limit).await {
        Ok(mut stream) => {
            let mut said = String::new();
            // Only our own server on the internet says who it sees; others wait for us to speak.
            if probe.to == Endpoint::Internet {
                let read = stream.read_to_string(&mut said);
                if !matches!(tokio::time::timeout(limit, read).await, Ok(Ok(_))) {
                    said.clear();
                }
            }
            let sender = said.trim().parse().ok();
            let seen_as = sender
                .map(|ip: IpAddr| format!(", seen there as {ip}"))
                .unwrap_or_default();
            Outcome {
                seen: true,
                sender,
                text: format!("connected{seen_as}"),
            }
        }
        Err(error) => {
            let text = match error.kind() {
                io::ErrorKind::TimedOut => format!("no answer in {} ms", limit.as_millis()),
                io::ErrorKind::ConnectionRefused => "refused".to_owned(),
                _ => error.to_string(),
            };
            Outcome {
                seen: false,
                sender: None,
                text,
            }
        }
    }
}

fn row(blueprint: &Blueprint, expectation: &Expectation, outcome: Outcome) -> MatrixRow {
    let probe = &expectation.probe;
    let reached = outcome.seen == expectation.allowed;
    let translated = match (&probe.to, outcome.sender) {
        (Endpoint::Internet, Some(sender)) => sender == promised_sender(blueprint, expectation),
        (Endpoint::Internet, None) => !outcome.seen,
        _ => true,
    };
    MatrixRow {
        from: probe.from.to_string(),
        to: probe.to.to_string(),
        address: SocketAddr::new(probe.destination, probe.port),
        via: probe.via.as_ref().map(ToString::to_string),
        family: expectation.family,
        expected: expectation.allowed,
        seen: outcome.seen,
        ok: reached && translated,
        evidence: format!("{} ({})", outcome.text, expectation.why),
    }
}

/// IPv4 leaves with the router's address, IPv6 with the sender's own.
fn promised_sender(blueprint: &Blueprint, expectation: &Expectation) -> IpAddr {
    match expectation.family {
        Family::V4 => both(internet(&blueprint.network).router).0.into(),
        Family::V6 => stand_in(blueprint, &expectation.probe.from, Family::V6)
            .unwrap_or(expectation.probe.source),
    }
}

/// The address of the namespace that plays a pod on a node: one that the CNI reaches only after 200 pods, and
/// the kubelet stops at 110.
pub(super) fn stand_in_addresses(blueprint: &Blueprint, node: &str) -> Option<Addresses> {
    let pods = blueprint.network.machine(node)?.pods?;
    Some(pods.nth(200))
}

/// The address of the pod that is played, where an end is one.
fn stand_in(blueprint: &Blueprint, end: &Endpoint, family: Family) -> Option<IpAddr> {
    match end {
        Endpoint::PodOn(node) => stand_in_addresses(blueprint, node.as_str())?.of(family),
        _ => None,
    }
}

/// Leads a flow to a pod to the one that is played, which no real pod is.
fn play_pod(blueprint: &Blueprint, flow: &mut Expectation) {
    if let Some(address) = stand_in(blueprint, &flow.probe.to, flow.family) {
        flow.probe.destination = address;
    }
}

/// Where the trial listens: everywhere that a flow leads to and no service of the lab is, since a refusal by the
/// destination itself would prove nothing. The services' own ports are left to them.
pub(super) fn servers(expectations: &[Expectation]) -> BTreeMap<SocketAddr, Endpoint> {
    const SERVED: [u16; 4] = [
        etcd_bootstrap::CLIENT_PORT,
        etcd_bootstrap::PEER_PORT,
        API_PORT,
        KUBELET_PORT,
    ];
    let flows = expectations.iter().map(|flow| &flow.probe);
    let unserved =
        flows.filter(|probe| !SERVED.contains(&probe.port) && !matches!(probe.to, Endpoint::Host));
    unserved
        .map(|probe| {
            let address = SocketAddr::new(probe.destination, probe.port);
            (address, probe.to.clone())
        })
        .collect()
}

/// The first node of each kind that runs pods' routes: where a pod is played.
pub(super) fn pod_nodes(blueprint: &Blueprint) -> Vec<String> {
    let first = |role| {
        blueprint
            .network
            .role(role)
            .next()
            .map(|machine| machine.name.to_string())
    };
    [Role::ControlPlane, Role::Worker]
        .into_iter()
        .filter_map(first)
        .collect()
}
