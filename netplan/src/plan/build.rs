//! From the requirement to the plan.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::addresses::{Addresses, Nets};
use crate::facts::HostFacts;
use crate::lock::{HostNumbers, Lock};
use crate::names::InterfaceName;
use crate::net::{Family, Net};
use crate::plan::bands::bands;
use crate::plan::check::{check, check_translation};
use crate::plan::machines::{Machines, gone_inside};
use crate::plan::networks::{Placements, families};
use crate::plan::pods::place_pods;
use crate::plan::supernet::supernet;
use crate::plan::{
    Class, Gone, Internet, Kubernetes, Link, Machine, Network, Plan, PlanError, Route, Services,
};
use crate::requirement::{ClassSpec, Requirement, RouterSpec, V6Mode};

/// Decides about every network, address and route of a lab.
///
/// Pure and deterministic. With the lock of an earlier plan everything that is in it stays where
/// it is; without one, the same requirement on the same host still gives the same plan, and an
/// edit of it moves hardly any network, since places follow from names. The order of networks and
/// classes does not matter. Classes that share a network and have no `first` count through bands
/// that follow each other by name: without the lock, one more moves those behind it.
///
/// # Errors
/// When a field is impossible by itself, networks overlap each other or the host's, a range is
/// used up, or the lock says otherwise; each error names the field and the remedy. It is not an
/// error that the lock holds names that are no longer asked for: their places are kept for them
/// as long as there is other room.
pub fn plan(
    requirement: &Requirement,
    facts: &HostFacts,
    lock: Option<&Lock>,
) -> Result<Plan, PlanError> {
    check_lab(requirement, lock)?;
    check(requirement)?;
    let lock = lock.map(|lock| lock.renamed(requirement));
    let lock = lock.as_deref();
    let seed = lock.map_or(requirement.seed, Lock::seed);
    let bands = bands(&requirement.classes, lock)?;
    let supernet = supernet(requirement, &bands, facts, lock, seed)?;
    check_translation(requirement, supernet)?;
    let placements = Placements::new(requirement, &bands, supernet, lock)?;
    let networks: Vec<Network> = networks(requirement, &placements);
    let classes: Vec<Class> = classes(requirement, &bands);
    let asked = Machines {
        requirement,
        seed,
        networks: &networks,
        classes: &classes,
        lock,
    };
    let (machines, gone) = machines(&asked, &placements)?;
    let kubernetes = kubernetes(requirement, &placements, &networks, &classes);
    let mut plan = Plan {
        lab: requirement.lab.clone(),
        seed,
        supernet,
        networks,
        classes,
        machines,
        kubernetes,
        router: requirement.router.clone(),
        v4_mode: requirement.v4_mode,
        v6_mode: requirement.v6_mode,
        link: placements.link.map(link),
        internet: (requirement.router == RouterSpec::Namespace).then(|| internet(requirement)),
        router_routes: Vec::new(),
        internet_routes: Vec::new(),
        host_routes: Vec::new(),
        gone,
    };
    add_routes(&mut plan);
    Ok(plan)
}

fn check_lab(requirement: &Requirement, lock: Option<&Lock>) -> Result<(), PlanError> {
    match lock {
        Some(lock) if *lock.lab() != requirement.lab => {
            let (found, expected) = (lock.lab().clone(), requirement.lab.clone());
            Err(PlanError::LockOfOtherLab { found, expected })
        }
        _ => Ok(()),
    }
}

/// The machines with their pods, and all that the lock keeps for names that are gone.
fn machines(
    asked: &Machines<'_>,
    placements: &Placements,
) -> Result<(Vec<Machine>, Gone), PlanError> {
    let (mut machines, mut gone) = asked.place()?;
    if let Some(spec) = &asked.requirement.kubernetes {
        let pods = placements.pods;
        gone.extend(place_pods(
            &mut machines,
            asked.classes,
            spec,
            pods,
            asked.lock,
        )?);
    }
    if let Some(lock) = asked.lock {
        gone.extend(gone_inside(lock, &placements.gone));
    }
    gone.extend(placements.gone.iter().cloned());
    // In the order of the lock's text: a plan from its own lock is then the same plan.
    gone.sort_unstable();
    Ok((machines, gone))
}

fn networks(requirement: &Requirement, placements: &Placements) -> Vec<Network> {
    let specs = requirement.networks.iter().zip(&placements.networks);
    let network = |(spec, nets): (&crate::NetworkSpec, &Nets)| Network {
        name: spec.name.clone(),
        nets: *nets,
        gateway: nets.nth(1),
        bridge: match requirement.router {
            RouterSpec::Namespace => InterfaceName::composed(format!("br-{}", spec.name)),
            RouterSpec::Host { .. } => InterfaceName::of_network(&requirement.lab, &spec.name),
        },
    };
    specs.map(network).collect()
}

fn classes(requirement: &Requirement, bands: &[HostNumbers]) -> Vec<Class> {
    let class = |(spec, band): (&ClassSpec, &HostNumbers)| {
        let default_route = spec.default_network()?.clone();
        Some(Class {
            name: spec.name.clone(),
            role: spec.role,
            band: *band,
            networks: spec.networks.clone(),
            default_route,
        })
    };
    // A class without networks was refused, so none is left out.
    requirement
        .classes
        .iter()
        .zip(bands)
        .filter_map(class)
        .collect()
}

/// The host number of the API's own address: among those that no class is given by itself.
const ENDPOINT_NUMBER: u32 = 5;

fn kubernetes(
    requirement: &Requirement,
    placements: &Placements,
    networks: &[Network],
    classes: &[Class],
) -> Option<Kubernetes> {
    let spec = requirement.kubernetes.as_ref()?;
    let nets = placements.services;
    let network = networks
        .iter()
        .find(|network| network.name == spec.network)?;
    let taken = classes.iter().any(|class| {
        let band = class.band.first..class.band.end();
        class.networks.contains(&spec.network) && band.contains(&ENDPOINT_NUMBER)
    });
    let endpoint = match taken {
        true => Addresses::default(),
        false => network.nets.nth(ENDPOINT_NUMBER.into()),
    };
    Some(Kubernetes {
        version: spec.version,
        network: spec.network.clone(),
        primary: spec.primary,
        services: Services {
            nets,
            api: nets.nth(1),
            dns: nets.nth(10),
        },
        pods: placements.pods,
        endpoint,
    })
}

fn link(nets: Nets) -> Link {
    Link {
        nets,
        router: nets.nth(1),
        host: nets.nth(2),
    }
}

fn internet(requirement: &Requirement) -> Internet {
    let mut nets = Nets::default();
    let mut server = Addresses::default();
    for family in families(requirement) {
        match family {
            Family::V4 => {
                nets.insert(Net::fixed_v4([203, 0, 113, 0], 24));
                server.insert(Ipv4Addr::new(198, 51, 100, 1).into());
            }
            Family::V6 => {
                nets.insert(Net::fixed_v6(0x2001_0db8_ffff_0000, 64));
                server.insert(Ipv6Addr::new(0x2001, 0xdb8, 0xfeed, 0, 0, 0, 0, 1).into());
            }
        }
    }
    Internet {
        nets,
        internet: nets.nth(1),
        router: nets.nth(2),
        server,
    }
}

fn add_routes(plan: &mut Plan) {
    let nodes = plan.machines.iter();
    let mut router: Vec<Route> = nodes.flat_map(|node| plan.pod_routes(node)).collect();
    if let Some(internet) = &plan.internet {
        let defaults = [Net::fixed_v4([0; 4], 0), Net::fixed_v6(0, 0)];
        let defaults = defaults.into_iter().filter_map(|to| {
            let via = internet.internet.of(to.family())?;
            Some(Route { to, via })
        });
        router.extend(defaults);
        plan.internet_routes = back_routes(plan, internet);
    }
    plan.router_routes = router;
    if let Some(link) = plan.link {
        let routes = plan.supernet.iter().filter_map(|to| {
            let via = link.router.of(to.family())?;
            Some(Route { to, via })
        });
        plan.host_routes = routes.collect();
    }
}

/// What the internet has to know to answer IPv6: where the lab's prefix is, under the name that it
/// has outside.
fn back_routes(plan: &Plan, internet: &Internet) -> Vec<Route> {
    let to = match plan.v6_mode {
        V6Mode::Routed => plan.supernet.v6,
        V6Mode::Npt { outside } => Some(outside),
        V6Mode::Nat66 { address } => Some(Net::host(address.into())),
        V6Mode::UlaOnly => None,
    };
    let via = internet.router.of(Family::V6);
    to.zip(via)
        .map(|(to, via)| Route { to, via })
        .into_iter()
        .collect()
}
