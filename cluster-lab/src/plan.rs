//! Everything that `up` would do, before it does it.

use crate::{
    Blueprint, DraftError, EtcdError, Hosts, ImportError, Lab, Leaving, Machines, MachinesPlan,
    ObserveError, Wired,
    etcd::{has_pending, look_at_schedule, plan_pending},
    first_boot::{etcd_after_boot, kubernetes_after_boot, kubernetes_blank, with_first_boot},
    guest::GuestStep,
    lab::{desired, etcd_hosts, etcd_spec, guest_steps, programs_places},
    machines::{Seen, SeenDetail, VmsPlan},
    material::Source,
};
use bhyve_vm::fleet;
use etcd_bootstrap::{
    change::PlannedStep,
    schedule::{self, SchedulePlan},
};
use host_exec::HostName;
use k8s_bootstrap::ExpiringToken;
use pki::PkiPlan;
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;

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
    /// What VMs are made of and is not there yet: image, disk of programs, keys of SSH.
    pub supplies: Vec<String>,
    /// Certificates and keys.
    pub pki: PkiPlan,
    /// Machines that go, since fewer are asked for, and what those that stay lose.
    pub leaving: Vec<Leaving>,
    /// Networks and machines.
    pub machines: MachinesPlan,
    /// Names and firewall of each machine.
    pub guests: BTreeMap<HostName, Vec<GuestStep>>,
    /// Images of the version that the lab was upgraded to, for nodes that were made without.
    pub images: BTreeMap<HostName, Vec<String>>,
    /// etcd.
    pub etcd: etcd_bootstrap::Plan,
    /// Members of etcd that come in, with the quorum before and after each step.
    pub etcd_members: Vec<PlannedStep>,
    /// Snapshots that its members take by a timer.
    pub etcd_schedule: SchedulePlan,
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
    /// The members of etcd cannot change.
    #[error(transparent)]
    EtcdMembers(#[from] Box<EtcdError>),
    /// What nodes have of images, or should have.
    #[error(transparent)]
    Images(#[from] Box<ImportError>),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] crate::StateError),
    /// No token could be drawn.
    #[error("cannot draw a bootstrap token")]
    Random(#[from] pki::RandomError),
}

impl From<EtcdError> for LabPlanError {
    fn from(error: EtcdError) -> Self {
        match error {
            EtcdError::Lab(error) => error,
            other => Self::EtcdMembers(Box::new(other)),
        }
    }
}

impl LabPlan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.certainty == Certainty::Whole
            && self.programs.as_ref().is_ok_and(Vec::is_empty)
            && self.supplies.is_empty()
            && self.pki.is_done()
            && self.leaving.is_empty()
            && self.machines.is_empty()
            && self.guests.values().all(Vec::is_empty)
            && self.images.is_empty()
            && self.etcd.is_empty()
            && self.etcd_members.is_empty()
            && self.etcd_schedule.is_empty()
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
        let supplies = self.plan_supplies(&blueprint)?;
        let pki = self.plan_certificates(&blueprint)?;
        let shrinking = self.shrinking(&blueprint).await?;
        let seen = self.see(&blueprint).await?;
        let blueprint = self.informed(blueprint, &seen).await;
        let leaving = match &shrinking {
            Some(shrinking) => {
                let wired = self
                    .wire(&blueprint, &self.token_to_look_with::<LabPlanError>()?)
                    .ok();
                let stays = wired.map(|wired| wired.kubernetes);
                shrinking.plan(stays.as_ref()).await?
            }
            None => Vec::new(),
        };
        let guests = plan_guests(&blueprint, &seen).await?;
        let images = self.plan_added_images(&blueprint, &seen).await;
        let images = images.map_err(Box::new)?;
        let Layers {
            mut machines,
            etcd,
            etcd_members,
            etcd_schedule,
            kubernetes,
            certainty,
        } = self.plan_layers(&blueprint, &seen, pki.is_done()).await?;
        if let Some(shrinking) = &shrinking {
            shrinking.explain(&mut machines);
        }
        Ok(LabPlan {
            blueprint,
            programs,
            supplies,
            pki,
            leaving,
            machines,
            guests,
            images,
            etcd,
            etcd_members,
            etcd_schedule,
            kubernetes,
            certainty,
        })
    }

    async fn plan_layers(
        &self,
        blueprint: &Blueprint,
        seen: &Seen,
        certified: bool,
    ) -> Result<Layers, LabPlanError> {
        let token = self.token_to_look_with::<LabPlanError>()?;
        if !(seen.all_run() && certified) {
            let mut layers = plan_on_paper(blueprint, &token, seen)?;
            let wanted = etcd_spec(blueprint, Source::Paper)?;
            layers.etcd_members = self.growth_on_paper(&wanted).await?;
            return Ok(layers);
        }
        let wired = self.wire(blueprint, &token)?;
        let members = etcd_hosts(&wired.etcd, &seen.hosts);
        let (etcd, etcd_schedule, kubernetes) = tokio::join!(
            look_at_etcd(&wired, &seen.hosts, self.now),
            look_at_schedule(&wired.etcd, &members),
            plan_kubernetes(&wired, &seen.hosts)
        );
        let ((etcd, pending), kubernetes) = (etcd?, kubernetes?);
        let etcd_members = match pending {
            true => plan_pending(&wired, &seen.hosts).await?,
            false => Vec::new(),
        };
        Ok(Layers {
            machines: plan_machines(&blueprint.machines, seen)?,
            etcd,
            etcd_members,
            etcd_schedule: etcd_schedule.map_err(ObserveError::from)?,
            kubernetes,
            certainty: Certainty::Whole,
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

pub(crate) async fn plan_etcd(
    wired: &Wired,
    hosts: &Hosts,
    now: OffsetDateTime,
) -> Result<etcd_bootstrap::Plan, LabPlanError> {
    Ok(look_at_etcd(wired, hosts, now).await?.0)
}

/// What is to be done with the members of etcd, and whether some are yet to come in.
pub(crate) async fn look_at_etcd(
    wired: &Wired,
    hosts: &Hosts,
    now: OffsetDateTime,
) -> Result<(etcd_bootstrap::Plan, bool), LabPlanError> {
    let (spec, members) = (&wired.etcd, etcd_hosts(&wired.etcd, hosts));
    let observed = etcd_bootstrap::observe(spec, &members, &wired.etcd_tls).await;
    let observed = observed.map_err(ObserveError::from)?;
    let faults = etcd_bootstrap::certificates::faults(spec, &observed, &members, now).await;
    let observed = observed.with_certificate_faults(faults.map_err(ObserveError::from)?);
    let plan = etcd_bootstrap::plan(spec, &observed)?;
    Ok((plan, has_pending(spec, &observed)))
}

pub(crate) async fn plan_kubernetes(
    wired: &Wired,
    hosts: &Hosts,
) -> Result<k8s_bootstrap::Plan, LabPlanError> {
    let observed = observe_kubernetes(wired, hosts).await?;
    Ok(k8s_bootstrap::plan(&wired.kubernetes, &observed))
}

pub(crate) async fn observe_kubernetes(
    wired: &Wired,
    hosts: &Hosts,
) -> Result<k8s_bootstrap::Observed, ObserveError> {
    Ok(k8s_bootstrap::observe(&wired.kubernetes, hosts).await?)
}

/// What guests lack that run, and what those will lack that a VM's image makes.
async fn plan_guests(
    blueprint: &Blueprint,
    seen: &Seen,
) -> Result<BTreeMap<HostName, Vec<GuestStep>>, ObserveError> {
    let mut steps = guest_steps(blueprint, &seen.hosts).await?;
    if matches!(blueprint.machines, Machines::Vms(_)) {
        let new = blueprint
            .guests()
            .into_iter()
            .filter(|(name, _)| seen.is_new(name));
        steps.extend(new.map(|(name, guest)| (name, guest.on_paper())));
    }
    Ok(steps)
}

pub(crate) fn plan_machines(
    machines: &Machines,
    seen: &Seen,
) -> Result<MachinesPlan, ObserveError> {
    Ok(match (machines, &seen.detail) {
        (Machines::Namespaces(group), SeenDetail::Namespaces(observed)) => {
            MachinesPlan::Namespaces(nspawn_vm::plan(group, observed))
        }
        (_, SeenDetail::Vms(vms)) => MachinesPlan::Vms(Box::new(VmsPlan {
            plan: fleet::plan(&vms.0, &vms.1)?,
            fleet: vms.0.clone(),
        })),
        (Machines::Vms(_), SeenDetail::Namespaces(_)) => {
            unreachable!("machines are looked at by the blueprint that they are planned by")
        }
    })
}

/// The layers from the machines upwards.
struct Layers {
    machines: MachinesPlan,
    etcd: etcd_bootstrap::Plan,
    etcd_members: Vec<PlannedStep>,
    etcd_schedule: SchedulePlan,
    kubernetes: k8s_bootstrap::Plan,
    certainty: Certainty,
}

/// What has to be done while some machines do not run. Of those that are new all is known; what those need that
/// have run before, and the rest then, nobody can know before they run again.
fn plan_on_paper(
    blueprint: &Blueprint,
    token: &ExpiringToken,
    seen: &Seen,
) -> Result<Layers, LabPlanError> {
    let etcd = etcd_spec(blueprint, Source::Paper)?;
    let desired = desired(blueprint, token, Source::Paper, None)?;
    let machines = match &blueprint.machines {
        Machines::Namespaces(group) => {
            let group = with_first_boot(blueprint, group, &etcd, &desired);
            plan_machines(&Machines::Namespaces(group), seen)?
        }
        vms @ Machines::Vms(_) => plan_machines(vms, seen)?,
    };
    let all_new = seen.states.keys().all(|name| seen.is_new(name));
    // VMs boot without the files of etcd and Kubernetes, which are written then.
    let prepared = matches!(blueprint.machines, Machines::Namespaces(_));
    let (etcd_seen, kubernetes_seen) = match prepared {
        true => (etcd_after_boot(&etcd), kubernetes_after_boot(&desired)),
        false => (
            etcd_bootstrap::Observed::nothing(&etcd),
            kubernetes_blank(&desired),
        ),
    };
    let mut kubernetes = k8s_bootstrap::plan(&desired, &kubernetes_seen);
    if all_new {
        // Machines that boot with their files have the units among them, and the timer enabled.
        let etcd_schedule = match prepared {
            true => SchedulePlan::default(),
            false => schedule::plan(&etcd, &schedule::Observed::nothing(&etcd)),
        };
        let etcd = etcd_bootstrap::plan(&etcd, &etcd_seen)?;
        return Ok(Layers {
            machines,
            etcd,
            etcd_members: Vec::new(),
            etcd_schedule,
            kubernetes,
            certainty: Certainty::Whole,
        });
    }
    kubernetes
        .steps
        .retain(|step| step.node.as_ref().is_some_and(|node| seen.is_new(node)));
    let (etcd, certainty) = (etcd_bootstrap::Plan::default(), Certainty::UntilMachinesRun);
    Ok(Layers {
        machines,
        etcd,
        etcd_members: Vec::new(),
        etcd_schedule: SchedulePlan::default(),
        kubernetes,
        certainty,
    })
}
