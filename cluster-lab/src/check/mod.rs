//! Proof that a lab is what it promises: named conditions with their evidence, and the matrix of who reaches whom,
//! tried with packets.

mod cis;
mod conditions;
pub(crate) mod dns;
mod flows;
mod listeners;
mod machines;
mod matrix;
mod namespaces;
mod stage;
#[cfg(test)]
mod tests;
mod trial;

use crate::{Blueprint, DraftError, Hosts, Lab, MaterialError, ObserveError, StateError};
use host_exec::{Condition, EventSink, RunError};
use machines::Machines;
use matrix::Proof;
use namespaces::Namespaces;
use serde::Serialize;

pub use cis::CisReport;
pub use matrix::{MatrixRow, Untried};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The conditions, from the machines upwards.
    pub conditions: Vec<Condition>,
    /// Every flow that was tried. Empty if machines are missing: then nothing can be tried from them.
    pub matrix: Vec<MatrixRow>,
    /// Every flow of the policy that could not be tried, because one of its ends is out of reach.
    pub untried: Vec<Untried>,
}

impl CheckReport {
    /// Whether everything is as promised.
    pub fn ok(&self) -> bool {
        self.conditions.iter().all(|condition| condition.ok) && self.matrix.iter().all(|row| row.ok)
    }
}

/// The check itself could not be made. That something is not as promised is *not* an error: it is in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The lab could not be worked out.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// What is there could not be found out.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Certificates.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The namespaces from which pods are played could not be set up or removed.
    #[error("cannot set up the trial of the network")]
    Stage(#[source] RunError),
    /// The servers that the trial talks to could not be started.
    #[error("cannot listen on {address} for the trial of the network")]
    Listen {
        /// The address, inside a namespace of the lab.
        address: std::net::SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A machine of the plan is not among those that were given.
    #[error("machine {machine} cannot be reached, so the network cannot be tried from it")]
    NoHost {
        /// The machine.
        machine: String,
    },
    /// Connections could not be tried from a machine.
    #[error("cannot try connections from a machine")]
    Try(#[source] RunError),
    /// Connections were tried from a machine, and one of them was left out.
    #[error("nobody said what came of the connection from {from} to {address}; try it again")]
    Unsaid {
        /// Who tried.
        from: String,
        /// Whom.
        address: std::net::SocketAddr,
    },
    /// A machine could not be looked at for the benchmark.
    #[error("cannot look at a machine for the benchmark")]
    Benchmark(#[from] k8s_bootstrap::cis::ObserveError),
    /// No token could be drawn.
    #[error("cannot draw a bootstrap token")]
    Random(#[from] pki::RandomError),
}

impl Lab {
    /// Proves what the lab promises, as far as it is there.
    ///
    /// For the time of the trial it adds a few namespaces, servers and routes inside the lab, and removes them.
    ///
    /// # Errors
    ///
    /// The check could not be made; see [`CheckError`].
    pub async fn check(&self, events: &dyn EventSink) -> Result<CheckReport, CheckError> {
        let blueprint = self.draft().await?;
        let seen = self.see(&blueprint).await?;
        let blueprint = self.informed(blueprint, &seen).await;
        let mut conditions = conditions::machines(&seen);
        conditions.push(conditions::certificates(&self.store(), self.now));
        let mut proof = Proof::default();
        if seen.all_run() {
            events.started("", "conditions");
            conditions.extend(self.cluster_conditions(&blueprint, &seen.hosts).await?);
            let dns = dns::conditions(&blueprint, &seen.hosts, dns::ANSWER_LIMIT);
            conditions.extend(dns.await);
            events.done("", "conditions", &format!("{} looked at", conditions.len()));
            events.started("", "network");
            proof = self.prove_network(&blueprint, &seen.hosts).await?;
            let tried = proof.rows.len();
            events.done("", "network", &format!("{tried} flows tried"));
        }
        Ok(CheckReport {
            conditions,
            matrix: proof.rows,
            untried: proof.untried,
        })
    }

    /// Tries every flow that can be tried.
    async fn prove_network(
        &self,
        blueprint: &Blueprint,
        hosts: &Hosts,
    ) -> Result<Proof, CheckError> {
        let (plan, policy) = (&blueprint.network, &blueprint.policy);
        match &self.spec.bhyve {
            None => {
                let ends = Namespaces::new(blueprint.group_name(), &self.here);
                matrix::prove(plan, policy, self.spec.patience, ends).await
            }
            Some(bhyve) => {
                let router = self.freebsd_host(bhyve).map_err(ObserveError::from)?;
                let ends = Machines::new(hosts, &router).with_internet(bhyve.outside());
                matrix::prove(plan, policy, self.spec.patience, ends).await
            }
        }
    }
}
