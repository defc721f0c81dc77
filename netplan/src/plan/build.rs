//! From the requirement to the plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lock::Lock;
use crate::names::{InterfaceName, LabName};
use crate::net::{Family, Net};
use crate::plan::check::{check_counts, check_sizes};
use crate::plan::machines::{add_node_routes, machines, place_pods, pod_routes};
use crate::plan::ranges::Ranges;
use crate::plan::supernet::supernet;
use crate::plan::{
    AddressPair, Internet, Link, Machine, NetPair, Network, NetworkName, Plan, PlanError, Route,
    Services,
};
use crate::requirement::{HostFacts, Requirement};

/// Decides about every network, address and route of a lab.
///
/// Pure and deterministic. With the lock of an earlier plan everything that is in it stays where
/// it is; without one, the same requirement on the same host still gives the same plan.
///
/// # Errors
/// When a field is impossible by itself, networks overlap each other or the host's, a range is
/// used up, or the lock says otherwise; each error names the field and the remedy. It is not an
/// error that the lock holds machines that are no longer asked for: they are forgotten.
pub fn plan(
    requirement: &Requirement,
    facts: &HostFacts,
    lock: Option<&Lock>,
) -> Result<Plan, PlanError> {
    if let Some(lock) = lock.filter(|lock| *lock.lab() != requirement.lab) {
        let (found, expected) = (lock.lab().clone(), requirement.lab.clone());
        return Err(PlanError::LockOfOtherLab { found, expected });
    }
    check_counts(requirement.machines, requirement.sizes)?;
    check_sizes(requirement.sizes)?;
    let seed = lock.map_or(requirement.seed, Lock::seed);
    let supernet = supernet(requirement, facts, lock, seed)?;
    let ranges = Ranges::place(requirement, supernet, lock)?;
    let lab = &requirement.lab;
    let networks = vec![
        network(lab, NetworkName::Etcd, ranges.etcd),
        network(lab, NetworkName::Kube, ranges.kube),
    ];
    let mut machines = machines(requirement, seed, &networks, lock)?;
    place_pods(&mut machines, requirement.sizes, ranges.pods, lock)?;
    add_node_routes(&mut machines);
    let (link, internet) = (link(ranges.link), internet());
    Ok(Plan {
        lab: lab.clone(),
        seed,
        supernet,
        router_routes: router_routes(&machines, &internet),
        internet_routes: vec![Route {
            to: supernet.v6,
            via: internet.router.v6.into(),
        }],
        host_routes: Family::BOTH
            .map(|family| Route {
                to: supernet.of(family),
                via: link.router.of(family),
            })
            .to_vec(),
        networks,
        machines,
        link,
        services: services(ranges.services),
        pods: ranges.pods,
        internet,
    })
}

fn network(lab: &LabName, name: NetworkName, nets: NetPair) -> Network {
    Network {
        name,
        nets,
        gateway: nth(nets, 1),
        bridge: InterfaceName::composed(format!("br-{name}")),
        host_bridge: InterfaceName::of_lab(lab, name.as_str()),
    }
}

/// The address at this place of both networks, which are large enough.
fn nth(nets: NetPair, index: u128) -> AddressPair {
    pair(Family::BOTH.map(|family| {
        nets.of(family)
            .nth(index)
            .expect("the smallest network of a plan has 4 addresses")
    }))
}

pub(crate) fn pair(addresses: [IpAddr; 2]) -> AddressPair {
    match addresses {
        [IpAddr::V4(v4), IpAddr::V6(v6)] => AddressPair { v4, v6 },
        _ => unreachable!("pairs are made in the order of Family::BOTH"),
    }
}

fn link(nets: NetPair) -> Link {
    Link {
        nets,
        router: nth(nets, 1),
        host: nth(nets, 2),
    }
}

fn services(nets: NetPair) -> Services {
    Services {
        nets,
        api: nth(nets, 1),
        dns: nth(nets, 10),
    }
}

fn internet() -> Internet {
    let nets = NetPair {
        v4: Net::fixed_v4([203, 0, 113, 0], 24),
        v6: Net::fixed_v6(0x2001_0db8_ffff_0000, 64),
    };
    let server = AddressPair {
        v4: Ipv4Addr::new(198, 51, 100, 1),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0xfeed, 0, 0, 0, 0, 1),
    };
    Internet {
        nets,
        internet: nth(nets, 1),
        router: nth(nets, 2),
        server,
    }
}

fn router_routes(machines: &[Machine], internet: &Internet) -> Vec<Route> {
    let defaults = [Net::fixed_v4([0; 4], 0), Net::fixed_v6(0, 0)].map(|to| Route {
        to,
        via: internet.internet.of(to.family()),
    });
    pod_routes(machines)
        .into_iter()
        .map(|(_, route)| route)
        .chain(defaults)
        .collect()
}
