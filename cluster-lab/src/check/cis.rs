//! The CIS Kubernetes Benchmark, judged over the machines of a lab.

use super::CheckError;
use crate::{Blueprint, Lab, ObserveError, Profile};
use futures::future::try_join_all;
use host_exec::{EventSink, HostName};
use k8s_bootstrap::cis::{self, Benchmark, Duty, Exception, Finding, Verdict};
use netplan::Role;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the benchmark finds of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CisReport {
    /// The edition.
    pub benchmark: Benchmark,
    /// What the lab promises.
    pub profile: Profile,
    /// Every check and what it came to, in the order of the benchmark, machine by machine.
    pub findings: Vec<Finding>,
    /// The checks that need not hold, with the reasons.
    pub exceptions: Vec<Exception>,
}

impl CisReport {
    /// How many findings came to this.
    pub fn count(&self, verdict: Verdict) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.verdict == verdict)
            .count()
    }

    /// Whether the lab is what it promises: a hardened one fails no check. A standard one has kubeadm's defaults, which
    /// fail some, and promises nothing else.
    pub fn ok(&self) -> bool {
        self.profile == Profile::Standard || self.count(Verdict::Fail) == 0
    }
}

impl Lab {
    /// Judges the machines of the lab by the edition of the benchmark that fits its version. Changes nothing.
    ///
    /// # Errors
    ///
    /// The lab cannot be worked out, a machine does not run or does not answer. A check that fails is *not* an error.
    pub async fn check_cis(&self, events: &dyn EventSink) -> Result<CisReport, CheckError> {
        let blueprint = self.draft().await?;
        let seen = self.see(&blueprint).await?;
        let blueprint = self.informed(blueprint, &seen).await;
        events.started("", "benchmark");
        let duties = duties(&blueprint);
        let machines = try_join_all(duties.into_iter().map(|(name, duties)| {
            let host = seen.hosts.get(&name).cloned();
            async move {
                let Some(host) = host else {
                    let machine = name.to_string();
                    return Err(CheckError::NoHost { machine });
                };
                let facts = cis::observe(host.as_ref()).await?;
                Ok((name, cis::Machine { duties, facts }))
            }
        }));
        let machines: BTreeMap<HostName, cis::Machine> = machines.await?.into_iter().collect();
        let spec = blueprint.kubernetes().map_err(ObserveError::from)?;
        let benchmark = Benchmark::for_minor(spec.version.version().minor);
        let exceptions = cis::exceptions(&spec);
        let findings = cis::judge(benchmark, &exceptions, &machines);
        events.done("", "benchmark", &format!("{} findings", findings.len()));
        Ok(CisReport {
            benchmark,
            profile: self.spec.profile,
            findings,
            exceptions,
        })
    }
}

fn duties(blueprint: &Blueprint) -> BTreeMap<HostName, BTreeSet<Duty>> {
    let mut all: BTreeMap<HostName, BTreeSet<Duty>> = BTreeMap::new();
    for (role, duties) in [
        (Role::Etcd, &[Duty::Etcd][..]),
        (Role::ControlPlane, &[Duty::ControlPlane, Duty::Node]),
        (Role::Worker, &[Duty::Node]),
    ] {
        for host in blueprint.hosts_of(role) {
            all.entry(host).or_default().extend(duties);
        }
    }
    all
}
