//! The machines of a plan: names, interfaces, addresses, pods and routes.

use std::collections::BTreeSet;

use crate::hash::stable_hash;
use crate::host_pool::HostPool;
use crate::lock::Lock;
use crate::names::{InterfaceName, LabName, Mac, MachineName};
use crate::net::Family;
use crate::plan::build::pair;
use crate::plan::place::{Want, place};
use crate::plan::{
    AddressPair, Class, Machine, NetPair, Network, NetworkName, Nic, PlanError, Route,
};
use crate::pool::Pool;
use crate::requirement::{MachineCounts, RangeSizes, Requirement};

/// The first host number of a class; its machines count up from there on every network.
fn first_number(class: Class) -> u64 {
    match class {
        Class::Etcd => 10,
        Class::ControlPlane => 30,
        Class::Worker => 50,
    }
}

fn count(counts: MachineCounts, class: Class) -> u16 {
    match class {
        Class::Etcd => counts.etcd,
        Class::ControlPlane => counts.control_planes,
        Class::Worker => counts.workers,
    }
}

/// All machines with their addresses, without pods and routes.
pub(crate) fn machines(
    requirement: &Requirement,
    seed: u64,
    networks: &[Network],
    lock: Option<&Lock>,
) -> Result<Vec<Machine>, PlanError> {
    let mut machines: Vec<Machine> = Vec::new();
    for class in Class::ALL {
        for index in 0..count(requirement.machines, class) {
            let name = MachineName::new(format!("{}-{index}", class.prefix()))
                .expect("a class prefix and a number are a host name");
            machines.push(Machine {
                name,
                class,
                nics: Vec::new(),
                pods: None,
                routes: Vec::new(),
            });
        }
    }
    let mut macs = BTreeSet::new();
    for network in networks {
        let addresses = place_machines(&machines, network, lock)?;
        let members = machines
            .iter_mut()
            .filter(|m| m.class.networks().contains(&network.name));
        for (machine, address) in members.zip(addresses) {
            let mac = unused_mac(&mut macs, &requirement.lab, seed, machine, network.name);
            machine.nics.push(nic(machine, network.name, mac, address));
        }
    }
    Ok(machines)
}

fn nic(machine: &Machine, network: NetworkName, mac: Mac, address: AddressPair) -> Nic {
    Nic {
        network,
        name: InterfaceName::composed(format!("{network}0")),
        port: InterfaceName::composed(format!("{}-{network}", machine.name)),
        mac,
        address,
        default_route: network == NetworkName::Kube || machine.class == Class::Etcd,
    }
}

/// The addresses of all machines of a network, in the order of the machines.
fn place_machines(
    machines: &[Machine],
    network: &Network,
    lock: Option<&Lock>,
) -> Result<Vec<AddressPair>, PlanError> {
    let numbers = numbers(machines).filter(|(m, _)| m.class.networks().contains(&network.name));
    let numbers: Vec<(&Machine, u64)> = numbers.collect();
    let [v4, v6] = Family::BOTH.map(|family| {
        let net = network.nets.of(family);
        let mut pool = HostPool::new(net);
        pool.claim(network.gateway.of(family))
            .expect("a gateway is the first host address");
        let want = |(machine, number): &(&Machine, u64)| Want {
            id: format!("address/{}/{}", network.name, machine.name),
            field: "machines",
            prefix_len: family.bits(),
            near: host_number(*number, family),
            explicit: None,
        };
        let wants: Vec<Want> = numbers.iter().map(want).collect();
        place(
            &mut pool.into_pool(),
            &wants,
            lock,
            "ask for fewer machines",
        )
    });
    Ok(v4?
        .into_iter()
        .zip(v6?)
        .map(|(v4, v6)| pair([v4.address(), v6.address()]))
        .collect())
}

/// Every machine with its host number.
fn numbers(machines: &[Machine]) -> impl Iterator<Item = (&Machine, u64)> {
    Class::ALL.into_iter().flat_map(move |class| {
        machines
            .iter()
            .filter(move |machine| machine.class == class)
            .zip(first_number(class)..)
    })
}

fn host_number(number: u64, family: Family) -> u64 {
    match family {
        Family::V4 => number,
        Family::V6 => mirror(number),
    }
}

fn unused_mac(
    used: &mut BTreeSet<Mac>,
    lab: &LabName,
    seed: u64,
    machine: &Machine,
    network: NetworkName,
) -> Mac {
    let mut attempt = 0_u64;
    loop {
        let mac = Mac::from_hash(stable_hash(&[
            b"mac",
            lab.as_str().as_bytes(),
            &seed.to_le_bytes(),
            machine.name.as_str().as_bytes(),
            network.as_str().as_bytes(),
            &attempt.to_le_bytes(),
        ]));
        if used.insert(mac) {
            return mac;
        }
        attempt += 1;
    }
}

/// The number whose hexadecimal digits are the decimal digits of `number`: with it, `10.77.0.31`
/// and `fd5c::31` belong to one machine and look like it.
fn mirror(number: u64) -> u64 {
    if number < 10 {
        number
    } else {
        (mirror(number / 10) << 4) | (number % 10)
    }
}

/// Gives each node its part of the pod range: the one with its host number where that is free, so
/// that the pods of `fd..:1::30` are in `fd..:130::/64`.
pub(crate) fn place_pods(
    machines: &mut [Machine],
    sizes: RangeSizes,
    pods: NetPair,
    lock: Option<&Lock>,
) -> Result<(), PlanError> {
    let [v4, v6] = Family::BOTH.map(|family| {
        let (field, prefix_len) = match family {
            Family::V4 => ("sizes.node_pods_v4", sizes.node_pods_v4),
            Family::V6 => ("sizes.node_pods_v6", sizes.node_pods_v6),
        };
        let nodes = numbers(machines).filter(|(machine, _)| machine.class.is_node());
        let wants: Vec<Want> = nodes
            .map(|(machine, number)| Want {
                id: format!("pods/{}", machine.name),
                field,
                prefix_len,
                near: host_number(number, family),
                explicit: None,
            })
            .collect();
        place(
            &mut Pool::new(pods.of(family)),
            &wants,
            lock,
            "make `sizes.pods` of this family larger",
        )
    });
    let nodes = machines
        .iter_mut()
        .filter(|machine| machine.class.is_node());
    for ((machine, v4), v6) in nodes.zip(v4?).zip(v6?) {
        machine.pods = Some(NetPair { v4, v6 });
    }
    Ok(())
}

/// Routes to the pods of every node, over its address on `kube`.
pub(crate) fn pod_routes(machines: &[Machine]) -> Vec<(MachineName, Route)> {
    let nodes = machines.iter().filter_map(|machine| {
        Some((
            &machine.name,
            machine.pods?,
            machine.address(NetworkName::Kube)?,
        ))
    });
    nodes
        .flat_map(|(name, pods, address)| {
            Family::BOTH.map(|family| {
                (
                    name.clone(),
                    Route {
                        to: pods.of(family),
                        via: address.of(family),
                    },
                )
            })
        })
        .collect()
}

pub(crate) fn add_node_routes(machines: &mut [Machine]) {
    let routes = pod_routes(machines);
    for machine in machines
        .iter_mut()
        .filter(|machine| machine.class.is_node())
    {
        let others = routes.iter().filter(|(name, _)| *name != machine.name);
        machine.routes = others.map(|(_, route)| *route).collect();
    }
}
