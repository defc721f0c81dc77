//! Every leaf made anew, while the lab runs.
//!
//! Who reads a certificate again by himself is not started anew: members of etcd, API servers with all that they
//! show to others, kubelets. The controller manager, the scheduler and kube-proxy are, one node after the other: their
//! kubeconfigs have everything embedded. So nobody's requests fail, also where there is one control plane; there the
//! controllers pause while theirs starts. Not renewed are the key of service accounts and the authorities, which are
//! rotated, and the certificates that the cluster itself gave its kubelets, which renew them in time.

use super::{
    Roll, RollError,
    changes::{self, Changes},
    gate::{Gate, Late},
};
use crate::{
    Blueprint, DraftError, Hosts, Lab, LabPlanError, MaterialError, ObserveError, StateError,
    UnderWay,
};
use host_exec::EventSink;
use pki::{Action, ItemId, PkiPlan, PlanItem};
use serde::Serialize;

/// What a renewal would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RenewalPlan {
    /// The leaves that are made anew, each with its reason.
    pub issued: Vec<PlanItem>,
    /// What is done on the machines then, in order.
    pub steps: Vec<String>,
}

/// What a renewal did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renewed {
    /// The leaves that were made anew.
    pub issued: Vec<ItemId>,
}

/// Certificates could not be renewed. What was done stays; `lab up` brings what has been issued to its machines, and
/// the same command renews all once more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// There is no lab.
    #[error("there is no lab yet; `lab up` makes one, with new certificates")]
    NoLab,
    /// An upgrade has not ended.
    #[error("the upgrade from {from} to {to} has not ended; run `lab upgrade --to {to}` first")]
    Upgrading {
        /// The version before.
        from: artifacts::Version,
        /// The version that it goes to.
        to: artifacts::Version,
    },
    /// So has one of etcd.
    #[error(
        "an upgrade of etcd has not ended; `lab etcd status` says which member has which version, and `lab etcd upgrade` ends it"
    )]
    UpgradingEtcd,
    /// A machine cannot be reached.
    #[error("{0} does not run, and would be left with old certificates; `lab up` starts it")]
    Down(String),
    /// The lab could not be worked out or looked at.
    #[error(transparent)]
    Plan(#[from] LabPlanError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store.
    #[error("cannot plan the lab's certificates")]
    Pki(#[from] pki::PlanError),
    /// A certificate could not be issued.
    #[error("cannot issue the certificates of the lab")]
    Issue(#[from] pki::ApplyError),
    /// The administrator's file on this machine.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The way to the machines.
    #[error(transparent)]
    Roll(#[from] RollError),
    /// A port goes on with the certificate that it had.
    #[error("not every port shows its new certificate; look at the log of the program behind it")]
    NotShown(#[from] Late),
}

impl From<DraftError> for RenewError {
    fn from(error: DraftError) -> Self {
        Self::Plan(error.into())
    }
}

impl From<ObserveError> for RenewError {
    fn from(error: ObserveError) -> Self {
        Self::Plan(error.into())
    }
}

impl From<pki::RandomError> for RenewError {
    fn from(error: pki::RandomError) -> Self {
        Self::Plan(error.into())
    }
}

impl Lab {
    /// What [`Lab::renew`] would do. Changes nothing.
    ///
    /// # Errors
    ///
    /// There is no lab, a machine does not run, an upgrade has not ended, or the lab cannot be looked at.
    pub async fn plan_renewal(&self) -> Result<RenewalPlan, RenewError> {
        let (blueprint, hosts) = self.settled().await?;
        let plan = PkiPlan::renewing(&blueprint.pki, &self.store(), self.now)?;
        let wired = self.wire(&blueprint, &self.token_to_look_with::<LabPlanError>()?)?;
        let items = plan.items().iter();
        let issued: Vec<PlanItem> = items
            .filter(|item| item.decision.action != Action::Reuse)
            .cloned()
            .collect();
        let leaves = issued.iter().map(|item| item.id.clone()).collect();
        let changes = Changes::of_leaves(leaves);
        let steps = changes::lines(&wired, &hosts, &blueprint.pki, &changes).await?;
        Ok(RenewalPlan { issued, steps })
    }

    /// Makes every leaf anew, with a new key, and brings it to its machine; one control plane after the other.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_renewal`]; a machine or a program that does not do as it has to.
    pub async fn renew(&self, events: &dyn EventSink) -> Result<Renewed, RenewError> {
        let (blueprint, hosts) = self.settled().await?;
        let _lock = self.state().lock()?;
        let store = self.store();
        let plan = PkiPlan::renewing(&blueprint.pki, &store, self.now)?;
        let step = "certificates";
        events.started("", step);
        let report = pki::apply(&store, &plan, self.now, &pki::OsRandom)?;
        events.done("", step, &format!("{} issued", report.written.len()));
        self.bring(&blueprint, &hosts, events).await?;
        let gate = Gate {
            lab: self,
            wired: &self.wire(&blueprint, &self.token::<RenewError>()?)?,
            hosts: &hosts,
            events,
        };
        gate.shown().await?;
        Ok(Renewed {
            issued: report.written,
        })
    }

    /// Brings what the store has to every machine, and the administrator's kubeconfig to this one. Says whether
    /// anything had to be done on a machine.
    pub(crate) async fn bring(
        &self,
        blueprint: &Blueprint,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, RenewError> {
        let token = self.token::<RenewError>()?;
        let wired = self.wire(blueprint, &token)?;
        let roll = Roll {
            lab: self,
            wired: &wired,
            hosts,
            token: &token,
            events,
        };
        let changed = roll.run().await?;
        let kubeconfig = blueprint.kubeconfig(&self.store())?;
        self.state().remember_kubeconfig(&kubeconfig)?;
        Ok(changed)
    }

    /// The lab, if it is whole and nothing else is being done to it.
    pub(crate) async fn settled(&self) -> Result<(Blueprint, Hosts), RenewError> {
        let state = self.state();
        if state.record()?.is_none() {
            return Err(RenewError::NoLab);
        }
        let under_way = state.upgrades()?.and_then(|upgrades| upgrades.under_way);
        if let Some(UnderWay { from, to, .. }) = under_way {
            return Err(RenewError::Upgrading { from, to });
        }
        let blueprint = self.draft().await?;
        blueprint.refuse_restoring()?;
        if !blueprint.etcd_record().upgraded.is_empty() {
            return Err(RenewError::UpgradingEtcd);
        }
        let seen = self.see(&blueprint).await?;
        if let Some((name, _)) = seen
            .states
            .iter()
            .find(|(name, _)| !seen.hosts.contains_key(name))
        {
            return Err(RenewError::Down(name.to_string()));
        }
        let blueprint = self.informed(blueprint, &seen).await;
        Ok((blueprint, seen.hosts))
    }
}
