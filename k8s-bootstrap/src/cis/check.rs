//! One check as data.

use super::rule::Rule;
use serde::Serialize;
use std::fmt;

/// An edition of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Benchmark {
    /// 1.10, for Kubernetes 1.28.
    #[serde(rename = "cis-1.10")]
    V1_10,
    /// 1.11, for Kubernetes 1.29 to 1.31.
    #[serde(rename = "cis-1.11")]
    V1_11,
    /// 1.12, for Kubernetes 1.32 to 1.34, and the newest there is for later ones.
    #[serde(rename = "cis-1.12")]
    V1_12,
}

impl Benchmark {
    /// The edition for a minor release of Kubernetes 1, as kube-bench maps them.
    pub fn for_minor(minor: u16) -> Self {
        match minor {
            ..=28 => Self::V1_10,
            29..=31 => Self::V1_11,
            32.. => Self::V1_12,
        }
    }
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_10 => "CIS Kubernetes Benchmark 1.10",
            Self::V1_11 => "CIS Kubernetes Benchmark 1.11",
            Self::V1_12 => "CIS Kubernetes Benchmark 1.12",
        })
    }
}

/// What a machine is for, as the benchmark divides them. A machine may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// Runs API server, controller manager and scheduler.
    ControlPlane,
    /// Is a member of etcd.
    Etcd,
    /// Runs a kubelet.
    Node,
}

/// One check of the benchmark.
#[derive(Debug)]
pub struct Check {
    /// Its number.
    pub number: &'static str,
    /// What it asks for, in our words.
    pub title: &'static str,
    /// The benchmark marks it "(Automated)".
    pub automated: bool,
    /// The machines it is about; `None` for the whole cluster.
    pub duty: Option<Duty>,
    /// The first edition that has it.
    pub since: Benchmark,
    /// The last edition that has it.
    pub until: Benchmark,
    pub(super) rule: Rule,
}

impl Check {
    /// A check that the benchmark marks "(Automated)", of all editions.
    pub(super) const fn automated(
        number: &'static str,
        title: &'static str,
        duty: Duty,
        rule: Rule,
    ) -> Self {
        Self {
            number,
            title,
            automated: true,
            duty: Some(duty),
            since: Benchmark::V1_10,
            until: Benchmark::V1_12,
            rule,
        }
    }

    /// A check that the benchmark marks "(Manual)" and a program can judge all the same.
    pub(super) const fn judged(
        number: &'static str,
        title: &'static str,
        duty: Duty,
        rule: Rule,
    ) -> Self {
        let mut check = Self::automated(number, title, duty, rule);
        check.automated = false;
        check
    }

    /// A check that only a person can judge; `look` says at what.
    pub(super) const fn manual(
        number: &'static str,
        title: &'static str,
        look: &'static str,
    ) -> Self {
        Self {
            number,
            title,
            automated: false,
            duty: None,
            since: Benchmark::V1_10,
            until: Benchmark::V1_12,
            rule: Rule::Manual(look),
        }
    }

    /// The same, of these editions only.
    pub(super) const fn of(mut self, since: Benchmark, until: Benchmark) -> Self {
        self.since = since;
        self.until = until;
        self
    }
}
