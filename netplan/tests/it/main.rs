//! Tests of the public API; the modules are named for what they test.

mod bad_specs;
mod choices;
mod diff;
mod fuzz_seeds;
mod golden;
mod guest;
mod guest_programs;
mod host;
mod host_pool;
mod host_programs;
mod ipaddress;
mod labs;
mod lint;
mod lock;
mod lost_lock;
mod namespace;
mod net_algebra;
mod net_text;
mod nft;
mod numbers;
mod packets;
mod pf_agreement;
mod pf_anchor;
mod pf_flows;
mod pf_judge;
mod pf_labs;
mod pf_parse;
mod pf_round_trip;
mod plan;
mod plan_properties;
mod policy;
mod pool;
mod pool_maps;
mod pool_model;
mod pool_registry;
mod program;
mod reserved;
mod sound;
mod special;
mod views;

use netplan::{
    HostFacts, InterfaceName, KubernetesVersion, LabName, MachineCounts, Net, Plan, Requirement,
    plan,
};

fn net(text: &str) -> Net {
    text.parse().expect("a network")
}

fn interface(text: &str) -> InterfaceName {
    InterfaceName::new(text).expect("an interface name")
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
