//! One node of a lab that is there: drained, given back, made clean.

use crate::{Hosts, Lab, LabPlanError, StateError, Wired};
use host_exec::{EventSink, HostName};
use k8s_bootstrap::{
    Desired, ExpiringToken,
    retire::{self, DrainOptions, Leftover, ResetError, RetireError},
};

/// A node could not be drained, given back or made clean. What was done stays; the same call again goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The lab could not be worked out or looked at.
    #[error(transparent)]
    Lab(#[from] Box<LabPlanError>),
    /// The node, or the cluster.
    #[error(transparent)]
    Retire(#[from] Box<RetireError>),
    /// Its machine does not get clean.
    #[error(transparent)]
    Reset(#[from] Box<ResetError>),
    /// Its machine does not run.
    #[error("machine {0} does not run; `lab up` starts it")]
    Down(HostName),
    /// What a reset could not take away.
    #[error("{node} is not clean; {}", .left.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Left {
        /// The node.
        node: HostName,
        /// What is left.
        left: Vec<Leftover>,
    },
}

impl From<LabPlanError> for NodeError {
    fn from(error: LabPlanError) -> Self {
        Self::Lab(Box::new(error))
    }
}

impl From<ResetError> for NodeError {
    fn from(error: ResetError) -> Self {
        Self::Reset(Box::new(error))
    }
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
    /// Take it out of the cluster, and leave a machine on which it has never been. The next `up` has it join anew.
    Reset(DrainOptions),
}

impl Lab {
    /// What [`Lab::node`] would do, a line for each step. Changes nothing.
    ///
    /// # Errors
    ///
    /// The lab cannot be looked at, there is no such node, or pods need consent.
    pub async fn plan_node(
        &self,
        node: &HostName,
        wish: NodeWish,
    ) -> Result<Vec<String>, NodeError> {
        let (desired, hosts) = self.running_cluster().await?;
        let found = retire::see_node(&desired, &hosts, node).await?;
        let mut text = match wish {
            NodeWish::Drain(options) => retire::plan_drain(&found, &options)?,
            NodeWish::Uncordon => retire::plan_uncordon(&found)?,
            NodeWish::Reset(options) => retire::plan_remove(&found, &options)?,
        }
        .to_string();
        if let NodeWish::Reset(_) = wish {
            must_run(&hosts, node)?;
            let machine = retire::see_machine(&desired, &hosts, node).await?;
            text.push_str(&retire::plan_reset(&desired, node, &machine)?.to_string());
        }
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Drains a node, gives it back or makes it clean; returns what was done, a line for each step.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_node`]; pods do not end in time; the API refuses; something of the node is left.
    pub async fn node(
        &self,
        node: &HostName,
        wish: NodeWish,
        events: &dyn EventSink,
    ) -> Result<Vec<String>, NodeError> {
        // Of a reset the machine's part is told as it is before its pods have gone.
        let plan = self.plan_node(node, wish).await?;
        let (desired, hosts) = self.running_cluster().await?;
        match wish {
            NodeWish::Drain(options) => {
                retire::drain(&desired, &hosts, node, options, events).await?;
            }
            NodeWish::Uncordon => {
                retire::uncordon(&desired, &hosts, node, events).await?;
            }
            NodeWish::Reset(options) => {
                retire::remove(&desired, &hosts, node, options, events).await?;
                let left = retire::reset(&desired, &hosts, node, events).await?;
                if !left.is_empty() {
                    let node = node.clone();
                    return Err(NodeError::Left { node, left });
                }
            }
        }
        Ok(plan)
    }

    /// Kubernetes of a lab that is there, and its machines that run.
    pub(crate) async fn running_cluster(&self) -> Result<(Desired, Hosts), LabPlanError> {
        let (wired, hosts) = self.running().await?;
        Ok((wired.kubernetes, hosts))
    }

    /// etcd and Kubernetes of a lab that is there, and its machines that run.
    pub(crate) async fn running(&self) -> Result<(Wired, Hosts), LabPlanError> {
        let blueprint = self.draft().await?;
        let seen = self.see(&blueprint).await?;
        let blueprint = self.informed(blueprint, &seen).await;
        let wired = self.wire(&blueprint, &self.token_to_look_with::<LabPlanError>()?)?;
        Ok((wired, seen.hosts))
    }

    /// A token for a look at the cluster: nobody joins with it.
    pub(crate) fn token_to_look_with<E>(&self) -> Result<ExpiringToken, E>
    where
        E: From<StateError> + From<pki::RandomError>,
    {
        match self.kept_token()? {
            Some(token) => Ok(token),
            None => Ok(self.fresh_token()?),
        }
    }
}

fn must_run(hosts: &Hosts, node: &HostName) -> Result<(), NodeError> {
    match hosts.contains_key(node) {
        true => Ok(()),
        false => Err(NodeError::Down(node.clone())),
    }
}
