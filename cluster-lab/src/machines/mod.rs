//! The machines of a lab, whoever provides them: looked at, planned, brought up.

mod namespaces;
mod vms;

use crate::{BhyveSpec, Blueprint, Hosts, Lab, ObserveError};
use bhyve_vm::{
    DeviceTree, argv,
    fleet::{Fleet, FleetObserved, FleetPlan},
};
use host_exec::HostName;
use nspawn_vm::Group;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::collections::BTreeMap;

/// The machines as their provider wants them told.
#[derive(Debug, Clone, PartialEq)]
pub enum Machines {
    /// Namespaces of this machine, with a router between them.
    Namespaces(Group),
    /// bhyve VMs on a FreeBSD host, which is their router.
    Vms(BhyveSpec),
}

/// The steps from the machines that are there to those that are wanted.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum MachinesPlan {
    /// Namespaces of this machine.
    Namespaces(nspawn_vm::Plan),
    /// bhyve VMs on a FreeBSD host.
    Vms(Box<VmsPlan>),
}

/// The steps to VMs, and the VMs.
#[derive(Debug, Clone)]
pub struct VmsPlan {
    /// What is wanted of the host.
    pub fleet: Fleet,
    /// The steps.
    pub plan: FleetPlan,
}

impl Serialize for VmsPlan {
    /// As the texts that people see, and the arguments of bhyve(8) by VM.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.plan.to_string();
        let steps: Vec<&str> = text.lines().collect();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("steps", &steps)?;
        map.serialize_entry("bhyve", &self.arguments())?;
        map.end()
    }
}

impl VmsPlan {
    /// The arguments of bhyve(8), by VM.
    pub fn arguments(&self) -> BTreeMap<String, Vec<String>> {
        let vms = self.fleet.vms.iter();
        let arguments = vms.filter_map(|vm| {
            // A fleet that was planned has been checked.
            let tree = DeviceTree::new(&vm.spec).ok()?;
            Some((vm.spec.name.to_string(), argv(&tree)))
        });
        arguments.collect()
    }
}

impl MachinesPlan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Namespaces(plan) => plan.is_empty(),
            Self::Vms(vms) => vms.plan.is_empty(),
        }
    }
}

/// What a machine is found to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum MachineState {
    /// Nothing of it is there.
    Absent,
    /// It has been made, and does not run.
    Stopped,
    /// It is on its way up.
    Booting {
        /// What shows it.
        evidence: String,
    },
    /// It is on its way down.
    Stopping,
    /// It runs.
    Running {
        /// What shows it.
        evidence: String,
        /// Of a namespace, its process 1 as this machine numbers it.
        #[serde(skip_serializing_if = "Option::is_none")]
        leader: Option<u32>,
    },
    /// It neither runs nor rests.
    Broken {
        /// What was found.
        why: String,
    },
}

impl MachineState {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

/// The machines as they were found.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Of every machine of the lab.
    pub(crate) states: BTreeMap<HostName, MachineState>,
    /// Those that can be worked on.
    pub(crate) hosts: Hosts,
    pub(crate) detail: SeenDetail,
}

/// What only the provider understands.
#[derive(Debug)]
pub(crate) enum SeenDetail {
    Namespaces(nspawn_vm::Observed),
    Vms(Box<(Fleet, FleetObserved)>),
}

impl Seen {
    /// Whether every machine of the lab can be worked on.
    pub(crate) fn all_run(&self) -> bool {
        self.states.keys().all(|name| self.hosts.contains_key(name))
    }

    /// Whether nothing of a machine is there yet.
    pub(crate) fn is_new(&self, name: &HostName) -> bool {
        self.states.get(name) == Some(&MachineState::Absent)
    }
}

impl Lab {
    /// Looks at the machines. Changes nothing.
    pub(crate) async fn see(&self, blueprint: &Blueprint) -> Result<Seen, ObserveError> {
        match &blueprint.machines {
            Machines::Namespaces(group) => namespaces::see(group, &self.here).await,
            Machines::Vms(bhyve) => self.see_vms(blueprint, bhyve).await,
        }
    }
}
