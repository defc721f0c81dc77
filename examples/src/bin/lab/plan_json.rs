//! A plan as one JSON object. Its fields are described in the README.

use crate::show_plan::{self, MachineWork};
use cluster_lab::{Certainty, GuestStep, LabPlan, LabSpec, Leaving, MachinesPlan};
use host_exec::HostName;
use pki::PlanItem;
use serde::Serialize;
use std::collections::BTreeMap;

/// The object.
#[derive(Serialize)]
pub(crate) struct PlanJson<'p> {
    /// Whether nothing is to be changed.
    nothing_to_do: bool,
    certainty: Certainty,
    spec: &'p LabSpec,
    network: &'p netplan::Plan,
    network_findings: &'p [netplan::Finding],
    network_changes: &'p netplan::Diff,
    programs: Programs<'p>,
    supplies: &'p [String],
    certificates: &'p [PlanItem],
    /// Those that go, with what is done.
    leaving: &'p [Leaving],
    machines: &'p MachinesPlan,
    /// For a person to write on the host of VMs; nobody else does.
    rc_conf: Vec<String>,
    guests: &'p BTreeMap<HostName, Vec<GuestStep>>,
    /// By node, those that are imported.
    images: &'p BTreeMap<HostName, Vec<String>>,
    files_and_units: BTreeMap<String, MachineWork>,
    etcd: &'p etcd_bootstrap::Plan,
    etcd_members: &'p [etcd_bootstrap::change::PlannedStep],
    etcd_schedule: &'p etcd_bootstrap::schedule::SchedulePlan,
    kubernetes: Vec<KubernetesStep<'p>>,
}

/// Programs to be had, or why they cannot be had.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Programs<'p> {
    Steps(&'p [String]),
    Problem(&'p str),
}

/// A step of Kubernetes, in words.
#[derive(Serialize)]
struct KubernetesStep<'p> {
    /// Absent for the cluster as a whole.
    node: Option<&'p HostName>,
    action: Vec<String>,
}

impl<'p> PlanJson<'p> {
    pub(crate) fn new(plan: &'p LabPlan) -> Self {
        let step = |step: &'p k8s_bootstrap::Step| KubernetesStep {
            node: step.node.as_ref(),
            action: step.action.to_string().lines().map(str::to_owned).collect(),
        };
        Self {
            nothing_to_do: plan.only_waits(),
            certainty: plan.certainty,
            spec: &plan.blueprint.spec,
            network: &plan.blueprint.network,
            network_findings: &plan.blueprint.findings,
            network_changes: &plan.blueprint.changes,
            programs: match &plan.programs {
                Ok(steps) => Programs::Steps(steps),
                Err(problem) => Programs::Problem(problem),
            },
            supplies: &plan.supplies,
            certificates: plan.pki.items(),
            leaving: &plan.leaving,
            machines: &plan.machines,
            rc_conf: plan.blueprint.rc_conf(),
            guests: &plan.guests,
            images: &plan.images,
            files_and_units: show_plan::work(plan),
            etcd: &plan.etcd,
            etcd_members: &plan.etcd_members,
            etcd_schedule: &plan.etcd_schedule,
            kubernetes: plan.kubernetes.steps.iter().map(step).collect(),
        }
    }
}
