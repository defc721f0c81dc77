//! Everything that `up` would do, before it does it.

use crate::{
    Blueprint, DraftError, Hosts, Lab, ObserveError, Wired,
    first_boot::{etcd_after_boot, kubernetes_after_boot, with_first_boot},
    guest::GuestStep,
    lab::{desired, etcd_hosts, etcd_spec, guest_steps, programs_places},
    material::Source,
    up::shared,
};
use host_exec::HostName;
use k8s_bootstrap::ExpiringToken;
use nspawn_vm::MachineState;
use pki::PkiPlan;
use serde::Serialize;
use std::collections::BTreeMap;

/// How much of a plan could be known when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Every step is listed.
    Whole,
    /// Some machines are down: what their etcd and Kubernetes need shows when they run again.
    UntilMachinesRun,
}

/// The steps from what is there to what is wanted, layer by layer.
#[derive(Debug, Clone)]
pub struct LabPlan {
    /// What is wanted.
    pub blueprint: Blueprint,
    /// Programs to be taken, downloaded or built; `Err` says why that is not possible.
    pub programs: Result<Vec<String>, String>,
    /// Certificates and keys.
    pub pki: PkiPlan,
    /// Networks and machines.
    pub machines: nspawn_vm::Plan,
    /// Names and firewall of each machine.
    pub guests: BTreeMap<HostName, Vec<GuestStep>>,
    /// etcd.
    pub etcd: etcd_bootstrap::Plan,
    /// Kubernetes.
    pub kubernetes: k8s_bootstrap::Plan,
    /// Whether that is all.
    pub certainty: Certainty,
}

/// A plan could not be made. Nothing was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabPlanError {
    /// The lab could not be worked out.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// What is there could not be found out.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// etcd must not be touched.
    #[error(transparent)]
    Etcd(#[from] etcd_bootstrap::PlanError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] crate::StateError),
    /// No token could be drawn.
    #[error("cannot draw a bootstrap token")]
    Random(#[from] pki::RandomError),
}

impl LabPlan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.certainty == Certainty::Whole
            && self.programs.as_ref().is_ok_and(Vec::is_empty)
            && self.pki.is_done()
            && self.machines.is_empty()
            && self.guests.values().all(Vec::is_empty)
            && self.etcd.is_empty()
            && self.kubernetes.is_empty()
    }
}

impl Lab {
    /// Finds out what `up` would do. Changes nothing: no file, no process, no download.
    ///
    /// # Errors
    ///
    /// The lab is impossible, cannot be looked at, or must not be touched.
    pub async fn plan(&self) -> Result<LabPlan, LabPlanError> {
        let blueprint = self.draft().await?;
        let programs = self.plan_programs(&blueprint).await;
        let pki =
            PkiPlan::new(&blueprint.pki, &self.store(), self.now).map_err(ObserveError::from)?;
        let observed = nspawn_vm::observe(&blueprint.group, &self.here)
            .await
            .map_err(ObserveError::from)?;
        let hosts: Hosts = shared(&observed);
        let guests = guest_steps(&blueprint, &hosts)
            .await
            .map_err(ObserveError::from)?;
        let token = match self.kept_token()? {
            Some(token) => token,
            None => self.fresh_token()?,
        };
        let all_run = (blueprint.group.machines.iter()).all(|one| hosts.contains_key(&one.name));
        let layers = if all_run && pki.is_done() {
            let wired = self.wire(&blueprint, &token)?;
            let (etcd, kubernetes) = plan_clusters(&wired, &hosts).await?;
            Layers {
                machines: nspawn_vm::plan(&blueprint.group, &observed),
                etcd,
                kubernetes,
                certainty: Certainty::Whole,
            }
        } else {
            plan_on_paper(&blueprint, &token, &observed)?
        };
        let Layers {
            machines,
            etcd,
            kubernetes,
            certainty,
        } = layers;
        Ok(LabPlan {
            blueprint,
            programs,
            pki,
            machines,
            guests,
            etcd,
            kubernetes,
            certainty,
        })
    }

    pub(crate) async fn plan_programs(&self, blueprint: &Blueprint) -> Result<Vec<String>, String> {
        let places = programs_places(self);
        let wanted = &blueprint.programs;
        let found = artifacts::observe(&self.here, wanted, &places)
            .await
            .map_err(|e| e.to_string())?;
        let steps = artifacts::plan(wanted, &found, &places.mirrors).map_err(|e| e.to_string())?;
        Ok(steps.iter().map(ToString::to_string).collect())
    }
}

/// Looks at etcd and Kubernetes on machines that all run, and plans both.
pub(crate) async fn plan_clusters(
    wired: &Wired,
    hosts: &Hosts,
) -> Result<(etcd_bootstrap::Plan, k8s_bootstrap::Plan), LabPlanError> {
    let (etcd, kubernetes) = tokio::join!(plan_etcd(wired, hosts), plan_kubernetes(wired, hosts));
    Ok((etcd?, kubernetes?))
}

pub(crate) async fn plan_etcd(
    wired: &Wired,
    hosts: &Hosts,
) -> Result<etcd_bootstrap::Plan, LabPlanError> {
    let members = etcd_hosts(&wired.etcd, hosts);
    let observed = etcd_bootstrap::observe(&wired.etcd, &members, &wired.etcd_tls).await;
    Ok(etcd_bootstrap::plan(
        &wired.etcd,
        &observed.map_err(ObserveError::from)?,
    )?)
}

pub(crate) async fn plan_kubernetes(
    wired: &Wired,
    hosts: &Hosts,
) -> Result<k8s_bootstrap::Plan, LabPlanError> {
    let observed = k8s_bootstrap::observe(&wired.kubernetes, hosts).await;
    Ok(k8s_bootstrap::plan(
        &wired.kubernetes,
        &observed.map_err(ObserveError::from)?,
    ))
}

/// The layers from the machines upwards.
struct Layers {
    machines: nspawn_vm::Plan,
    etcd: etcd_bootstrap::Plan,
    kubernetes: k8s_bootstrap::Plan,
    certainty: Certainty,
}

/// What has to be done while some machines do not run. Of those that are new all is known; what those need that
/// have run before, and the rest then, nobody can know before they run again.
fn plan_on_paper(
    blueprint: &Blueprint,
    token: &ExpiringToken,
    observed: &nspawn_vm::Observed,
) -> Result<Layers, LabPlanError> {
    let etcd = etcd_spec(blueprint, Source::Paper)?;
    let desired = desired(blueprint, token, Source::Paper)?;
    let group = with_first_boot(blueprint, &etcd, &desired);
    let machines = nspawn_vm::plan(&group, observed);
    let is_new = |name: &str| observed.machines.get(name) == Some(&MachineState::Absent);
    let all_new = group
        .machines
        .iter()
        .all(|machine| is_new(machine.name.as_str()));
    let mut kubernetes = k8s_bootstrap::plan(&desired, &kubernetes_after_boot(&desired));
    if all_new {
        let etcd = etcd_bootstrap::plan(&etcd, &etcd_after_boot(&etcd))?;
        return Ok(Layers {
            machines,
            etcd,
            kubernetes,
            certainty: Certainty::Whole,
        });
    }
    kubernetes
        .steps
        .retain(|step| step.node.as_ref().is_some_and(|node| is_new(node.as_str())));
    let (etcd, certainty) = (etcd_bootstrap::Plan::default(), Certainty::UntilMachinesRun);
    Ok(Layers {
        machines,
        etcd,
        kubernetes,
        certainty,
    })
}
