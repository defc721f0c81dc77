//! The CIS Kubernetes Benchmark: its list as data, and a judgement of a running cluster by it.
//!
//! [`observe`] asks a machine with a few commands what runs with which arguments and which files have which modes;
//! [`judge`] is pure and gives each check of [`checks`] a [`Verdict`] with what was seen. Nothing is changed.
//!
//! Numbers are those of CIS Kubernetes Benchmark 1.10.0, 1.11.1 and 1.12.0, which agree but for the few that
//! [`Check::since`] and [`Check::until`] tell; section 5, in which nothing can be automated, has the numbers of 1.12. The
//! judgements are those of kube-bench (`cfg/cis-1.12`), sharper in places: the benchmark's "(Manual)" checks are
//! judged too where a program can.
//!
//! Two ways of reading it are ours. The benchmark speaks of pod specifications; where systemd keeps a program, its unit
//! file is judged in their place. And [`Verdict::Excepted`] is a check that does not hold for a reason that is named in
//! [`exceptions`], which is the only list of them.

mod check;
mod control_plane;
mod facts;
mod files;
mod node;
mod policies;
mod rule;

pub use check::{Benchmark, Check, Duty};
pub use facts::{FileFacts, MachineFacts, ObserveError, Process, Program, observe};

use crate::{ClusterSpec, component::Place, hardened::Anonymous};
use host_exec::HostName;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It does not, for a reason that [`exceptions`] names.
    Excepted,
    /// A person has to look.
    Manual,
    /// There is nothing here that it speaks of.
    NotApplicable,
}

/// A check, what it came to, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The number in the benchmark, such as `1.2.15`.
    pub number: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// The benchmark marks it "(Automated)".
    pub automated: bool,
    /// The machine that was looked at; `None` for what is of the whole cluster.
    pub machine: Option<HostName>,
    /// What it came to.
    pub verdict: Verdict,
    /// The flag or the mode that was seen, or what a person has to look at.
    pub evidence: String,
}

/// A check that need not hold, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// The number of the check.
    pub number: &'static str,
    /// Why it does not hold.
    pub reason: &'static str,
}

/// A machine and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What it is for: only checks of these are made.
    pub duties: BTreeSet<Duty>,
    /// What was found there.
    pub facts: MachineFacts,
}

/// Every check of a benchmark, in the order of its numbers.
pub fn checks(benchmark: Benchmark) -> impl Iterator<Item = &'static Check> {
    let all = [
        files::CHECKS,
        control_plane::API_SERVER,
        control_plane::CONTROLLERS,
        control_plane::ETCD,
        control_plane::AUTHENTICATION,
        node::CHECKS,
        policies::CHECKS,
    ];
    let all = all.into_iter().flatten();
    all.filter(move |check| (check.since..=check.until).contains(&benchmark))
}

/// What of the benchmark clusters of this crate leave open, with the reasons.
pub fn exceptions(spec: &ClusterSpec) -> Vec<Exception> {
    let mut exceptions = vec![
        Exception {
            number: "1.1.12",
            reason: "etcd runs as root on machines of its own: its keys are root's with mode 0600",
        },
        Exception {
            number: "4.2.7",
            reason: "a node has the name of the specification, which its certificates carry, whatever its host is called",
        },
    ];
    if !spec.images.registry {
        exceptions.push(Exception {
            number: "1.2.11",
            reason: "no registry serves the images: they are in the runtime already, and a pod that asked would not start",
        });
    }
    let by_roles = spec.nodes().any(|(role, node)| {
        let place = Place {
            cluster: spec,
            node,
            role,
        };
        Anonymous::of(place) == Anonymous::ByRoles
    });
    if by_roles {
        exceptions.push(Exception {
            number: "1.2.1",
            reason: "before 1.32 probes without a certificate need anonymous requests; roles keep those to health and version",
        });
    }
    exceptions
}

/// Judges machines by a benchmark. Pure: one finding for each check and each machine with its duty.
pub fn judge(
    benchmark: Benchmark,
    exceptions: &[Exception],
    machines: &BTreeMap<HostName, Machine>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in checks(benchmark) {
        let Some(duty) = check.duty else {
            let (verdict, evidence) = check.rule.judge(&MachineFacts::default());
            findings.push(finding(check, None, verdict, evidence));
            continue;
        };
        for (name, machine) in machines {
            if !machine.duties.contains(&duty) {
                continue;
            }
            let (mut verdict, mut evidence) = check.rule.judge(&machine.facts);
            // What does not run at all is no exception.
            let program = check.rule.program();
            let runs = program.is_none_or(|program| machine.facts.processes.contains_key(&program));
            let mut exceptions = exceptions.iter();
            let exception = exceptions.find(|one| runs && one.number == check.number);
            if let (Verdict::Fail, Some(exception)) = (verdict, exception) {
                verdict = Verdict::Excepted;
                evidence = format!("{evidence}: {}", exception.reason);
            }
            findings.push(finding(check, Some(name.clone()), verdict, evidence));
        }
    }
    findings
}

fn finding(
    check: &Check,
    machine: Option<HostName>,
    verdict: Verdict,
    evidence: String,
) -> Finding {
    Finding {
        number: check.number,
        title: check.title,
        automated: check.automated,
        machine,
        verdict,
        evidence,
    }
}
