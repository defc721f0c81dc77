//! Who reaches whom: every flow of the policy's matrix, tried by a TCP connection in the kernel.

use super::{
    CheckError,
    flows::{self, stand_in},
    stage::{Ends, Outcome, Stage},
};
use netplan::{Endpoint, Expectation, Family, Plan, Policy, V6Mode};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

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
    /// `v4` or `v6`.
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

/// A flow of the policy that was not tried, and why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Untried {
    /// Who would have tried.
    pub from: String,
    /// Whom.
    pub to: String,
    /// At which port.
    pub port: u16,
    /// `v4` or `v6`.
    pub family: Family,
    /// Whether it would have to get through.
    pub expected: bool,
    /// What the trial lacks.
    pub why: String,
}

/// How long a flow may take to get through, and how long one that must not is waited for.
const LIMIT: Duration = Duration::from_secs(1);

/// What came of the matrix.
#[derive(Debug, Default)]
pub(super) struct Proof {
    pub(super) rows: Vec<MatrixRow>,
    pub(super) untried: Vec<Untried>,
}

/// Tries every flow of the matrix that can be tried between these ends. `patience` stretches all limits.
pub(super) async fn prove<E: Ends>(
    plan: &Plan,
    policy: &Policy,
    patience: f64,
    ends: E,
) -> Result<Proof, CheckError> {
    let mut flows = Vec::new();
    let mut untried = Vec::new();
    for flow in flows::expected(plan, policy) {
        match ends.prepare(&flow) {
            Ok(flow) => flows.push(flow),
            Err(why) => untried.push(not_tried(&flow, why)),
        }
    }
    let mut stage = Stage::new(plan, ends);
    let limit = LIMIT.mul_f64(patience.max(1.0));
    let rows = play(plan, &mut stage, flows, limit).await;
    // Also after a failure: what the trial added must not stay.
    let cleared = stage.clear().await;
    let rows = rows?;
    cleared?;
    Ok(Proof { rows, untried })
}

async fn play<E: Ends>(
    plan: &Plan,
    stage: &mut Stage<'_, E>,
    flows: Vec<Expectation>,
    limit: Duration,
) -> Result<Vec<MatrixRow>, CheckError> {
    stage.set(&flows).await?;
    let (direct, detours): (Vec<_>, Vec<_>) =
        flows.into_iter().partition(|flow| flow.probe.via.is_none());
    let mut rows = try_all(plan, &stage.ends, &direct, limit).await?;
    // The same senders, now with a route through a machine that wants to be no router: one such machine after the
    // other, since a destination has one route at a time.
    let routers: BTreeSet<_> = detours.iter().map(|flow| flow.probe.via.clone()).collect();
    for router in routers {
        let own = detours.iter().filter(|flow| flow.probe.via == router);
        let own: Vec<_> = own.cloned().collect();
        stage.add_detours(&own).await?;
        rows.extend(try_all(plan, &stage.ends, &own, limit).await?);
        stage.remove_detours().await?;
    }
    Ok(rows)
}

async fn try_all<E: Ends>(
    plan: &Plan,
    ends: &E,
    flows: &[Expectation],
    limit: Duration,
) -> Result<Vec<MatrixRow>, CheckError> {
    let outcomes = ends.attempt(flows, limit).await?;
    let rows = flows.iter().zip(outcomes);
    Ok(rows
        .map(|(flow, outcome)| row(plan, flow, outcome))
        .collect())
}

fn row(plan: &Plan, flow: &Expectation, outcome: Outcome) -> MatrixRow {
    let probe = &flow.probe;
    let (seen, sender, text) = match outcome {
        Outcome::Through { sender: None } => (true, None, "connected".to_owned()),
        Outcome::Through { sender: Some(ip) } => {
            (true, Some(ip), format!("connected, seen there as {ip}"))
        }
        Outcome::Not(text) => (false, None, text),
    };
    let translated = match (&probe.to, sender) {
        (Endpoint::Internet, Some(sender)) => is_promised_sender(plan, flow, sender),
        (Endpoint::Internet, None) => !seen,
        _ => true,
    };
    MatrixRow {
        from: probe.from.to_string(),
        to: probe.to.to_string(),
        address: flows::address(flow),
        via: probe.via.as_ref().map(ToString::to_string),
        family: flow.family,
        expected: flow.allowed,
        seen,
        ok: seen == flow.allowed && translated,
        evidence: format!("{text} ({})", flow.why),
    }
}

fn not_tried(flow: &Expectation, why: &str) -> Untried {
    Untried {
        from: flow.probe.from.to_string(),
        to: flow.probe.to.to_string(),
        port: flow.probe.port,
        family: flow.family,
        expected: flow.allowed,
        why: why.to_owned(),
    }
}

/// Whether the internet sees a flow from whom it has to.
fn is_promised_sender(plan: &Plan, flow: &Expectation, sender: IpAddr) -> bool {
    let is_of_lab = |ip| {
        plan.supernet
            .of(flow.family)
            .is_some_and(|lab| lab.contains(ip))
    };
    match (flow.family, plan.v6_mode) {
        // The address of a host's own uplink is not the plan's; but it is none of the lab's.
        (Family::V4, _) => match plan.internet {
            Some(internet) => internet.router.of(Family::V4) == Some(sender),
            None => !is_of_lab(sender),
        },
        (Family::V6, V6Mode::Npt { outside }) => outside.contains(sender),
        (Family::V6, V6Mode::Nat66 { address }) => sender == address,
        (Family::V6, _) => {
            let own = stand_in(plan, &flow.probe.from, Family::V6);
            sender == own.unwrap_or(flow.probe.source)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::routed_by_a_host;

    /// What a flow from a worker or its pod to the internet gives.
    fn row_of(from: &str, family: Family, mode: V6Mode, outcome: Outcome) -> MatrixRow {
        let (mut plan, policy) = routed_by_a_host();
        plan.v6_mode = mode;
        let flows = flows::expected(&plan, &policy);
        let mut flows = flows.into_iter().filter(|flow| {
            let ends = (flow.probe.from.to_string(), &flow.probe.to);
            ends == (from.to_owned(), &Endpoint::Internet) && flow.family == family
        });
        row(&plan, &flows.next().unwrap(), outcome)
    }

    #[test]
    fn the_internet_has_to_see_a_flow_from_whom_the_plan_says() {
        let (plan, _) = routed_by_a_host();
        let worker = plan.machine("worker-0").unwrap();
        let own = worker.main_address().unwrap();
        let pod = worker.pods.unwrap().nth(200);
        let (v4, v6) = (Family::V4, Family::V6);
        let of = |addresses: netplan::Addresses, family| addresses.of(family).unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let nat66 = || V6Mode::Nat66 {
            address: "2001:db8::10".parse().unwrap(),
        };
        let npt = || V6Mode::Npt {
            outside: "2001:db8:7::/48".parse().unwrap(),
        };
        let (worker, on_worker) = ("worker-0", "pod on worker-0");
        for (from, family, mode, sender, ok) in [
            (worker, v4, nat66(), ip("203.0.113.7"), true),
            (worker, v4, nat66(), of(own, v4), false),
            (on_worker, v4, nat66(), of(pod, v4), false),
            (worker, v6, nat66(), ip("2001:db8::10"), true),
            (worker, v6, nat66(), ip("2001:db8::11"), false),
            (worker, v6, npt(), ip("2001:db8:7:1::50"), true),
            (worker, v6, npt(), of(own, v6), false),
            (worker, v6, V6Mode::Routed, of(own, v6), true),
            (on_worker, v6, V6Mode::Routed, of(pod, v6), true),
            (on_worker, v6, V6Mode::Routed, of(own, v6), false),
        ] {
            let outcome = Outcome::Through {
                sender: Some(sender),
            };
            let row = row_of(from, family, mode, outcome);
            assert_eq!((row.seen, row.ok), (true, ok), "{mode:?} {row:?}");
            assert!(row.evidence.contains(&sender.to_string()), "{row:?}");
        }
    }

    #[test]
    fn a_way_out_counts_only_with_the_sender_told() {
        let through = Outcome::Through { sender: None };
        for outcome in [through, Outcome::refused()] {
            let row = row_of("worker-0", Family::V4, V6Mode::Routed, outcome);
            assert!(row.expected && !row.ok, "{row:?}");
        }
    }
}
