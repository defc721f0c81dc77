//! Making a lab smaller.

use super::{ShrinkError, Shrinking, drain_options, is_member, staying};
use crate::{FactsError, Hosts, Machines, VmError};
use host_exec::{EventSink, HostName};
use k8s_bootstrap::{
    Desired,
    retire::{self, ResetError, RetireError},
};
use nspawn_vm::{CgroupKind, Group};

impl Shrinking {
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
