//! Tests of the public API; the modules are named for what they test.

mod diff;
mod golden;
mod guest;
mod guest_programs;
mod host;
mod host_pool;
mod host_programs;
mod ipaddress;
mod labs;
mod lint;
mod namespace;
mod net_algebra;
mod net_text;
mod nft;
mod packets;
mod policy;
mod pool;
mod pool_maps;
mod pool_model;
mod pool_registry;
mod reserved;
mod special;
mod views;

use netplan::{HostFacts, KubernetesVersion, LabName, MachineCounts, Net, Plan, Requirement, plan};

fn net(text: &str) -> Net {
    text.parse().expect("a network")
}

/// The reference lab with these counts, on a host that uses nothing.
fn requirement(etcd: u16, control_planes: u16, workers: u16) -> Requirement {
    let counts = MachineCounts {
        etcd,
        control_planes,
        workers,
    };
    let lab = LabName::new("lab").expect("a name");
    Requirement::reference(lab, 20_261_123, KubernetesVersion::new(37), counts)
}

fn planned(requirement: &Requirement) -> Plan {
    plan(requirement, &HostFacts::default(), None).expect("a plan")
}
