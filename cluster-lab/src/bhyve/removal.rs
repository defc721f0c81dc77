//! VMs that a lab no longer has: planned and removed one by one.

use crate::{BhyveSpec, Lab, VmError, blueprint::vm_name};
use bhyve_vm::{
    VmName,
    fleet::{self, DestroyError, Extent, Removal},
};
use host_exec::{EventSink, HostName};
use std::collections::{BTreeMap, BTreeSet};

impl Lab {
    /// The steps that remove the VM of each of these machines with its disk; none for one that has gone. Changes nothing.
    pub(crate) async fn plan_end_of_vms(
        &self,
        machines: &BTreeSet<HostName>,
    ) -> Result<BTreeMap<HostName, Vec<String>>, VmError> {
        let (host, bhyve) = self.vm_host()?;
        let mut found = None;
        let mut planned = BTreeMap::new();
        for machine in machines {
            let removal = self.removal_of(bhyve, self.vm_of(machine)?)?;
            // What there is of the lab does not depend on how much of it goes.
            let found = match &mut found {
                Some(found) => found,
                none => none.insert(fleet::observe_removal(&host, &removal).await?),
            };
            let plan = fleet::plan_removal(&removal, found);
            let plan = plan.map_err(|error| Box::new(DestroyError::from(error)))?;
            // Most of what stops it is for a guest that does not listen, and the same for every VM.
            let stop = plan.stop.iter().map(|vm| {
                let what = vm.steps.iter().map(|step| step.what.as_str());
                what.collect::<Vec<_>>().join(", ")
            });
            let rest = plan.host.iter().map(ToString::to_string);
            planned.insert(machine.clone(), stop.chain(rest).collect());
        }
        Ok(planned)
    }

    /// Removes the VM of a machine with its disk, whatever it holds. One that is not there is *not* an error.
    pub(crate) async fn end_vm(
        &self,
        machine: &HostName,
        events: &dyn EventSink,
    ) -> Result<(), VmError> {
        let (host, bhyve) = self.vm_host()?;
        let removal = self.removal_of(bhyve, self.vm_of(machine)?)?;
        let gone = fleet::destroy(&host, &removal, events).await;
        gone.map_err(Box::new)?;
        Ok(())
    }

    /// One VM, as what is to be removed.
    pub(super) fn removal_of(&self, bhyve: &BhyveSpec, vm: VmName) -> Result<Removal, VmError> {
        Ok(Removal {
            lab: self.spec.name.as_str().parse()?,
            dataset: bhyve.dataset.clone(),
            directory: bhyve.directory()?,
            extent: Extent::Vm(vm),
        })
    }

    fn vm_of(&self, machine: &HostName) -> Result<VmName, VmError> {
        Ok(vm_name(&self.spec.name, machine.as_str())?)
    }
}
