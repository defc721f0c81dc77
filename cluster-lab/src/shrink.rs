//! Machines that a smaller lab no longer has: their nodes are drained and removed, then they are ended for good.
//!
//! The lab as it was is kept in a file of its own until the last of them has gone, so that a run that was killed
//! anywhere is finished by the next. The order:
//!
//! 1. Drain, while the lab is still as it was: the firewall and the routes let pods end as usual. Members of etcd
//!    leave, while all of them can still reach each other.
//! 2. Bring up what stays. Balancers forget a control plane here, before its API server stops.
//! 3. Remove the nodes, and end the machines; take from those that stay what they need no longer, such as a balancer
//!    in front of one API server.
//!
//! A machine that does not run is not drained: nobody is there to end its pods. They go with its Node.

use crate::{
    Blueprint, EtcdError, FactsError, Hosts, Lab, LabPlanError, LabSpec, Machines, MachinesPlan,
    ObserveError, StateError, VmError, Wired, etcd::plan_leaving,
};
use etcd_bootstrap::{MemberName, change::PlannedStep};
use host_exec::{EventSink, HostName};
use k8s_bootstrap::{
    Desired,
    retire::{self, DrainOptions, ResetError, ResetPlan, ResetStep, RetireError},
};
use netplan::Role;
use nspawn_vm::{CgroupKind, Group};
use std::collections::{BTreeMap, BTreeSet};

/// A lab could not be made smaller. What was done stays; the next `up` goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShrinkError {
    /// The lab as it was could not be worked out or looked at.
    #[error(transparent)]
    Lab(#[from] LabPlanError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// This machine.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A node that does not go.
    #[error(
        "cannot take {node} out of the cluster; `lab node drain {node}` and its options do what needs consent, `lab up` \
         with the old number and `lab node uncordon {node}` keep it"
    )]
    Node {
        /// The node.
        node: HostName,
        /// Why.
        #[source]
        source: Box<RetireError>,
    },
    /// Services that do not end.
    #[error("cannot end what runs on {node}")]
    Reset {
        /// The node.
        node: HostName,
        /// Why.
        #[source]
        source: Box<ResetError>,
    },
    /// Members of etcd that do not go.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// A namespace that does not go.
    #[error(transparent)]
    Machine(#[from] nspawn_vm::DestroyError),
    /// A VM that does not go.
    #[error("cannot remove the VM of {machine}; run `lab up` again when the cause is mended")]
    Vm {
        /// The machine.
        machine: HostName,
        /// Why.
        #[source]
        source: Box<VmError>,
    },
}

/// A machine that goes, or that stays and has something that only the larger lab needed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Leaving {
    /// The machine.
    pub machine: HostName,
    /// What is done with it, in order.
    pub steps: Vec<String>,
}

/// The lab as it was, and what of it goes.
pub(crate) struct Shrinking {
    was: Lab,
    blueprint: Blueprint,
    machines: BTreeSet<HostName>,
}

impl Lab {
    /// What is to go: by what this run asks for, and by what a run that was killed had begun.
    pub(crate) async fn shrinking(
        &self,
        blueprint: &Blueprint,
    ) -> Result<Option<Shrinking>, LabPlanError> {
        let state = self.state();
        let recorded = state.record()?.map(|record| record.spec);
        let Some(spec) = larger(state.leaving()?, recorded) else {
            return Ok(None);
        };
        let (is, wanted) = (&spec.machines, &self.spec.machines);
        let stays = is.workers <= wanted.workers && is.control_planes <= wanted.control_planes;
        if stays && is.etcd <= wanted.etcd {
            return Ok(None);
        }
        let was = Self {
            spec,
            ..self.clone()
        };
        let old = was.draft_as_was().await?;
        let of = |blueprint: &Blueprint| -> BTreeSet<HostName> {
            let roles = [Role::Etcd, Role::ControlPlane, Role::Worker];
            roles
                .iter()
                .flat_map(|role| blueprint.hosts_of(*role))
                .collect()
        };
        let machines: BTreeSet<HostName> = of(&old).difference(&of(blueprint)).cloned().collect();
        let shrinking = Shrinking {
            was,
            blueprint: old,
            machines,
        };
        Ok((!shrinking.machines.is_empty()).then_some(shrinking))
    }

    /// Remembers the lab as it was, before the smaller one is remembered.
    pub(crate) fn remember_leaving(&self, shrinking: Option<&Shrinking>) -> Result<(), StateError> {
        let state = self.state();
        match shrinking {
            Some(shrinking) => state.remember_leaving(&shrinking.was.spec),
            // It has grown again before all had gone.
            None => state.forget_leaving(),
        }
    }
}

/// Of the two the one that names every machine of both.
fn larger(leaving: Option<LabSpec>, recorded: Option<LabSpec>) -> Option<LabSpec> {
    match (leaving, recorded) {
        (Some(mut leaving), Some(recorded)) => {
            let (most, now) = (&mut leaving.machines, &recorded.machines);
            most.workers = most.workers.max(now.workers);
            most.control_planes = most.control_planes.max(now.control_planes);
            most.etcd = most.etcd.max(now.etcd);
            Some(leaving)
        }
        (leaving, recorded) => leaving.or(recorded),
    }
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

    /// The first part, before anything else changes.
    pub(crate) async fn drain(&self, events: &dyn EventSink) -> Result<(), ShrinkError> {
        let (hosts, Some(wired)) = self.look().await? else {
            return Ok(());
        };
        let (desired, members) = (&wired.kubernetes, self.members());
        let nodes = self.machines.iter().filter(|m| !is_member(&members, m));
        for node in nodes.filter(|node| hosts.contains_key(*node)) {
            match retire::drain(desired, &hosts, node, drain_options(), events).await {
                // One that never joined, or was removed by the run that was killed after that.
                Ok(_) | Err(RetireError::NoNode(_)) => {}
                Err(source) => return Err(of_node(node, source)),
            }
        }
        if !members.is_empty() {
            let was = &self.was;
            was.dismiss_members(&wired, &hosts, &members, events)
                .await?;
        }
        Ok(())
    }

    /// The last part, when what stays is up: `stays` is that.
    pub(crate) async fn remove(
        &self,
        stays: &Desired,
        events: &dyn EventSink,
    ) -> Result<(), ShrinkError> {
        let (hosts, wired) = self.look().await?;
        let desired = wired.map(|wired| wired.kubernetes);
        let members = self.members();
        for node in &self.machines {
            if let Some(desired) = desired.as_ref().filter(|_| !is_member(&members, node)) {
                leave(desired, &hosts, node, events).await?;
            }
            self.end(node, events).await?;
        }
        if let Some(desired) = &desired {
            for node in staying(desired, stays, &hosts) {
                let pruned = retire::prune(desired, stays, &hosts, node, events).await;
                pruned.map_err(|source| of_services(node, source))?;
            }
        }
        Ok(self.was.state().forget_leaving()?)
    }

    async fn end(&self, machine: &HostName, events: &dyn EventSink) -> Result<(), ShrinkError> {
        let step = "end of the machine";
        events.started(machine.as_str(), step);
        let removed = match &self.blueprint.machines {
            Machines::Namespaces(Group { name, places, .. }) => {
                let kind = CgroupKind::of_this_host().map_err(FactsError::Cgroups)?;
                nspawn_vm::destroy_machine(name, places, machine, kind, &self.was.here).await?;
                "its namespace and its files are removed"
            }
            Machines::Vms(_) => {
                let ended = self.was.end_vm(machine, events).await;
                ended.map_err(|source| of_vm(machine, source))?;
                "its VM and its disk are removed"
            }
        };
        events.done(machine.as_str(), step, removed);
        Ok(())
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

    /// The machines of the larger lab that can be worked on, and what runs on them. The latter is none where
    /// certificates of a node that goes were never issued: it has never been one then. What else the store may lack,
    /// those that stay lack too, and that is told when they are brought up.
    async fn look(&self) -> Result<(Hosts, Option<Wired>), LabPlanError> {
        let seen = self.was.see(&self.blueprint).await?;
        let blueprint = self.was.informed(self.blueprint.clone(), &seen).await;
        let token = self.was.token_to_look_with::<LabPlanError>().ok();
        let wired = token.and_then(|token| self.was.wire(&blueprint, &token).ok());
        Ok((seen.hosts, wired))
    }

    /// The members of etcd among those that go.
    fn members(&self) -> Vec<MemberName> {
        let members = self.blueprint.hosts_of(Role::Etcd);
        let leaving = members.filter(|machine| self.machines.contains(machine));
        leaving
            .filter_map(|machine| machine.as_str().parse().ok())
            .collect()
    }
}

fn is_member(members: &[MemberName], machine: &HostName) -> bool {
    members
        .iter()
        .any(|member| member.as_str() == machine.as_str())
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

/// The nodes of both that can be worked on.
fn staying<'d>(
    was: &'d Desired,
    is: &'d Desired,
    hosts: &'d Hosts,
) -> impl Iterator<Item = &'d HostName> {
    let nodes = is.nodes.keys();
    nodes.filter(|node| was.nodes.contains_key(*node) && hosts.contains_key(*node))
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

/// Takes a node out of the cluster, and ends what runs on its machine.
async fn leave(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
    events: &dyn EventSink,
) -> Result<(), ShrinkError> {
    let removed = retire::remove(desired, hosts, node, drain_options(), events).await;
    removed.map_err(|source| of_node(node, source))?;
    if hosts.contains_key(node) {
        // An API server that is ended by itself takes its address out of the Service `kubernetes`.
        let reset = retire::reset(desired, hosts, node, events).await;
        reset.map_err(|source| of_services(node, source))?;
    }
    Ok(())
}

fn of_node(node: &HostName, source: RetireError) -> ShrinkError {
    let node = node.clone();
    let source = Box::new(source);
    ShrinkError::Node { node, source }
}

fn of_vm(machine: &HostName, source: VmError) -> ShrinkError {
    let machine = machine.clone();
    let source = Box::new(source);
    ShrinkError::Vm { machine, source }
}

fn of_services(node: &HostName, source: ResetError) -> ShrinkError {
    let node = node.clone();
    let source = Box::new(source);
    ShrinkError::Reset { node, source }
}

/// Whoever asks for fewer machines consents to what is only on them.
fn drain_options() -> DrainOptions {
    DrainOptions {
        delete_emptydir_data: true,
        ..DrainOptions::default()
    }
}
