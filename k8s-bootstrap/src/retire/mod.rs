//! Taking a node out of its cluster, for a while or for good.
//!
//! [`drain`] keeps new pods away and moves those that are there, as `kubectl drain` does
//! (<https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/>); [`uncordon`] takes pods again;
//! [`remove`] drains a node, stops its kubelet and deletes its Node; [`reset`] makes the machine clean, as
//! `kubeadm reset` does; [`prune`] takes from a node that stays what a changed spec no longer gives it. Each looks
//! first, plans ([`RetirePlan`], [`ResetPlan`]) and then does what the plan says; killed anywhere, the next call goes
//! on from what is there, and a call that finds everything done does nothing.
//! The members of etcd are no part of this.

mod apply;
mod error;
mod evict;
mod observe;
mod plan;
mod pods;
mod requests;
mod reset;

pub use apply::{drain, remove, uncordon};
pub use error::RetireError;
pub use observe::{NodeFound, see_node};
pub use plan::{RetirePlan, RetireStep, plan_drain, plan_remove, plan_uncordon};
pub use pods::{Blocker, PodFound, PodName, PodPlace};
pub use reset::{
    Found, Leftover, ResetError, ResetPlan, ResetStep, plan_prune, plan_reset, prune, reset,
    see_machine,
};

use std::time::Duration;

/// How a node is drained. The names are those of the flags of `kubectl drain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainOptions {
    /// Also pods that nobody will make again elsewhere, since they have no controller.
    pub force: bool,
    /// Also pods with an `emptyDir`, whose contents go with them.
    pub delete_emptydir_data: bool,
    /// What each pod gets to end by itself; `None` leaves it its own `terminationGracePeriodSeconds`.
    pub grace_period: Option<Duration>,
    /// How long it may take until the last pod has gone. A PodDisruptionBudget that allows no eviction is waited
    /// for until then.
    pub timeout: Duration,
}

impl Default for DrainOptions {
    /// Nothing is lost without consent; five minutes.
    fn default() -> Self {
        Self {
            force: false,
            delete_emptydir_data: false,
            grace_period: None,
            timeout: Duration::from_secs(300),
        }
    }
}
