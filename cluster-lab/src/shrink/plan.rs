//! What is said before a lab is made smaller: each machine that is concerned, with a line for every step.

use super::{Shrinking, drain_options, is_member, staying};
use crate::{Hosts, LabPlanError, Machines, MachinesPlan, ObserveError, etcd::plan_leaving};
use etcd_bootstrap::change::PlannedStep;
use host_exec::HostName;
use k8s_bootstrap::{
    Desired,
    retire::{self, ResetError, ResetPlan, ResetStep},
};
use std::collections::BTreeMap;

/// A machine that goes, or that stays and has something that only the larger lab needed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Leaving {
    /// The machine.
    pub machine: HostName,
    /// What is done with it, in order.
    pub steps: Vec<String>,
}

impl Shrinking {
    /// What will be done with each machine; nothing is changed. `stays` is none while the lab has no certificates.
    pub(crate) async fn plan(&self, stays: Option<&Desired>) -> Result<Vec<Leaving>, LabPlanError> {
        let (hosts, wired) = self.look().await?;
        let mut ends = self.plan_ends().await?;
        let desired = wired.as_ref().map(|wired| &wired.kubernetes);
        let members = self.members();
        let mut leaving = Vec::new();
        for machine in &self.machines {
            let mut steps = match (desired, hosts.contains_key(machine)) {
                (None, _) => Vec::new(),
                _ if is_member(&members, machine) => Vec::new(),
                (Some(desired), true) => node_steps(desired, &hosts, machine).await,
                (Some(_), false) => vec!["delete its Node".to_owned()],
            };
            steps.extend(ends.remove(machine).unwrap_or_default());
            leaving.push(Leaving {
                machine: machine.clone(),
                steps,
            });
        }
        if let Some(wired) = wired.as_ref().filter(|_| !members.is_empty()) {
            add_members(&mut leaving, plan_leaving(wired, &hosts, &members).await?);
        }
        if let (Some(desired), Some(stays)) = (desired, stays) {
            for node in staying(desired, stays, &hosts) {
                let steps = pruned_steps(desired, stays, &hosts, node).await;
                leaving.push(Leaving {
                    machine: node.clone(),
                    steps,
                });
            }
        }
        leaving.retain(|own| !own.steps.is_empty());
        Ok(leaving)
    }

    /// How each machine is ended; nothing for one that has gone.
    async fn plan_ends(&self) -> Result<BTreeMap<HostName, Vec<String>>, LabPlanError> {
        match &self.blueprint.machines {
            Machines::Namespaces(_) => {
                let end = || vec!["end it, and remove its namespace and its files".to_owned()];
                let machines = self.machines.iter();
                Ok(machines.map(|machine| (machine.clone(), end())).collect())
            }
            Machines::Vms(_) => {
                let planned = self.was.plan_end_of_vms(&self.machines).await;
                Ok(planned.map_err(ObserveError::from)?)
            }
        }
    }

    /// Those of its VMs that go are no riddle on their host: what is done with them is told with the rest of it.
    pub(crate) fn explain(&self, machines: &mut MachinesPlan) {
        if let MachinesPlan::Vms(vms) = machines {
            let names = self.machines.iter();
            let leaving: Vec<_> = names
                .filter_map(|machine| self.blueprint.vm_name(machine).ok())
                .collect();
            vms.plan.unplanned.retain(|vm| !leaving.contains(vm));
        }
    }
}

/// Puts what is done to the membership before what is done with the machines.
fn add_members(leaving: &mut [Leaving], steps: Vec<PlannedStep>) {
    for planned in steps.into_iter().rev() {
        let name = planned.step.member().as_str();
        // The leader that hands over may be one that stays; its successor is named in the step.
        let machine = leaving.iter_mut().find(|own| own.machine.as_str() == name);
        if let Some(own) = machine {
            own.steps.insert(0, planned.action());
        }
    }
}

/// A cluster that cannot be asked, or pods that need consent, are part of what there is to say.
async fn node_steps(desired: &Desired, hosts: &Hosts, node: &HostName) -> Vec<String> {
    let planned = async {
        let found = retire::see_node(desired, hosts, node).await?;
        retire::plan_remove(&found, &drain_options())
    };
    let mut lines: Vec<String> = match planned.await {
        Ok(plan) => plan.steps.iter().map(ToString::to_string).collect(),
        Err(error) => vec![not_before(&error)],
    };
    let found = retire::see_machine(desired, hosts, node).await;
    let reset = found.and_then(|found| retire::plan_reset(desired, node, &found));
    lines.extend(lines_of(reset, |step| match step {
        // They are many, and the machine goes too.
        ResetStep::RemoveFiles(files) => format!("remove {} files of the cluster", files.len()),
        step => step.to_string(),
    }));
    lines
}

async fn pruned_steps(was: &Desired, is: &Desired, hosts: &Hosts, node: &HostName) -> Vec<String> {
    let found = retire::see_machine(was, hosts, node).await;
    let plan = found.and_then(|found| retire::plan_prune(was, is, node, &found));
    lines_of(plan, ToString::to_string)
}

fn lines_of(
    plan: Result<ResetPlan, ResetError>,
    text: impl Fn(&ResetStep) -> String,
) -> Vec<String> {
    match plan {
        Ok(plan) => {
            let steps = plan.steps.iter().map(text);
            let lines = steps.flat_map(|step| step.lines().map(str::to_owned).collect::<Vec<_>>());
            lines.collect()
        }
        Err(error) => vec![not_before(&error)],
    }
}

fn not_before(error: &dyn std::error::Error) -> String {
    format!("not before this is mended: {error}")
}
