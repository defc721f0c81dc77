//! Tests of the public API; the modules are named for what they test.

mod golden;
mod host_pool;
mod lock;
mod net_text;
mod nft;
mod plan;
mod policy;
mod pool;
mod pool_maps;
mod pool_model;
mod pool_registry;

use netplan::{HostFacts, LabName, Net, Plan, Requirement, plan};

fn net(text: &str) -> Net {
    text.parse().expect("a network")
}

/// The reference lab with these counts, on a host that uses nothing.
fn requirement(etcd: u16, control_planes: u16, workers: u16) -> Requirement {
    let mut requirement = Requirement::new(LabName::new("lab").expect("a name"), 20_261_123);
    requirement.machines.etcd = etcd;
    requirement.machines.control_planes = control_planes;
    requirement.machines.workers = workers;
    requirement
}

fn planned(requirement: &Requirement) -> Plan {
    plan(requirement, &HostFacts::default(), None).expect("a plan")
}
