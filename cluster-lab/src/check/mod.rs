//! Proof that a lab is what it promises: named conditions with their evidence, and the matrix of who reaches whom,
//! tried with packets.

mod conditions;
pub(crate) mod dns;
mod matrix;
mod stage;

use crate::{DraftError, Lab, MaterialError, ObserveError, StateError, up};
use host_exec::{Condition, EventSink, RunError};
use serde::Serialize;

pub use matrix::MatrixRow;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The conditions, from the machines upwards.
    pub conditions: Vec<Condition>,
    /// Every flow that was tried. Empty if machines are missing: then nothing can be tried from them.
    pub matrix: Vec<MatrixRow>,
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
    /// No token could be drawn.
    #[error("cannot draw a bootstrap token")]
    Random(#[from] pki::RandomError),
}

impl Lab {
    /// Proves what the lab promises, as far as it is there.
    ///
    /// For the time of the trial it adds a few namespaces and routes inside the lab, and removes them.
    ///
    /// # Errors
    ///
    /// The check could not be made; see [`CheckError`].
    pub async fn check(&self, events: &dyn EventSink) -> Result<CheckReport, CheckError> {
        let blueprint = self.draft().await?;
        let observed = nspawn_vm::observe(&blueprint.group, &self.here)
            .await
            .map_err(ObserveError::from)?;
        let mut conditions = conditions::machines(&blueprint, &observed);
        conditions.push(conditions::certificates(&self.store(), self.now));
        let all_run = conditions
            .iter()
            .filter(|c| c.name.ends_with("runs"))
            .all(|c| c.ok);
        let hosts = up::shared(&observed);
        let mut matrix = Vec::new();
        if all_run {
            events.started("", "conditions");
            conditions.extend(self.cluster_conditions(&blueprint, &hosts).await?);
            conditions.extend(dns::conditions(&blueprint, dns::ANSWER_LIMIT).await);
            events.done("", "conditions", &format!("{} looked at", conditions.len()));
            events.started("", "network");
            matrix = matrix::prove(&blueprint, &self.here).await?;
            events.done("", "network", &format!("{} flows tried", matrix.len()));
        }
        Ok(CheckReport { conditions, matrix })
    }
}
