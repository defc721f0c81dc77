//! From what is wanted and what is there to the steps between them. Pure.

mod host;
mod refuse;
mod vm;

pub(super) use refuse::check;
pub use refuse::{FleetPlanError, NotOurs, needs};

use super::model::{Fleet, VmDefinition};
use super::observe::FleetObserved;
use crate::{DeviceTree, HostFinding, Step, VmName, VmState, argv};
use host_exec::Command;
use std::{collections::BTreeMap, fmt};

/// What has to be done on the host, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetPlan {
    /// First, one after the other: modules, datasets, files, the image, firewall, network.
    pub host: Vec<Step>,
    /// Then the VMs, side by side.
    pub vms: Vec<VmSteps>,
    /// Then the starts, by start order; those of one order side by side.
    pub start: Vec<StartBatch>,
    /// VMs that run while their files change: what changes holds from the next run of bhyve.
    pub later: Vec<VmName>,
    /// VMs of the lab that are on the host and wanted no more. They are left as they are: [`destroy`](super::destroy)
    /// removes one, or the whole lab.
    pub unplanned: Vec<VmName>,
    /// What to know: findings that stand in nobody's way.
    pub notes: Vec<HostFinding>,
}

/// The steps that make one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmSteps {
    /// The VM.
    pub vm: VmName,
    /// In order.
    pub steps: Vec<Step>,
}

/// VMs that start together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartBatch {
    /// Their start order.
    pub order: u16,
    /// The VMs.
    pub vms: Vec<VmDefinition>,
}

impl FleetPlan {
    /// Whether all is as it should be.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty() && self.vms.is_empty() && self.start.is_empty()
    }

    /// All steps in order, without the starts.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let vms = self.vms.iter().flat_map(|vm| &vm.steps);
        self.host.iter().chain(vms)
    }
}

/// The steps from what was found to what is wanted.
///
/// Made with [`FleetObserved::without_host`] it holds every step. What is there already has none, so after an
/// interruption, wherever it came, the host is asked again and the rest is done; on a host where all is as wanted the
/// plan is empty.
///
/// # Errors
///
/// The fleet contradicts itself; the host cannot run it; a name of ours is somebody else's. Nothing was changed.
pub fn plan(fleet: &Fleet, found: &FleetObserved) -> Result<FleetPlan, FleetPlanError> {
    fleet.check()?;
    let notes = refuse::refuse(fleet, found)?;
    let host = host::steps(fleet, found)?;
    let (mut vms, mut later) = (Vec::new(), Vec::new());
    let mut batches: BTreeMap<u16, Vec<VmDefinition>> = BTreeMap::new();
    for vm in &fleet.vms {
        let definition = fleet.definition(vm).map_err(super::FleetError::Name)?;
        let steps = vm::steps(vm, &definition, found);
        if !steps.is_empty() {
            let vm = vm.spec.name.clone();
            if runs(found, &vm) {
                later.push(vm.clone());
            }
            vms.push(VmSteps { vm, steps });
        }
        if needs_start(found, &vm.spec.name) {
            let batch = batches.entry(vm.spec.start_order).or_default();
            batch.push(definition);
        }
    }
    let start = batches.into_iter();
    Ok(FleetPlan {
        host,
        vms,
        start: start
            .map(|(order, vms)| StartBatch { order, vms })
            .collect(),
        later,
        unplanned: unplanned(fleet, found),
        notes,
    })
}

/// By the definitions below the lab's directory.
fn unplanned(fleet: &Fleet, found: &FleetObserved) -> Vec<VmName> {
    let place = format!("{}/{}/", fleet.directory, fleet.lab);
    let names = found.paths.iter().filter_map(|path| {
        let name = path.strip_prefix(&place)?.strip_suffix("/spec.json")?;
        name.parse::<VmName>().ok()
    });
    let planned = |name: &VmName| fleet.vms.iter().any(|vm| vm.spec.name == *name);
    names.filter(|name| !planned(name)).collect()
}

fn runs(found: &FleetObserved, vm: &VmName) -> bool {
    let found = found.vms.get(vm);
    found.is_some_and(|found| !found.facts.running.is_empty())
}

/// A supervisor that runs starts its VM by itself; a VM that runs without one gets one, which takes it up.
fn needs_start(found: &FleetObserved, vm: &VmName) -> bool {
    let Some(found) = found.vms.get(vm) else {
        return true;
    };
    let stopping = found.observed.state == VmState::Stopping;
    !found.facts.supervised && !stopping
}

impl fmt::Display for FleetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for vm in &self.later {
            writeln!(
                f,
                "note: {vm} runs; what changes of it holds from its next start or reboot"
            )?;
        }
        for vm in &self.unplanned {
            writeln!(
                f,
                "note: {vm} is of this lab and wanted no more; it stays as it is until it is destroyed"
            )?;
        }
        for step in &self.host {
            writeln!(f, "{step}")?;
        }
        for vm in &self.vms {
            for step in &vm.steps {
                writeln!(f, "{}: {step}", vm.vm)?;
            }
        }
        for batch in &self.start {
            for vm in &batch.vms {
                let start = vm.supervision().start();
                writeln!(f, "{}: start its supervisor: {start}", vm.name())?;
                let bhyve = DeviceTree::new(&vm.spec).map(|tree| argv(&tree));
                let bhyve = Command::new("bhyve").args(bhyve.unwrap_or_default());
                writeln!(f, "{}: wait until it runs: {bhyve}", vm.name())?;
            }
        }
        Ok(())
    }
}
