//! From the requirement to the plan.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::hash::stable_hash;
use crate::lock::Lock;
use crate::names::{InterfaceName, LabName, Mac, MachineName};
use crate::net::{Family, Net};
use crate::plan::place::{Want, place};
use crate::plan::supernet::supernet;
use crate::plan::{
    AddressPair, Class, Internet, Link, Machine, NetPair, Network, NetworkName, Nic, Plan,
    PlanError, Route, Services,
};
use crate::pool::Pool;
use crate::requirement::{HostFacts, MachineCounts, RangeSizes, Requirement};
use crate::segment::{HostPool, mirror};

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

fn check_counts(counts: MachineCounts, sizes: RangeSizes) -> Result<(), PlanError> {
    let bands = "the addresses of a class end there";
    let check = |field, value: u16, min, max, reason| {
        let value = u32::from(value);
        if (min..=max).contains(&value) {
            Ok(())
        } else {
            Err(PlanError::Count {
                field,
                value,
                min,
                max,
                reason,
            })
        }
    };
    let none = "a cluster needs at least one";
    let reason = |count| if count == 0 { none } else { bands };
    check("machines.etcd", counts.etcd, 1, 20, reason(counts.etcd))?;
    let planes = counts.control_planes;
    check("machines.control_planes", planes, 1, 20, reason(planes))?;
    let pairs = [
        (sizes.pods_v4, sizes.node_pods_v4),
        (sizes.pods_v6, sizes.node_pods_v6),
    ];
    let nodes = pairs.map(|(all, one)| 1_u32.checked_shl(u32::from(one.saturating_sub(all))));
    let nodes = nodes.into_iter().flatten().min().unwrap_or(u32::MAX);
    let by_pods = nodes.saturating_sub(u32::from(planes));
    if by_pods < 205 {
        let reason =
            "the pod range has no room for more nodes (see sizes.pods_v4 and sizes.pods_v6)";
        check("machines.workers", counts.workers, 0, by_pods, reason)
    } else {
        check("machines.workers", counts.workers, 0, 205, bands)
    }
}

fn check_sizes(sizes: RangeSizes) -> Result<(), PlanError> {
    let check = |field, value: u8, min: u8, max: u8, reason| {
        if (min..=max).contains(&value) {
            Ok(())
        } else {
            Err(PlanError::Size {
                field,
                value,
                min,
                max,
                reason,
            })
        }
    };
    let inside_v4 = "the lab's /16 holds other networks too, and Kubernetes needs some addresses";
    let bitmap =
        "API servers before 1.33 refuse more than 20 bits, and DNS needs the tenth address";
    let inside_v6 = "the lab's /48 holds other networks too, and kubeadm wants 14 addresses";
    let per_node =
        "one node gets a part of the pod range, at most 16 bits longer (kubeadm's limit)";
    check("sizes.services_v4", sizes.services_v4, 17, 27, inside_v4)?;
    check("sizes.services_v6", sizes.services_v6, 108, 123, bitmap)?;
    check("sizes.pods_v4", sizes.pods_v4, 17, 28, inside_v4)?;
    check("sizes.pods_v6", sizes.pods_v6, 49, 124, inside_v6)?;
    let (v4, v6) = (sizes.pods_v4, sizes.pods_v6);
    check(
        "sizes.node_pods_v4",
        sizes.node_pods_v4,
        v4,
        30.min(v4 + 16),
        per_node,
    )?;
    check(
        "sizes.node_pods_v6",
        sizes.node_pods_v6,
        v6,
        126.min(v6 + 16),
        per_node,
    )
}

/// The networks inside the supernet.
struct Ranges {
    etcd: NetPair,
    kube: NetPair,
    link: NetPair,
    services: NetPair,
    pods: NetPair,
}

impl Ranges {
    fn place(
        requirement: &Requirement,
        supernet: NetPair,
        lock: Option<&Lock>,
    ) -> Result<Self, PlanError> {
        let remedy =
            "make the ranges in `sizes` smaller (longer prefixes), or move explicit networks";
        let [v4, v6] = Family::BOTH.map(|family| {
            let wants = Self::wants(requirement, family);
            for want in &wants {
                check_explicit(want, family)?;
            }
            place(&mut Pool::new(supernet.of(family)), &wants, lock, remedy)
        });
        let (v4, v6) = (v4?, v6?);
        let pair = |at: usize| NetPair {
            v4: v4[at],
            v6: v6[at],
        };
        Ok(Self {
            etcd: pair(0),
            kube: pair(1),
            link: pair(2),
            services: pair(3),
            pods: pair(4),
        })
    }

    /// IPv4 by the third byte, IPv6 by the subnet's 16 bits. Written, they are alike: services are
    /// at `10.x.16.0` and `fd..:16::`; pods at the upper half of IPv4 and from `fd..:100::`.
    fn wants(requirement: &Requirement, family: Family) -> [Want; 5] {
        let (sizes, nets) = (requirement.sizes, requirement.networks);
        let want = |id: &str, field, prefix_len: u8, subnet: u64, explicit| {
            // The subnet numbers count /24 in IPv4 and /64 in IPv6.
            let unit = if family == Family::V4 { 24 } else { 64 };
            let near = if prefix_len > unit {
                subnet << (prefix_len - unit)
            } else {
                subnet >> (unit - prefix_len)
            };
            Want {
                id: format!("network/{id}"),
                field,
                prefix_len,
                near,
                explicit,
            }
        };
        match family {
            Family::V4 => [
                want("etcd", "networks.etcd_v4", 24, 0, nets.etcd_v4),
                want("kube", "networks.kube_v4", 24, 1, nets.kube_v4),
                want("link", "v4", 30, 2, None),
                want(
                    "services",
                    "networks.services_v4",
                    sizes.services_v4,
                    16,
                    nets.services_v4,
                ),
                want("pods", "networks.pods_v4", sizes.pods_v4, 128, nets.pods_v4),
            ],
            Family::V6 => [
                want("etcd", "networks.etcd_v6", 64, 0, nets.etcd_v6),
                want("kube", "networks.kube_v6", 64, 1, nets.kube_v6),
                want("link", "v6", 126, 2, None),
                want(
                    "services",
                    "networks.services_v6",
                    sizes.services_v6,
                    0x16,
                    nets.services_v6,
                ),
                want(
                    "pods",
                    "networks.pods_v6",
                    sizes.pods_v6,
                    0x100,
                    nets.pods_v6,
                ),
            ],
        }
    }
}

fn check_explicit(want: &Want, family: Family) -> Result<(), PlanError> {
    match want.explicit {
        Some(net) if net.family() != family || net.prefix_len() != want.prefix_len => {
            let wanted = format!("an {family} network of length /{}", want.prefix_len);
            Err(PlanError::Unsuitable {
                field: want.field,
                net,
                wanted,
            })
        }
        _ => Ok(()),
    }
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

fn pair(addresses: [IpAddr; 2]) -> AddressPair {
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

/// All machines with their addresses, without pods and routes.
fn machines(
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

/// Gives each node its part of the pod range: the one with its host number where that is free, so
/// that the pods of `fd..:1::30` are in `fd..:130::/64`.
fn place_pods(
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
fn pod_routes(machines: &[Machine]) -> Vec<(MachineName, Route)> {
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

fn add_node_routes(machines: &mut [Machine]) {
    let routes = pod_routes(machines);
    for machine in machines
        .iter_mut()
        .filter(|machine| machine.class.is_node())
    {
        let others = routes.iter().filter(|(name, _)| *name != machine.name);
        machine.routes = others.map(|(_, route)| *route).collect();
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
