//! One node of a lab that is there: drained and given back.

use crate::{Hosts, Lab, LabPlanError};
use host_exec::{EventSink, HostName};
use k8s_bootstrap::{
    Desired,
    retire::{self, DrainOptions, RetireError, RetirePlan},
};

/// A node could not be drained or given back. What was done stays; the same call again goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The lab could not be worked out or looked at.
    #[error(transparent)]
    Lab(#[from] LabPlanError),
    /// The node, or the cluster.
    #[error(transparent)]
    Retire(#[from] Box<RetireError>),
}

impl From<RetireError> for NodeError {
    fn from(error: RetireError) -> Self {
        Self::Retire(Box::new(error))
    }
}

/// What is done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeWish {
    /// Keep new pods away and evict those that are there.
    Drain(DrainOptions),
    /// Let it take pods again.
    Uncordon,
}

impl Lab {
    /// What [`Lab::node`] would do. Changes nothing.
    ///
    /// # Errors
    ///
    /// The lab cannot be looked at, there is no such node, or pods need consent.
    pub async fn plan_node(
        &self,
        node: &HostName,
        wish: NodeWish,
    ) -> Result<RetirePlan, NodeError> {
        let (desired, hosts) = self.running_cluster().await?;
        let found = retire::see_node(&desired, &hosts, node).await?;
        Ok(match wish {
            NodeWish::Drain(options) => retire::plan_drain(&found, &options)?,
            NodeWish::Uncordon => retire::plan_uncordon(&found)?,
        })
    }

    /// Drains a node or gives it back; returns what was planned and done.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_node`]; pods do not end in time; the API refuses.
    pub async fn node(
        &self,
        node: &HostName,
        wish: NodeWish,
        events: &dyn EventSink,
    ) -> Result<RetirePlan, NodeError> {
        let (desired, hosts) = self.running_cluster().await?;
        let done = match wish {
            NodeWish::Drain(options) => {
                retire::drain(&desired, &hosts, node, options, events).await
            }
            NodeWish::Uncordon => retire::uncordon(&desired, &hosts, node, events).await,
        };
        Ok(done?)
    }

    /// Kubernetes of a lab that is there, and its machines that run.
    pub(crate) async fn running_cluster(&self) -> Result<(Desired, Hosts), LabPlanError> {
        let blueprint = self.draft().await?;
        let seen = self.see(&blueprint).await?;
        let blueprint = self.informed(blueprint, &seen).await;
        // Nobody joins with it here.
        let token = match self.kept_token()? {
            Some(token) => token,
            None => self.fresh_token()?,
        };
        let wired = self.wire(&blueprint, &token)?;
        Ok((wired.kubernetes, seen.hosts))
    }
}
