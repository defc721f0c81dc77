//! [`lint`]: what is legal in a plan and still goes wrong, by name, with its source and a remedy.
//!
//! [`plan`](crate::plan) refuses what it cannot make. What it can make may still be refused by
//! Kubernetes, hide a network of the host, or work worse than it looks; that is said here.
//!
//! Some rules need no lint because a plan keeps them by construction: at most one range of each
//! family, texts in canonical form, IPv6 networks of exactly /64, one default route for each
//! machine, and part of the pod range for each node, so that nodes need none of
//! kube-controller-manager, whose choice cannot be foretold (`allocate-node-cidrs=false`).

mod allow;
mod host;
mod ipv6;
mod pods;
mod ranges;
mod services;
mod table;

use std::fmt;

use serde::{Serialize, Serializer};

use crate::addresses::Nets;
use crate::facts::HostFacts;
use crate::net::Net;
use crate::plan::Plan;
use crate::requirement::Requirement;

pub use table::LINTS;
pub(crate) use table::{HOST_ROUTE_EQUAL, HOST_ROUTE_HIDDEN};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something will not start, or a network that the host uses is cut off.
    Error,
    /// It works, worse than it looks or until something else comes.
    Warning,
    /// Good to know.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A rule that a plan is held against.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// Its name, as written in [`Allow`](crate::Allow).
    pub name: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// What it says, as a statement about plans that keep it.
    pub summary: &'static str,
    /// Where the rule comes from: an RFC, a KEP, a file of Kubernetes, an issue.
    pub reference: &'static str,
    /// What to do in general; a [`Finding`] says it with values where it can.
    pub remedy: &'static str,
}

/// A place where a plan breaks a [`Lint`].
///
/// Its [`Display`](fmt::Display) is one line, `SEVERITY: MESSAGE (lint NAME, REFERENCE): REMEDY`,
/// with the reason behind it when it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub lint: &'static Lint,
    /// The field or network that it is about, like `kubernetes.services_v6`.
    pub subject: String,
    /// The value, and why it breaks the rule.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// The reason why it may stay, from the requirement.
    pub allowed: Option<String>,
}

impl Finding {
    /// Whether it should stop whoever is about to apply the plan: an error that nobody allowed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.lint.severity == Severity::Error && self.allowed.is_none()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lint {
            name,
            severity,
            reference,
            ..
        } = self.lint;
        let (message, remedy) = (&self.message, &self.remedy);
        write!(
            f,
            "{severity}: {message} (lint {name}, {reference}): {remedy}"
        )?;
        match &self.allowed {
            Some(reason) => write!(f, " [allowed: {reason}]"),
            None => Ok(()),
        }
    }
}

impl Serialize for Finding {
    /// Flat, and of the lint only what a reader of findings needs.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            lint: &'static str,
            severity: Severity,
            reference: &'static str,
            subject: &'a str,
            message: &'a str,
            remedy: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            allowed: Option<&'a str>,
        }
        let row = Row {
            lint: self.lint.name,
            severity: self.lint.severity,
            reference: self.lint.reference,
            subject: &self.subject,
            message: &self.message,
            remedy: &self.remedy,
            allowed: self.allowed.as_deref(),
        };
        row.serialize(serializer)
    }
}

/// Holds a plan against all [`LINTS`]; the worst findings come first.
///
/// The plan is the one that [`plan`](crate::plan) made of the requirement and the facts. What a
/// lock remembers is held against the host's networks here, and nowhere else.
///
/// ```
/// use netplan::{HostFacts, KubernetesVersion, LabName, MachineCounts, Requirement, V6Mode};
///
/// let lab = LabName::new("demo")?;
/// let version = KubernetesVersion::new(37);
/// let mut requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
/// requirement.v6_mode = V6Mode::Nat66 { address: "2001:db8::10".parse()? };
/// let facts = HostFacts::default();
/// let plan = netplan::plan(&requirement, &facts, None)?;
/// let findings = netplan::lint(&requirement, &plan, &facts);
/// assert_eq!(findings[0].lint.name, "ula-nat66");
/// assert!(!findings[0].is_fatal());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn lint(requirement: &Requirement, plan: &Plan, facts: &HostFacts) -> Vec<Finding> {
    let mut findings = Findings::default();
    services::check(requirement, plan, &mut findings);
    pods::check(requirement, plan, &mut findings);
    let claims = claims(plan);
    ranges::check(&claims, plan, &mut findings);
    host::check(&claims, facts, &mut findings);
    ipv6::check(plan, &mut findings);
    allow::apply(&requirement.allow, &mut findings);
    let mut findings = findings.all;
    findings.sort_by_key(|finding| finding.lint.severity);
    findings
}

/// The findings so far.
#[derive(Default)]
struct Findings {
    all: Vec<Finding>,
}

impl Findings {
    /// A finding with the lint's own remedy.
    fn report(&mut self, lint: &'static Lint, subject: &str, message: String) {
        self.report_with(lint, subject, message, lint.remedy.to_owned());
    }

    fn report_with(&mut self, lint: &'static Lint, subject: &str, message: String, remedy: String) {
        self.all.push(Finding {
            lint,
            subject: subject.to_owned(),
            message,
            remedy,
            allowed: None,
        });
    }
}

/// A network that a plan takes, with the field that decides about it.
struct Claim {
    subject: String,
    net: Net,
}

/// All networks of a plan, those of the whole lab first.
fn claims(plan: &Plan) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut add = |nets: Nets, subject: &dyn Fn(&str) -> String| {
        claims.extend(nets.iter().map(|net| Claim {
            subject: subject(net.family().key()),
            net,
        }));
    };
    add(plan.supernet, &str::to_owned);
    for network in &plan.networks {
        add(network.nets, &|key| {
            format!("networks.{}.{key}", network.name)
        });
    }
    if let Some(link) = &plan.link {
        add(link.nets, &|key| format!("link.{key}"));
    }
    if let Some(kubernetes) = &plan.kubernetes {
        add(kubernetes.services.nets, &|key| {
            format!("kubernetes.services_{key}")
        });
        add(kubernetes.pods, &|key| format!("kubernetes.pods_{key}"));
    }
    claims
}
