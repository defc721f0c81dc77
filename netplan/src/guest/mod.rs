//! What a machine is told of its own network: files for systemd-networkd, a network configuration
//! for cloud-init, and the names of all machines.

mod hosts;
mod network_config;
mod networkd;

pub use hosts::hosts_file;
pub use network_config::network_config_v2;
pub use networkd::{NETWORKD_DIRECTORY, NetworkdFile, networkd_files};

use crate::net::{Family, Net};
use crate::plan::{Machine, Nic, Plan, Route};

/// The addresses of an interface as `ADDRESS/LENGTH`, the length being the network's.
fn cidrs(plan: &Plan, nic: &Nic) -> Vec<String> {
    let nets = plan.network_of(nic).nets;
    let cidr = |address| {
        let net = nets.of(Family::of(address))?;
        Some(format!("{address}/{}", net.prefix_len()))
    };
    nic.address.iter().filter_map(cidr).collect()
}

/// The destination of a default route.
const fn everything(family: Family) -> Net {
    match family {
        Family::V4 => Net::fixed_v4([0; 4], 0),
        Family::V6 => Net::fixed_v6(0, 0),
    }
}

/// The routes of a machine that go out on this interface, the default ones first.
fn routes_on(plan: &Plan, machine: &Machine, nic: &Nic) -> Vec<Route> {
    let network = plan.network_of(nic);
    let mut routes = Vec::new();
    if nic.default_route {
        // A family that the machine has no address of has no route either.
        let families = nic.address.iter().map(Family::of);
        routes.extend(families.filter_map(|family| {
            let via = network.gateway.of(family)?;
            Some(Route {
                to: everything(family),
                via,
            })
        }));
    }
    let others = plan.routes_of(machine).into_iter();
    routes.extend(others.filter(|route| network.nets.iter().any(|net| net.contains(route.via))));
    routes
}
