//! The model judges a flow, point by point.

use std::net::IpAddr;

use serde::Serialize;

use crate::plan::Plan;
use crate::policy::route::{Hop, hops};
use crate::policy::{
    Chain, Point, Policy, Probe, ProbeError, Protocol, Rule, Source, Traffic, Verdict, Zone,
};

/// What one point says about a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The point.
    pub point: Point,
    /// The name of the rule that decides, or `default`.
    pub rule: String,
    /// What it decides.
    pub verdict: Verdict,
}

impl Decision {
    /// Whether a flow with these decisions passes: every point on its way allows it.
    #[must_use]
    pub fn all_allow(decisions: &[Self]) -> bool {
        let mut verdicts = decisions.iter().map(|decision| decision.verdict);
        verdicts.all(|verdict| verdict == Verdict::Allow)
    }
}

impl Policy {
    /// The decisions on the way of a flow's first packet, in order, up to the first that does not
    /// allow it. None at all: nothing stands in the way. Addresses and endpoints of the probe
    /// are taken as they are; `plan` is the one that the policy was made from.
    #[must_use]
    pub fn explain(&self, plan: &Plan, probe: &Probe) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for hop in hops(self, plan, probe) {
            let Some(chain) = self.chain(&hop.point) else {
                continue;
            };
            let decision = self.decide(chain, &hop, probe);
            let verdict = decision.verdict;
            decisions.push(decision);
            if verdict != Verdict::Allow {
                break;
            }
        }
        decisions
    }

    /// The same for two addresses, whose owners are looked up.
    ///
    /// ```
    /// use netplan::{
    ///     HostFacts, KubernetesVersion, LabName, MachineCounts, Policy, Protocol, Requirement, plan,
    /// };
    ///
    /// let (lab, version) = (LabName::new("demo")?, KubernetesVersion::new(37));
    /// let requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
    /// let plan = plan(&requirement, &HostFacts::default(), None)?;
    /// let address = |machine: &str, network: &str| {
    ///     let both = plan.machine(machine).and_then(|machine| machine.address(network));
    ///     both.and_then(|both| both.v4).expect("a machine of the reference lab")
    /// };
    /// let (worker, member) = (address("worker-0", "kube"), address("etcd-0", "etcd"));
    /// let policy = Policy::standard(&plan);
    /// let decisions = policy.explain_addresses(
    ///     &plan, worker.into(), member.into(), Protocol::Tcp, 2379,
    /// )?;
    /// assert_eq!(decisions[0].rule, "kube-to-etcd");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When no flow of the lab has these addresses; see [`Probe::between`].
    pub fn explain_addresses(
        &self,
        plan: &Plan,
        source: IpAddr,
        destination: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> Result<Vec<Decision>, ProbeError> {
        let probe = Probe::between(plan, source, destination, protocol, port)?;
        Ok(self.explain(plan, &probe))
    }

    fn decide(&self, chain: &Chain, hop: &Hop, probe: &Probe) -> Decision {
        let matched = chain
            .rules
            .iter()
            .find(|rule| self.matches(rule, hop, probe));
        let (rule, verdict) = match matched {
            Some(rule) => (rule.name.clone(), rule.verdict),
            None => ("default".to_owned(), chain.default),
        };
        Decision {
            point: hop.point.clone(),
            rule,
            verdict,
        }
    }

    fn matches(&self, rule: &Rule, hop: &Hop, probe: &Probe) -> bool {
        let family = probe.family();
        let is_in = |set, address| {
            let mut members = self.members(set, family);
            members.any(|net| net.contains(address))
        };
        zone_matches(&rule.entering, hop.entering.as_ref())
            && zone_matches(&rule.leaving, hop.leaving.as_ref())
            && rule.family.is_none_or(|own| own == family)
            && match &rule.from {
                None => true,
                Some(Source::In(set)) => is_in(set, probe.source),
                Some(Source::NotIn(set)) => !is_in(set, probe.source),
            }
            // What leads to an exposed API is translated before it is judged, to a member.
            && rule.to.as_ref().is_none_or(|set| {
                is_in(set, probe.destination) || self.is_exposed(probe)
            })
            && probe.is(&rule.traffic)
    }

    /// Whether the router sends the flow on to an API server.
    fn is_exposed(&self, probe: &Probe) -> bool {
        use crate::policy::Endpoint::{Host, Router};
        let mut exposures = self.exposures.iter();
        matches!(probe.to, Host | Router)
            && exposures.any(|exposure| probe.is_tcp_to(exposure.port))
    }
}

fn zone_matches(zones: &[Zone], zone: Option<&Zone>) -> bool {
    zones.is_empty() || zone.is_some_and(|zone| zones.contains(zone))
}

impl Probe {
    /// Whether it is TCP to this port.
    pub(crate) fn is_tcp_to(&self, port: u16) -> bool {
        self.protocol == Protocol::Tcp && self.port == port
    }

    /// Whether its first packet is of this kind.
    fn is(&self, traffic: &Traffic) -> bool {
        match (traffic, self.protocol) {
            (Traffic::Any, _) | (Traffic::Icmp | Traffic::Echo, Protocol::Echo) => true,
            (Traffic::Tcp(ports), Protocol::Tcp) | (Traffic::Udp(ports), Protocol::Udp) => {
                ports.contains(&self.port)
            }
            _ => false,
        }
    }
}
